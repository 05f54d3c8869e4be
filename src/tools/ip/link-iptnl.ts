/** What `ip link` says and takes of a tunnel of one IP header in another (iproute2 6.1 ip/link_iptnl.c, ip/tunnel.c). */
import { IP_TUNNEL_ANY, type IpTunnel, type IpTunnelParms } from "../../net/drivers/ip-tunnel.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import { IPPROTO_IPIP } from "../../wire/ipv4.ts";
import type { ToolContext } from "../tool.ts";
import type { Field } from "./link-detail.ts";
import { deviceNamed, invarg, ip4Word } from "./words.ts";

export type IpTunnelWords = { -readonly [K in keyof IpTunnelParms]?: IpTunnelParms[K] };

interface WordSource {
  readonly done: boolean;
  next(): string;
}

/** The words after `type ipip`. */
export function ipTunnelWords(words: WordSource, context: ToolContext): IpTunnelWords {
  const parms: IpTunnelWords = {};
  while (!words.done) {
    const word = words.next();
    if (word === "mode") parms.protocol = modeWord(words.next());
    else if (!ipTunnelWord(word, words, parms, context)) throw new NotModelledError(`type ipip ${word}`);
  }
  return parms;
}

function modeWord(mode: string): number {
  if (["ipv4/ipv4", "ipip", "ipip4", "ip4ip4"].includes(mode)) return IPPROTO_IPIP;
  if (mode === "any/ipv4" || mode === "any") return 0;
  throw new NotModelledError(`type ipip mode ${mode}`);
}

/** One setting that `ip link` and `ip tunnel` share. */
export function ipTunnelWord(
  word: string,
  words: WordSource,
  parms: IpTunnelWords,
  context: ToolContext,
): boolean {
  if (word === "remote" || word === "local") parms[word] = endWord(words.next());
  else if (word === "dev") parms.link = deviceNamed(context.ns, words.next()).ifindex;
  else if (["ttl", "hoplimit", "hlim"].includes(word)) parms.ttl = byteWord(words.next(), "TTL", 0);
  else if (["tos", "tclass", "tc", "dsfield"].includes(word)) parms.tos = byteWord(words.next(), "TOS", 1);
  else if (word === "pmtudisc") parms.pmtudisc = true;
  else if (word === "nopmtudisc") parms.pmtudisc = false;
  else return false;
  return true;
}

function endWord(text: string): number {
  return text === "any" ? 0 : ip4Word(text);
}

function byteWord(text: string, what: string, inherit: number): number {
  if (text === "inherit") return inherit;
  const hex = what === "TOS" && /^[0-9a-f]{1,2}$/i.test(text) ? Number.parseInt(text, 16) : Number(text);
  if (text === "" || !Number.isInteger(hex) || hex < 0 || hex > 255) throw invarg(`invalid ${what}\n`, text);
  return hex;
}

/** What was there with the changes of the user, as a whole. A fixed TTL needs path MTU discovery. */
export function ipTunnelSettings(
  old: IpTunnelParms | null,
  words: IpTunnelWords,
  status: number,
): IpTunnelParms {
  const parms = { ...(old ?? { ...IP_TUNNEL_ANY, pmtudisc: true }), ...words };
  if (parms.ttl !== 0 && !parms.pmtudisc)
    throw new UsageError("ttl != 0 and nopmtudisc are incompatible", status);
  return parms;
}

/** Name of the device that a tunnel is bound to; its number when it is in another namespace. */
export function ipTunnelLower({ dev, net, parms }: IpTunnel): string {
  const lower = dev.ns === net ? net.deviceByIndex(parms.link) : undefined;
  return lower === undefined ? `if${parms.link}` : lower.name;
}

export function ipTunnelFields(tunnel: IpTunnel): Field[] {
  const { parms } = tunnel;
  const fields: Field[] = [
    { text: parms.protocol === 0 ? "any" : "ipip", json: "proto", value: protoName(parms), show: "" },
    end("remote", parms.remote),
    end("local", parms.local),
  ];
  if (parms.link !== 0) fields.push({ text: "dev", json: "link", value: ipTunnelLower(tunnel) });
  fields.push({ text: "ttl", json: "ttl", value: parms.ttl, show: orInherit(parms.ttl, 0) });
  if (parms.tos !== 0) {
    const tos = `0x${parms.tos.toString(16)}`;
    fields.push({ text: "tos", json: "tos", value: tos, show: parms.tos === 1 ? "inherit" : tos });
  }
  const key = parms.pmtudisc ? "pmtudisc" : "nopmtudisc";
  fields.push({ text: key, json: "pmtudisc", value: parms.pmtudisc, show: "" });
  return fields;
}

function protoName({ protocol }: IpTunnelParms): string {
  return protocol === 0 ? "any" : "ipip";
}

function end(key: "remote" | "local", addr: number): Field {
  return { text: key, json: key, value: endText(addr) };
}

export function endText(addr: number): string {
  return addr === 0 ? "any" : formatIp4(addr);
}

export function orInherit(value: number, inherit: number): string {
  return value === inherit ? "inherit" : String(value);
}

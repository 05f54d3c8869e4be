/** `ip tunnel`: add, change, del, show of tunnels of mode ipip (iproute2 6.1 ip/iptunnel.c, ip/tunnel.c). */
import { linkAdd, linkDel, linkSetIpTunnel } from "../../net/ctl/link.ts";
import { moduleLoad } from "../../net/ctl/module.ts";
import {
  IP_TUNNEL_MAX_MTU,
  IP_TUNNEL_MIN_MTU,
  type IpTunnel,
  ipTunnelOf,
  isFallbackTunnel,
} from "../../net/drivers/ip-tunnel.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import { IPPROTO_IPIP } from "../../wire/ipv4.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { freeName } from "./link-add.ts";
import { toJson } from "./link-format.ts";
import {
  endText,
  type IpTunnelWords,
  ipTunnelLower,
  ipTunnelSettings,
  ipTunnelWord,
  orInherit,
} from "./link-iptnl.ts";
import { isCommand, Words } from "./words.ts";

/** `ip tunnel ARGV`. */
export function ipTunnel(argv: readonly string[], options: IpOptions, context: ToolContext): ToolOutput {
  const [command = "show", ...rest] = argv;
  if (isCommand(command, "add")) return addTunnel(rest, context);
  if (isCommand(command, "change")) return changeTunnel(rest, context);
  if (isCommand(command, "delete")) return deleteTunnel(rest, context);
  if (isCommand(command, "show", "lst", "list")) return ipOutput(showTunnels(rest, options, context));
  if (["prl", "6rd", "help"].includes(command)) throw new NotModelledError(`ip tunnel ${command}`);
  throw new UsageError(`Command "${command}" is unknown, try "ip tunnel help".`, 255);
}

interface TunnelLine {
  readonly name: string;
  readonly mode: string;
  readonly parms: IpTunnelWords;
}

/** The words of a tunnel; addresses, TTL and so on are the same as those of `ip link`. */
function parseTunnel(argv: readonly string[], context: ToolContext): TunnelLine {
  const words = new Words(argv);
  const parms: IpTunnelWords = {};
  let name = "";
  let mode = "";
  while (!words.done) {
    const word = words.next();
    if (word === "mode") {
      mode = words.next();
      if (mode !== "ipip" && mode !== "ip/ip") throw new NotModelledError(`ip tunnel mode ${mode}`);
      parms.protocol = IPPROTO_IPIP;
    } else if (["key", "ikey", "okey", "seq", "csum", "external"].includes(word)) {
      throw new NotModelledError(`ip tunnel ${word}`);
    } else if (!ipTunnelWord(word, words, parms, context)) {
      if (name !== "" && word !== "name")
        throw new UsageError(`Error: either "name" is duplicate, or "${word}" is a garbage.`, 255);
      name = word === "name" ? words.next() : word;
    }
  }
  return { name, mode, parms };
}

function addTunnel(argv: readonly string[], context: ToolContext): ToolOutput {
  const { name, mode, parms } = parseTunnel(argv, context);
  const settings = ipTunnelSettings(null, parms, 1);
  if (mode === "") throw new UsageError("cannot determine tunnel mode (ipip, gre, vti or sit)", 1);
  moduleLoad(context.ns.kernel, "ipip");
  return request("add", "tunl0", () => {
    const dev = linkAdd(context.ns, { ...settings, kind: "ipip", name: name || freeName("ipip", context) });
    dev.minMtu = IP_TUNNEL_MIN_MTU;
    dev.maxMtu = IP_TUNNEL_MAX_MTU;
  });
}

function tunnelNamed(name: string, { ns }: ToolContext): IpTunnel {
  const dev = ns.device(name);
  const tunnel = dev === undefined ? null : ipTunnelOf(dev);
  if (tunnel === null) throw new SysError("ENODEV", name);
  return tunnel;
}

function changeTunnel(argv: readonly string[], context: ToolContext): ToolOutput {
  const { name, parms } = parseTunnel(argv, context);
  return request("change", name, () => {
    const tunnel = tunnelNamed(name, context);
    linkSetIpTunnel(tunnel.dev, ipTunnelSettings(tunnel.parms, parms, 1));
  });
}

function deleteTunnel(argv: readonly string[], context: ToolContext): ToolOutput {
  const { name } = parseTunnel(argv, context);
  return request("delete", name, () => {
    const { dev } = tunnelNamed(name, context);
    if (isFallbackTunnel(dev)) throw new SysError("EPERM", name);
    linkDel(dev);
  });
}

function request(verb: string, name: string, run: () => void): ToolOutput {
  try {
    run();
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new UsageError(`${verb} tunnel "${name}" failed: ${strerror(error.code)}`, 1);
  }
  return ipOutput("");
}

function showTunnels(argv: readonly string[], options: IpOptions, context: ToolContext): string {
  const { name } = parseTunnel(argv, context);
  const tunnels = context.ns
    .devices()
    .map(ipTunnelOf)
    .filter((tunnel): tunnel is IpTunnel => tunnel !== null && (name === "" || tunnel.dev.name === name));
  if (options.json) return `[${tunnels.map((tunnel) => `${toJson(tunnelJson(tunnel))}\n`).join(",")}]\n`;
  return tunnels.map((tunnel) => tunnelText(tunnel, options)).join("");
}

function tunnelText(tunnel: IpTunnel, options: IpOptions): string {
  const { dev, parms } = tunnel;
  let text = `${dev.name}: ${modeText(tunnel)} remote ${endText(parms.remote)} local ${endText(parms.local)}`;
  if (parms.link !== 0) text += ` dev ${ipTunnelLower(tunnel)}`;
  text += ` ttl ${orInherit(parms.ttl, 0)}`;
  if (parms.tos !== 0) text += ` tos ${parms.tos === 1 ? "inherit" : `0x${parms.tos.toString(16)}`}`;
  if (!parms.pmtudisc) text += " nopmtudisc";
  return `${text}\n${options.stats ? statsText(tunnel) : ""}`;
}

function modeText({ parms }: IpTunnel): string {
  return parms.protocol === 0 ? "any/ip" : "ip/ip";
}

const RX_WIDTHS = [10, 12, 6, 8, 8, 8];
const TX_WIDTHS = [10, 12, 6, 8, 8, 6];

/** Loops and missing routes are the tunnel's own: collisions and carrier errors of the device (tnl_print_stats). */
function statsText({
  dev,
  rxErrors,
  rxFrameErrors,
  txErrors,
  collisions,
  txCarrierErrors,
}: IpTunnel): string {
  const line = (widths: readonly number[], ...values: number[]) =>
    `    ${values.map((value, i) => String(value).padEnd(widths[i])).join(" ")}\n`;
  return [
    "RX: Packets    Bytes        Errors CsumErrs OutOfSeq Mcasts\n",
    line(RX_WIDTHS, dev.rxPackets, dev.rxBytes, rxErrors, 0, rxFrameErrors, dev.rxMulticast),
    "TX: Packets    Bytes        Errors DeadLoop NoRoute  NoBufs\n",
    line(TX_WIDTHS, dev.txPackets, dev.txBytes, txErrors, collisions, txCarrierErrors, dev.txDropped),
  ].join("");
}

function tunnelJson(tunnel: IpTunnel): Record<string, unknown> {
  const { dev, parms } = tunnel;
  const out: Record<string, unknown> = {
    ifname: dev.name,
    mode: modeText(tunnel),
    remote: formatIp4(parms.remote),
    local: formatIp4(parms.local),
  };
  if (parms.link !== 0) out.dev = ipTunnelLower(tunnel);
  if (parms.ttl !== 0) out.ttl = parms.ttl;
  if (parms.tos > 1) out.tos = `0x${parms.tos.toString(16)}`;
  if (!parms.pmtudisc) out.nopmtudisc = null;
  return out;
}

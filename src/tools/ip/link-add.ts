/** The words of `ip link add` (iproute2 6.1 ip/iplink.c, iplink_vxlan.c, link_veth.c). */
import type { LinkSpec, MacSpec } from "../../net/ctl/link.ts";
import type { VxlanConfig } from "../../net/drivers/vxlan-private.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { parseIp4, parseMac } from "../../wire/address.ts";
import type { ToolContext } from "../tool.ts";

/** Walks over words; a missing one is iproute2's complaint. */
export class Words {
  private readonly words: readonly string[];
  private at = 0;

  constructor(words: readonly string[]) {
    this.words = words;
  }

  get done(): boolean {
    return this.at >= this.words.length;
  }

  next(): string {
    if (this.done) throw new UsageError('Command line is not complete. Try option "help"', 255);
    return this.words[this.at++];
  }
}

export function macWord(text: string): MacSpec {
  const mac = parseMac(text);
  if (mac === null) throw new UsageError(`"${text}" is invalid lladdr.`, 1);
  return { hi: mac.hi, lo: mac.lo };
}

/** A number in the given range; iproute2's words else. */
export function numberWord(text: string, what: string, max: number): number {
  const value = Number(text);
  if (text === "" || !Number.isInteger(value) || value < 0 || value > max)
    throw new UsageError(`Error: argument "${text}" is wrong: ${what}`, 255);
  return value;
}

type Draft = { -readonly [K in keyof (LinkSpec & { kind: "veth" })]?: unknown } & {
  -readonly [K in keyof VxlanConfig]?: VxlanConfig[K];
};

/** `[name] NAME [address MAC] [mtu N] [txqueuelen N] type KIND ARGS`. */
export function parseLinkAdd(argv: readonly string[], context: ToolContext): LinkSpec {
  const words = new Words(argv);
  const draft: Draft = {};
  let kind = "";
  while (!words.done && kind === "") {
    const word = words.next();
    if (word === "type") kind = words.next();
    else if (!commonWord(word, words, draft))
      draft.name = word === "name" || word === "dev" ? words.next() : word;
  }
  if (kind === "") throw new UsageError('Not enough information: "type" argument is required', 255);
  if (kind === "vxlan") vxlanWords(words, draft, context);
  else if (kind === "veth") vethWords(words, draft, context);
  else if (kind !== "bridge" && kind !== "dummy") throw new NotModelledError(`ip link add type ${kind}`);
  else if (!words.done) throw new NotModelledError(`ip link add type ${kind} ${words.next()}`);
  const fallback = kind === "veth" ? "veth0" : kind;
  return { ...draft, name: draft.name ?? fallback, kind } as unknown as LinkSpec;
}

function commonWord(word: string, words: Words, draft: Draft): boolean {
  if (word === "address") draft.address = macWord(words.next());
  else if (word === "mtu") draft.mtu = numberWord(words.next(), 'Invalid "mtu" value\n', 0xffff_ffff);
  else if (word === "txqueuelen" || word === "qlen" || word === "txqlen")
    draft.txQueueLen = numberWord(words.next(), 'Invalid "txqueuelen" value\n', 0xffff_ffff);
  else if (word === "index") draft.ifindex = numberWord(words.next(), 'Invalid "index" value', 0x7fff_ffff);
  else return false;
  return true;
}

function vethWords(words: Words, draft: Draft, context: ToolContext): void {
  draft.peer = `${(draft.name as string | undefined) ?? "veth"}p`;
  if (words.done) return;
  const first = words.next();
  if (first !== "peer")
    throw new UsageError(`Error: garbage instead of arguments "${first} ...". Try "ip link help".`, 255);
  while (!words.done) {
    const word = words.next();
    if (word === "name") draft.peer = words.next();
    else if (word === "netns") draft.peerNs = context.machine.netns(words.next());
    else if (word === "address") draft.peerAddress = macWord(words.next());
    else throw new NotModelledError(`ip link add type veth peer ${word}`);
  }
}

function vxlanWords(words: Words, draft: Draft, context: ToolContext): void {
  while (!words.done) {
    const word = words.next();
    const on = !word.startsWith("no");
    const flag = on ? word : word.slice(2);
    if (flag === "learning" || flag === "proxy" || flag === "l2miss" || flag === "l3miss") draft[flag] = on;
    else if (flag === "udpcsum") draft.udpCsum = on;
    else if (!vxlanValue(word, words, draft, context))
      throw new NotModelledError(`ip link add type vxlan ${word}`);
  }
  if (draft.vni === undefined) throw new UsageError("vxlan: missing virtual network identifier", 255);
}

function vxlanValue(word: string, words: Words, draft: Draft, context: ToolContext): boolean {
  if (word === "id" || word === "vni") draft.vni = numberWord(words.next(), "invalid id", 0xffffff);
  else if (word === "dstport") draft.dstPort = numberWord(words.next(), "dst port", 65535);
  else if (word === "local") draft.local = addressWord(words.next());
  else if (word === "remote") draft.remote = addressWord(words.next());
  else if (word === "dev") {
    const name = words.next();
    const lower = context.ns.device(name);
    if (lower === undefined) throw new UsageError(`Cannot find device "${name}"`, 1);
    draft.lower = lower;
  } else if (word === "ttl" || word === "hoplimit") {
    const text = words.next();
    draft.ttl = text === "auto" ? 0 : numberWord(text, "TTL must be <= 255", 255);
  } else if (word === "tos" || word === "dsfield") {
    const text = words.next();
    draft.tos = text === "inherit" ? 1 : numberWord(text, "bad TOS value", 255);
  } else if (word === "ageing") {
    const text = words.next();
    draft.ageingSec = text === "none" ? 0 : numberWord(text, "ageing timer", 0xffff_ffff);
  } else if (word === "srcport" || word === "port") {
    draft.portMin = numberWord(words.next(), "min port", 65535);
    draft.portMax = numberWord(words.next(), "max port", 65535);
  } else return false;
  return true;
}

function addressWord(text: string): number {
  const addr = parseIp4(text);
  if (addr === null) throw new UsageError(`Error: any valid address is expected rather than "${text}".`, 1);
  return addr;
}

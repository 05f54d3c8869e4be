/** The words of `ip link add` (iproute2 6.1 ip/iplink.c, iplink_vxlan.c, link_veth.c). */
import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import type { LinkSpec, MacSpec } from "../../net/ctl/link.ts";
import type { VxlanConfig } from "../../net/drivers/vxlan-private.ts";
import { NotModelledError, SysError, UsageError } from "../../util/errors.ts";
import { parseIp4, parseMac } from "../../wire/address.ts";
import type { ToolContext } from "../tool.ts";
import { ipTunnelSettings, ipTunnelWords } from "./link-iptnl.ts";
import { vlanWords } from "./link-vlan.ts";
import { deviceNamed, invarg } from "./words.ts";

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
  if (text === "" || !Number.isInteger(value) || value < 0 || value > max) throw invarg(what, text);
  return value;
}

type Draft = { -readonly [K in keyof (LinkSpec & { kind: "veth" })]?: unknown } & {
  -readonly [K in keyof VxlanConfig]?: VxlanConfig[K];
};

export interface LinkAdd {
  readonly spec: LinkSpec;
  /** Where the device is made. */
  readonly ns: NetNs;
  /** Namespace to which it moves afterwards: a tunnel keeps its underlay where it was made. */
  readonly moveTo: NetNs | null;
  readonly up: boolean;
}

/** `[name] NAME [address MAC] [mtu N] [txqueuelen N] [up] [netns NS] type KIND ARGS`. */
export function parseLinkAdd(argv: readonly string[], context: ToolContext): LinkAdd {
  const words = new Words(argv);
  const draft: Draft = {};
  const place: Place = { netns: null, up: false, link: null };
  let kind = "";
  while (!words.done && kind === "") {
    const word = words.next();
    if (word === "type") kind = words.next();
    else if (!commonWord(word, words, draft) && !placeWord(word, words, place, context))
      draft.name = word === "name" || word === "dev" ? words.next() : word;
  }
  if (kind === "") throw new UsageError('Not enough information: "type" argument is required', 255);
  if (kind === "vxlan") {
    vxlanWords(words, draft, context);
    if (draft.vni === undefined) throw new UsageError("vxlan: missing virtual network identifier", 255);
  }
  if (kind === "vlan") Object.assign(draft, vlanWords(words), { lower: place.link });
  else if (kind === "veth") vethWords(words, draft, context);
  else if (kind === "ipip") Object.assign(draft, ipTunnelSettings(null, ipTunnelWords(words, context), 255));
  else if (kind === "bridge" || kind === "dummy") plainWords(kind, words, draft, place, context);
  else if (kind !== "vxlan") throw new NotModelledError(`ip link add type ${kind}`);
  if (place.link !== null && kind !== "vlan") throw new NotModelledError(`ip link add link, type ${kind}`);
  const spec = { ...draft, name: draft.name ?? freeName(kind, context), kind } as unknown as LinkSpec;
  const tunnel = kind === "vxlan" || kind === "ipip";
  const ns = tunnel || place.netns === null ? context.ns : place.netns;
  return { spec, ns, moveTo: tunnel ? place.netns : null, up: place.up };
}

/** The first name of the kernel's own that is free (dev_alloc_name). */
export function freeName(kind: string, { ns }: ToolContext): string {
  let no = 0;
  while (ns.device(`${kind}${no}`) !== undefined) no++;
  return `${kind}${no}`;
}

interface Place {
  netns: NetNs | null;
  up: boolean;
  /** The device below. */
  link: NetDevice | null;
}

function placeWord(word: string, words: Words, place: Place, context: ToolContext): boolean {
  if (word === "up") place.up = true;
  else if (word === "down") place.up = false;
  else if (word === "link") place.link = deviceNamed(context.ns, words.next());
  else if (word === "netns") place.netns = netnsWord(words.next(), context);
  else if (word === "numtxqueues" || word === "numrxqueues" || word === "group") words.next();
  else return false;
  return true;
}

/** A namespace by name or path; 1 is the process whose namespace is the machine's own. */
export function netnsWord(text: string, context: ToolContext): NetNs {
  const { machine } = context;
  if (text === "1") return machine.hostNs;
  const process = /^\d+$/.test(text) ? machine.processes.find(({ pid }) => pid === Number(text)) : undefined;
  if (process !== undefined) return process.ns;
  try {
    return machine.netns(text);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw invarg('Invalid "netns" value\n', text);
  }
}

/** Bridges take settings when they are made: those that are already so. */
function plainWords(kind: string, words: Words, draft: Draft, place: Place, context: ToolContext): void {
  while (!words.done) {
    const word = words.next();
    if (commonWord(word, words, draft) || placeWord(word, words, place, context)) continue;
    const value = BRIDGE_DEFAULTS[word];
    if (kind !== "bridge" || value === undefined || words.next() !== value)
      throw new NotModelledError(`ip link add type ${kind} ${word}`);
  }
}

const BRIDGE_DEFAULTS: Record<string, string> = {
  stp_state: "0",
  vlan_filtering: "0",
  forward_delay: "1500",
  mcast_snooping: "0",
  nf_call_iptables: "0",
};

function commonWord(word: string, words: Words, draft: Draft): boolean {
  if (word === "address") draft.address = macWord(words.next());
  else if (word === "mtu") draft.mtu = numberWord(words.next(), 'Invalid "mtu" value\n', 0xffff_ffff);
  else if (word === "txqueuelen" || word === "qlen" || word === "txqlen")
    draft.txQueueLen = numberWord(words.next(), 'Invalid "txqueuelen" value\n', 0xffff_ffff);
  else if (word === "index") draft.ifindex = numberWord(words.next(), 'Invalid "index" value', 0x7fff_ffff);
  else return false;
  return true;
}

const UNKNOWN_PEER: ReadonlySet<string> = new Set(["up", "txqueuelen", "index", "link", "type", "group"]);

function vethWords(words: Words, draft: Draft, context: ToolContext): void {
  draft.peerNs = context.ns;
  draft.peer = `${(draft.name as string | undefined) ?? "veth"}p`;
  if (words.done) return;
  const first = words.next();
  if (first !== "peer")
    throw new UsageError(`Error: garbage instead of arguments "${first} ...". Try "ip link help".`, 255);
  let named = false;
  while (!words.done) {
    const word = words.next();
    if (word === "name" || word === "dev") draft.peer = words.next();
    else if (word === "netns") draft.peerNs = netnsWord(words.next(), context);
    else if (word === "address") draft.peerAddress = macWord(words.next());
    else if (word === "mtu") draft.peerMtu = numberWord(words.next(), 'Invalid "mtu" value\n', 0xffff_ffff);
    else if (word === "numtxqueues" || word === "numrxqueues") words.next();
    else if (named || UNKNOWN_PEER.has(word))
      throw new NotModelledError(`ip link add type veth peer ${word}`);
    else draft.peer = word;
    named = true;
  }
}

function vxlanWords(words: Words, draft: Draft, context: ToolContext): void {
  while (!words.done) {
    const word = words.next();
    const on = !word.startsWith("no");
    const flag = on ? word : word.slice(2);
    if (word === "nodstport") continue;
    if (flag === "learning" || flag === "proxy" || flag === "l2miss" || flag === "l3miss") draft[flag] = on;
    else if (flag === "udpcsum") draft.udpCsum = on;
    else if (!vxlanValue(word, words, draft, context))
      throw new NotModelledError(`ip link add type vxlan ${word}`);
  }
}

/** What `ip link set type vxlan` changes. */
export function vxlanChanges(words: Words, context: ToolContext): Partial<VxlanConfig> {
  const draft: Draft = {};
  vxlanWords(words, draft, context);
  return draft;
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
  } else if (word === "df") {
    const value = words.next();
    const df = ["unset", "set", "inherit"].indexOf(value);
    if (df < 0) throw invarg("DF must be 'unset', 'set' or 'inherit'", value);
    draft.df = df;
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

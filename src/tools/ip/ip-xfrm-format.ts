/** The text of `ip xfrm` (iproute2 6.1 ip/ipxfrm.c): states and policies as they are listed. */
import type { NetNs } from "../../net/core/net-ns.ts";
import {
  XFRM_POLICY_FWD,
  XFRM_POLICY_IN,
  XFRM_POLICY_OUT,
  type XfrmPolicy,
  type XfrmTmpl,
} from "../../net/xfrm/xfrm-policy.ts";
import type { XfrmMark, XfrmSelector } from "../../net/xfrm/xfrm-selector.ts";
import { NO_LIMITS, type XfrmLifetime, type XfrmLimits, type XfrmState } from "../../net/xfrm/xfrm-state.ts";
import { EPOCH_SECONDS, wallTimeAt } from "../../sim/wall-clock.ts";
import { formatIp4 } from "../../wire/address.ts";
import { IPPROTO_ICMP } from "../../wire/ipv4.ts";
import { NameTable } from "./words.ts";

/** Protocols of packets, as /etc/protocols names them. */
export const UPPER_PROTOCOLS = new NameTable('"PROTO" is invalid', {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  gre: 47,
  esp: 50,
  ah: 51,
  sctp: 132,
});

/** Flags of a state, by bit. */
export const STATE_FLAGS: readonly (readonly [string, number])[] = [
  ["noecn", 1],
  ["decap-dscp", 2],
  ["nopmtudisc", 4],
  ["wildrecv", 8],
  ["icmp", 16],
  ["af-unspec", 32],
  ["align4", 64],
];

export const DIRECTIONS: readonly (readonly [string, 0 | 1 | 2])[] = [
  ["in", XFRM_POLICY_IN],
  ["out", XFRM_POLICY_OUT],
  ["fwd", XFRM_POLICY_FWD],
];

function hex8(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, "0")}`;
}

/** C's `%#x`. */
function hexAlternate(value: number): string {
  return value === 0 ? "0" : `0x${(value >>> 0).toString(16)}`;
}

function markText({ value, mask }: XfrmMark): string {
  return value === 0 && mask === 0 ? "" : `\tmark ${hexAlternate(value)}/${hexAlternate(mask)} \n`;
}

function selectorText(sel: XfrmSelector, ns: NetNs, stats: boolean): string {
  let text = `src ${formatIp4(sel.saddr)}/${sel.prefixLenS} dst ${formatIp4(sel.daddr)}/${sel.prefixLenD} `;
  if (sel.proto !== 0) text += `proto ${UPPER_PROTOCOLS.text(sel.proto)} `;
  const [first, second] = sel.proto === IPPROTO_ICMP ? ["type", "code"] : ["sport", "dport"];
  if (sel.sportMask !== 0) text += `${first} ${sel.sport} `;
  if (sel.dportMask !== 0) text += `${second} ${sel.dport} `;
  if (sel.ifindex !== 0) text += `dev ${ns.deviceByIndex(sel.ifindex)?.name ?? `if${sel.ifindex}`} `;
  return `${text}${stats ? "uid 0" : ""}\n`;
}

interface IdText {
  readonly saddr: number;
  readonly daddr: number;
  readonly spi: number;
  readonly reqid: number;
}

function idText(id: IdText, indent: string, forceSpi: boolean, stats: boolean): string {
  let text = `src ${formatIp4(id.saddr)} dst ${formatIp4(id.daddr)}\n${indent}\tproto esp `;
  if (stats || forceSpi || id.spi !== 0) text += `spi ${hex8(id.spi)}${stats ? `(${id.spi >>> 0})` : ""} `;
  return `${text}reqid ${id.reqid >>> 0}${stats ? `(${hex8(id.reqid)})` : ""} mode transport\n`;
}

function limitText(limit: number): string {
  return limit === Number.POSITIVE_INFINITY ? "(INF)" : String(limit);
}

function timeText(seconds: number): string {
  if (seconds === 0) return "-";
  const time = wallTimeAt((seconds - EPOCH_SECONDS) * 1e9);
  const two = (n: number): string => String(n).padStart(2, "0");
  const date = `${time.year}-${two(time.month)}-${two(time.day)}`;
  return `${date} ${two(time.hour)}:${two(time.minute)}:${two(time.second)}`;
}

function lifetimeText(limits: XfrmLimits, current: XfrmLifetime): string {
  return [
    "\tlifetime config:",
    `\t  limit: soft ${limitText(limits.softBytes)}(bytes), hard ${limitText(limits.hardBytes)}(bytes)`,
    `\t  limit: soft ${limitText(limits.softPackets)}(packets), hard ${limitText(limits.hardPackets)}(packets)`,
    "\t  expire add: soft 0(sec), hard 0(sec)",
    "\t  expire use: soft 0(sec), hard 0(sec)",
    "\tlifetime current:",
    `\t  ${current.bytes}(bytes), ${current.packets}(packets)`,
    `\t  add ${timeText(current.addTime)} use ${timeText(current.useTime)}\n`,
  ].join("\n");
}

function flagText(flags: number, stats: boolean): string {
  if (!stats && flags === 0) return "";
  const names = STATE_FLAGS.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name);
  return `flag ${names.join(" ")}${stats ? ` (0x${flags.toString(2).padStart(8, "0")})` : ""}`;
}

function keyText(key: Uint8Array): string {
  return Array.from(key, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** One state, with its key. */
export function stateText(x: XfrmState, ns: NetNs, stats: boolean): string {
  const { spec } = x;
  let text = idText(spec, "", true, stats);
  text += `\treplay-window ${spec.replayWindow} `;
  if (stats) text += `seq 0x${String(spec.seq >>> 0).padStart(8, "0")} `;
  text += `${flagText(spec.flags, stats)}\n${markText(spec.mark)}`;
  text += `\taead ${spec.algorithm} 0x${keyText(spec.key)}${stats ? ` (${spec.key.length * 8} bits)` : ""} ${spec.icvBits}\n`;
  const [seq, oseq] = [x.replaySeq, x.replayOseq].map((number) => `0x${(number >>> 0).toString(16)}`);
  text += `\tanti-replay context: seq ${seq}, oseq ${oseq}, bitmap ${hex8(x.replayBitmap)}\n`;
  text += `\tsel ${selectorText(x.sel, ns, stats)}`;
  if (!stats) return text;
  text += lifetimeText(x.limits, x.current);
  const failed = `replay ${x.statReplay} failed ${x.statIntegrityFailed}`;
  return `${text}\tstats:\n\t  replay-window ${x.statReplayWindow} ${failed}\n`;
}

function tmplText(tmpl: XfrmTmpl, stats: boolean): string {
  let text = `\ttmpl ${idText(tmpl, "\t", false, stats)}`;
  if (stats || tmpl.optional)
    text += `\t\tlevel ${tmpl.optional ? "use" : "required"} ${stats ? "share any " : ""}\n`;
  return stats ? `${text}\t\tenc-mask ffffffff auth-mask ffffffff comp-mask ffffffff\n` : text;
}

/** One policy. */
export function policyText(policy: XfrmPolicy, ns: NetNs, stats: boolean): string {
  const { sel, dir, action, priority, mark, tmpl } = policy.spec;
  let text = `${selectorText(sel, ns, stats)}\tdir ${DIRECTIONS[dir][0]} `;
  if (stats || action === "block") text += `action ${action} `;
  if (stats) text += `index ${policy.index} `;
  text += `priority ${priority} ptype main ${stats ? "share any flag  (0x00000000)" : ""}\n`;
  if (stats) text += lifetimeText(NO_LIMITS, policy.current);
  return `${text}${markText(mark)}${tmpl === null ? "" : tmplText(tmpl, stats)}`;
}

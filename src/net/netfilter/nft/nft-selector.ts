/**
 * What a rule of nf_tables may look at (net/netfilter/nft_payload.c, nft_meta.c, nft_ct.c): the words of nft(8), the type of
 * the value, and how it is loaded from a packet.
 */
import { IP_OFFSET } from "../../../wire/ipv4.ts";
import type { NetDevice } from "../../core/net-device.ts";
import { IP_CT_ESTABLISHED_REPLY, IP_CT_UNTRACKED, type Skb } from "../../core/skb.ts";
import { ctOf } from "../conntrack/conntrack.ts";

const TYPES = [
  "ipv4_addr",
  "inet_service",
  "inet_proto",
  "mark",
  "ifname",
  "iface_index",
  "ct_state",
  "ct_status",
  "icmp_type",
  "icmp_code",
  "tcp_flag",
  "integer",
] as const;
export type NftType = (typeof TYPES)[number];

export function isNftType(word: string): word is NftType {
  return (TYPES as readonly string[]).includes(word);
}

/** How a selector is loaded. */
const L_NETWORK = 1;
const L_TRANSPORT = 2;
const L_IIF = 3;
const L_OIF = 4;
/** Names of devices are compared by patterns, not loaded (`nft-names.ts`). */
export const L_IIFNAME = 5;
export const L_OIFNAME = 6;
const L_MARK = 7;
const L_L4PROTO = 8;
const L_CT_STATE = 9;
const L_CT_STATUS = 10;
const L_CT_MARK = 11;

/** The header that a field belongs to, "" for all else. */
export type NftProto = "" | "ip" | "th" | "tcp" | "udp" | "icmp";

export interface Selector {
  readonly words: string;
  readonly type: NftType;
  readonly proto: NftProto;
  readonly load: number;
  /** Offset of a field in its header, and its size in bytes. */
  readonly off: number;
  readonly size: number;
}

function field(words: string, type: NftType, off: number, size: number): Selector {
  const proto = words.slice(0, words.indexOf(" ")) as NftProto;
  return { words, type, proto, load: proto === "ip" ? L_NETWORK : L_TRANSPORT, off, size };
}

function meta(words: string, type: NftType, load: number, size = 4): Selector {
  return { words, type, proto: "", load, off: 0, size };
}

const ALL: readonly Selector[] = [
  field("ip ttl", "integer", 8, 1),
  field("ip protocol", "inet_proto", 9, 1),
  field("ip saddr", "ipv4_addr", 12, 4),
  field("ip daddr", "ipv4_addr", 16, 4),
  field("th sport", "inet_service", 0, 2),
  field("th dport", "inet_service", 2, 2),
  field("tcp sport", "inet_service", 0, 2),
  field("tcp dport", "inet_service", 2, 2),
  field("tcp flags", "tcp_flag", 13, 1),
  field("udp sport", "inet_service", 0, 2),
  field("udp dport", "inet_service", 2, 2),
  field("icmp type", "icmp_type", 0, 1),
  field("icmp code", "icmp_code", 1, 1),
  meta("iif", "iface_index", L_IIF),
  meta("oif", "iface_index", L_OIF),
  meta("iifname", "ifname", L_IIFNAME),
  meta("oifname", "ifname", L_OIFNAME),
  meta("meta mark", "mark", L_MARK),
  meta("meta l4proto", "inet_proto", L_L4PROTO, 1),
  meta("ct state", "ct_state", L_CT_STATE),
  meta("ct status", "ct_status", L_CT_STATUS),
  meta("ct mark", "mark", L_CT_MARK),
];

export const SELECTORS: ReadonlyMap<string, Selector> = new Map(
  ALL.map((selector) => [selector.words, selector]),
);

/** Not a value: the packet has no such thing, and the rule does not fit (NFT_BREAK). */
export const LOAD_BREAK = -1;

/** NF_CT_STATE_INVALID_BIT, NF_CT_STATE_UNTRACKED_BIT. */
const STATE_INVALID = 1;
const STATE_UNTRACKED = 64;

/** The value as a number from 0 to 2^32 - 1, or {@link LOAD_BREAK}. `data` of the packet stands at its IP header. */
export function nftLoad(
  selector: Selector,
  skb: Skb,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): number {
  const { view, data } = skb;
  switch (selector.load) {
    case L_NETWORK:
      return payload(selector, skb, data);
    case L_TRANSPORT:
      if ((view.getUint16(data + 6) & IP_OFFSET) !== 0) return LOAD_BREAK;
      return payload(selector, skb, data + ((view.getUint8(data) & 0x0f) << 2));
    case L_IIF:
      return inDev === null ? 0 : inDev.ifindex;
    case L_OIF:
      return outDev === null ? 0 : outDev.ifindex;
    case L_MARK:
      return skb.mark >>> 0;
    case L_L4PROTO:
      return view.getUint8(data + 9);
    default:
      return loadCt(selector.load, skb);
  }
}

function payload(selector: Selector, skb: Skb, header: number): number {
  const at = header + selector.off;
  if (at + selector.size > skb.tail) return LOAD_BREAK;
  if (selector.size === 4) return skb.view.getUint32(at);
  return selector.size === 2 ? skb.view.getUint16(at) : skb.view.getUint8(at);
}

/** nft_ct_get_eval */
function loadCt(load: number, skb: Skb): number {
  const ct = ctOf(skb);
  if (load === L_CT_STATE) {
    if (ct !== null) return 1 << ((skb.ctInfo % IP_CT_ESTABLISHED_REPLY) + 1);
    return skb.ctInfo === IP_CT_UNTRACKED ? STATE_UNTRACKED : STATE_INVALID;
  }
  if (ct === null) return LOAD_BREAK;
  return (load === L_CT_STATUS ? ct.status : ct.mark) >>> 0;
}

/** Lines of LOG and TRACE in the kernel log (net/netfilter/nf_log_syslog.c). */
import { formatIp4, formatMac } from "../../wire/address.ts";
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_FRAG_NEEDED,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  ICMP_TIMESTAMP,
  ICMP_TIMESTAMPREPLY,
  icmpIsError,
} from "../../wire/icmp.ts";
import {
  IP_CE,
  IP_DF,
  IP_MF,
  IP_OFFSET,
  IPPROTO_AH,
  IPPROTO_ESP,
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
} from "../../wire/ipv4.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { nfBridgeOf } from "../core/nf-bridge.ts";
import type { Skb } from "../core/skb.ts";

const LOG_TCPSEQ = 1;
const LOG_TCPOPT = 2;
const LOG_IPOPT = 4;
const LOG_UID = 8;
const LOG_MACDECODE = 32;
/** What TRACE shows. */
const LOG_DEFAULT_MASK = 15;

/** Names of the TCP flags from bit 7 down to 0, in the order of printing. */
const TCP_FLAGS: readonly (readonly [number, string])[] = [
  [0x80, "CWR "],
  [0x40, "ECE "],
  [0x20, "URG "],
  [0x10, "ACK "],
  [0x08, "PSH "],
  [0x04, "RST "],
  [0x02, "SYN "],
  [0x01, "FIN "],
];

const ICMP_HLEN = 8;
/** Least length of a message by type; errors must quote an IP header. */
const ICMP_LENGTHS: Readonly<Record<number, number>> = {
  [ICMP_DEST_UNREACH]: 28,
  [ICMP_SOURCE_QUENCH]: 28,
  [ICMP_REDIRECT]: 28,
  [ICMP_TIME_EXCEEDED]: 28,
  [ICMP_PARAMETERPROB]: 28,
  [ICMP_TIMESTAMP]: 20,
  [ICMP_TIMESTAMPREPLY]: 20,
  17: 12,
  18: 12,
};

/** One line about the packet; `flags` are XT_LOG_*. Only the first namespace writes, unless the others may too. */
export function nfLogPacket(
  ns: NetNs,
  skb: Skb,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
  prefix: string,
  flags: number,
): void {
  const { kernel } = ns;
  if (ns !== kernel.initNs && kernel.nfLogAllNetns === 0) return;
  const info = nfBridgeOf(skb);
  const { physIn, physOut } = info ?? { physIn: null, physOut: null };
  const parts = [`${prefix}IN=${inDev?.name ?? ""} OUT=${outDev?.name ?? ""} `];
  if (physIn !== null && physIn !== inDev) parts.push(`PHYSIN=${physIn.name} `);
  if (physOut !== null && physOut !== outDev) parts.push(`PHYSOUT=${physOut.name} `);
  if (inDev !== null) parts.push(macHeader(skb, flags));
  parts.push(ipText(skb, skb.data, flags, true));
  if (!endsEarly(skb, skb.data, flags)) {
    // Whatever runs in the lab runs as root.
    if ((flags & LOG_UID) !== 0 && skb.sk !== null) parts.push("UID=0 GID=0 ");
    if (skb.mark !== 0) parts.push(`MARK=0x${(skb.mark >>> 0).toString(16)} `);
  }
  kernel.printk(parts.join(""));
}

/** A line of TRACE. */
export function nfLogTrace(
  ns: NetNs,
  skb: Skb,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
  prefix: string,
): void {
  nfLogPacket(ns, skb, inDev, outDev, prefix, LOG_DEFAULT_MASK);
}

/** A TCP or UDP header that is not all there ends the line: neither the owner nor the mark follows. */
function endsEarly(skb: Skb, ip: number, flags: number): boolean {
  const { view } = skb;
  const proto = view.getUint8(ip + 9);
  const off = ip + ((view.getUint8(ip) & 0x0f) << 2);
  const length = skb.tail - off;
  if ((view.getUint16(ip + 6) & IP_OFFSET) !== 0) return false;
  if (proto === IPPROTO_UDP || proto === IPPROTO_UDPLITE) return length < 8;
  if (proto !== IPPROTO_TCP) return false;
  return length < 20 || ((flags & LOG_TCPOPT) !== 0 && length < tcpHeaderLen(skb, off));
}

function tcpHeaderLen(skb: Skb, off: number): number {
  return (skb.view.getUint8(off + 12) >>> 4) << 2;
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

function macHeader(skb: Skb, flags: number): string {
  const { view, macOff } = skb;
  if (macOff < 0 || macOff === skb.data) return (flags & LOG_MACDECODE) !== 0 ? "" : "MAC= ";
  if ((flags & LOG_MACDECODE) !== 0) {
    const source = formatMac(view.getUint16(macOff + 6), view.getInt32(macOff + 8));
    const dest = formatMac(view.getUint16(macOff), view.getInt32(macOff + 2));
    return `MACSRC=${source} MACDST=${dest} MACPROTO=${view
      .getUint16(macOff + 12)
      .toString(16)
      .padStart(4, "0")} `;
  }
  const bytes = Array.from(skb.bytes.subarray(macOff, macOff + 14), hexByte);
  return `MAC=${bytes.join(":")} `;
}

/** dump_ipv4_packet; `outer` is false for the packet that an ICMP error quotes. */
function ipText(skb: Skb, ip: number, flags: number, outer: boolean): string {
  const { view } = skb;
  if (skb.tail - ip < 20) return "TRUNCATED";
  const tos = view.getUint8(ip + 1);
  const fragOff = view.getUint16(ip + 6);
  const headerLen = (view.getUint8(ip) & 0x0f) << 2;
  const offset = fragOff & IP_OFFSET;
  const parts = [
    `SRC=${formatIp4(view.getInt32(ip + 12))} DST=${formatIp4(view.getInt32(ip + 16))} `,
    `LEN=${view.getUint16(ip + 2)} TOS=0x${hexByte(tos & 0x1e).toUpperCase()} `,
    `PREC=0x${hexByte(tos & 0xe0).toUpperCase()} TTL=${view.getUint8(ip + 8)} ID=${view.getUint16(ip + 4)} `,
    (fragOff & IP_CE) !== 0 ? "CE " : "",
    (fragOff & IP_DF) !== 0 ? "DF " : "",
    (fragOff & IP_MF) !== 0 ? "MF " : "",
    offset !== 0 ? `FRAG:${offset} ` : "",
  ];
  if ((flags & LOG_IPOPT) !== 0 && headerLen > 20)
    parts.push(`OPT (${optionBytes(skb, ip + 20, ip + headerLen)}) `);
  parts.push(transportText(skb, ip, ip + headerLen, offset !== 0, flags, outer));
  return parts.join("");
}

function optionBytes(skb: Skb, from: number, to: number): string {
  return Array.from(skb.bytes.subarray(from, to), (byte) => hexByte(byte).toUpperCase()).join("");
}

function transportText(
  skb: Skb,
  ip: number,
  off: number,
  fragment: boolean,
  flags: number,
  outer: boolean,
): string {
  const { view } = skb;
  const proto = view.getUint8(ip + 9);
  const length = skb.tail - off;
  const incomplete = `INCOMPLETE [${length} bytes] `;
  switch (proto) {
    case IPPROTO_TCP:
      if (fragment) return "PROTO=TCP ";
      return `PROTO=TCP ${length < 20 ? incomplete : tcpText(skb, off, flags)}`;
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE: {
      const name = proto === IPPROTO_UDP ? "UDP" : "UDPLITE";
      if (fragment) return `PROTO=${name} `;
      if (length < 8) return `PROTO=${name} ${incomplete}`;
      return `PROTO=${name} SPT=${view.getUint16(off)} DPT=${view.getUint16(off + 2)} LEN=${view.getUint16(off + 4)} `;
    }
    case IPPROTO_ICMP:
      if (fragment) return "PROTO=ICMP ";
      return `PROTO=ICMP ${length < ICMP_HLEN ? incomplete : icmpText(skb, off, flags, outer)}`;
    case IPPROTO_AH:
    case IPPROTO_ESP: {
      const name = proto === IPPROTO_AH ? "AH" : "ESP";
      const spi = off + (proto === IPPROTO_AH ? 4 : 0);
      if (fragment) return `PROTO=${name} `;
      return `PROTO=${name} ${length < 8 ? incomplete : `SPI=0x${view.getUint32(spi).toString(16)} `}`;
    }
    default:
      return `PROTO=${proto} `;
  }
}

function tcpText(skb: Skb, off: number, flags: number): string {
  const { view } = skb;
  const bits = view.getUint8(off + 13);
  const headerLen = tcpHeaderLen(skb, off);
  const sequence =
    (flags & LOG_TCPSEQ) !== 0 ? `SEQ=${view.getUint32(off + 4)} ACK=${view.getUint32(off + 8)} ` : "";
  const reserved = hexByte((view.getUint8(off + 12) & 0x0f) << 2);
  const options =
    (flags & LOG_TCPOPT) === 0 || headerLen <= 20
      ? ""
      : skb.tail < off + headerLen
        ? "OPT (TRUNCATED)"
        : `OPT (${optionBytes(skb, off + 20, off + headerLen)}) `;
  const names = TCP_FLAGS.map(([bit, name]) => ((bits & bit) !== 0 ? name : "")).join("");
  return (
    `SPT=${view.getUint16(off)} DPT=${view.getUint16(off + 2)} ${sequence}` +
    `WINDOW=${view.getUint16(off + 14)} RES=0x${reserved} ${names}URGP=${view.getUint16(off + 18)} ${options}`
  );
}

function icmpText(skb: Skb, off: number, flags: number, outer: boolean): string {
  const { view } = skb;
  const type = view.getUint8(off);
  const code = view.getUint8(off + 1);
  const head = `TYPE=${type} CODE=${code} `;
  if (skb.tail - off < (ICMP_LENGTHS[type] ?? 0)) return `${head}INCOMPLETE [${skb.tail - off} bytes] `;
  if (type === ICMP_ECHO || type === ICMP_ECHOREPLY)
    return `${head}ID=${view.getUint16(off + 4)} SEQ=${view.getUint16(off + 6)} `;
  if (!icmpIsError(type)) return head;
  if (type === ICMP_PARAMETERPROB) return `${head}PARAMETER=${view.getUint8(off + 4)} `;
  const gateway = type === ICMP_REDIRECT ? `GATEWAY=${formatIp4(view.getInt32(off + 4))} ` : "";
  const quoted = outer ? `[${ipText(skb, off + 8, flags, false)}] ` : "";
  const mtu =
    type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED ? `MTU=${view.getUint16(off + 6)} ` : "";
  return head + gateway + quoted + mtu;
}

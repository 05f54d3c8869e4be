/**
 * The search for a free translation (get_unique_tuple, nf_nat_l4proto_unique_tuple; nf_nat_core.c of Linux 6.1). It runs
 * once for each new flow.
 */
import type { Prng } from "../../../util/prng.ts";
import { IPPROTO_ICMP } from "../../../wire/ipv4.ts";
import { type Conn, IP_CT_DIR_ORIGINAL, IP_CT_DIR_REPLY } from "../conntrack/conn.ts";
import type { Conntrack } from "../conntrack/conntrack-net.ts";
import { protoHasPorts, Tuple } from "../conntrack/tuple.ts";
import { jhash2Four, reciprocalScale } from "./jhash.ts";
import {
  type NatManip,
  type NatRange,
  NF_NAT_MANIP_DST,
  NF_NAT_MANIP_SRC,
  NF_NAT_RANGE_MAP_IPS,
  NF_NAT_RANGE_PERSISTENT,
  NF_NAT_RANGE_PROTO_OFFSET,
  NF_NAT_RANGE_PROTO_RANDOM_ALL,
  NF_NAT_RANGE_PROTO_SPECIFIED,
} from "./nat-range.ts";

const MAX_ATTEMPTS = 128;
const MIN_ATTEMPTS = 16;

const reply = new Tuple();

/** First port and number of ports of the search in work. */
let rangeMin = 0;
let rangeSize = 0;

/** Another connection has that translation already (nf_nat_used_tuple). */
export function nfNatUsedTuple(ct: Conntrack, tuple: Tuple, own: Conn): boolean {
  reply.copy(tuple);
  reply.invert();
  const zoneOrig = own.zoneOf(IP_CT_DIR_ORIGINAL);
  const zoneReply = own.zoneOf(IP_CT_DIR_REPLY);
  const other = ct.findUnder(reply, zoneReply, zoneOrig, zoneReply);
  if (other === null || other === own) return false;
  const sameFlow =
    other.zoneOf(IP_CT_DIR_ORIGINAL) === zoneOrig &&
    own.origSrc === other.origSrc &&
    own.origDst === other.origDst &&
    own.origSport === other.origSport &&
    own.origDport === other.origDport &&
    own.proto === other.proto;
  if (sameFlow) return false;
  ct.stats.found++;
  return true;
}

/** Port (ICMP: id) of the half that is rewritten lies in the range (l4proto_in_range). */
function portInRange(tuple: Tuple, manip: NatManip, range: NatRange): boolean {
  if (tuple.proto !== IPPROTO_ICMP && !protoHasPorts(tuple.proto)) return true;
  const source = manip === NF_NAT_MANIP_SRC || tuple.proto === IPPROTO_ICMP;
  const port = source ? tuple.sport : tuple.dport;
  return port >= range.minPort && port <= range.maxPort;
}

/** The source as it is satisfies the range (nf_in_range). */
function sourceInRange(tuple: Tuple, range: NatRange): boolean {
  if ((range.flags & NF_NAT_RANGE_MAP_IPS) !== 0) {
    const src = tuple.src >>> 0;
    if (src < range.minAddr >>> 0 || src > range.maxAddr >>> 0) return false;
  }
  return (range.flags & NF_NAT_RANGE_PROTO_SPECIFIED) === 0 || portInRange(tuple, NF_NAT_MANIP_SRC, range);
}

/** A mapping that the same source has for another flow, when it lies in the range (find_appropriate_src). */
function findAppropriateSource(
  ct: Conntrack,
  wanted: Tuple,
  out: Tuple,
  range: NatRange,
  zone: number,
): boolean {
  for (
    let other = ct.bySource.first(wanted.src, wanted.sport, wanted.proto);
    other !== null;
    other = other.natNext
  ) {
    if (other.origSrc !== wanted.src || other.origSport !== wanted.sport || other.proto !== wanted.proto)
      continue;
    if (other.zoneOf(IP_CT_DIR_ORIGINAL) !== zone) continue;
    out.set(other.proto, other.replSrc, other.replDst, other.replSport, other.replDport);
    out.invert();
    out.dst = wanted.dst;
    out.dport = wanted.dport;
    if (sourceInRange(out, range)) return true;
  }
  return false;
}

/** The address of the range that this pair of hosts gets (find_best_ips_proto). */
function chooseAddress(tuple: Tuple, range: NatRange, manip: NatManip, zone: number): void {
  if ((range.flags & NF_NAT_RANGE_MAP_IPS) === 0) return;
  let addr = range.minAddr;
  if (range.minAddr !== range.maxAddr) {
    const persistent = (range.flags & NF_NAT_RANGE_PERSISTENT) !== 0;
    const hash = persistent ? jhash2Four(tuple.src, 0, 0) : jhash2Four(tuple.src, tuple.dst, zone);
    // Of 32 bits, so that a range whose ends are exchanged is nearly everything.
    const count = (range.maxAddr - range.minAddr + 1) >>> 0;
    addr = (range.minAddr + reciprocalScale(hash, count)) | 0;
  }
  if (manip === NF_NAT_MANIP_SRC) tuple.src = addr;
  else tuple.dst = addr;
}

/** Sets where ports are searched; false: the port cannot be changed. */
function choosePortRange(tuple: Tuple, range: NatRange, manip: NatManip): boolean {
  if ((range.flags & NF_NAT_RANGE_PROTO_SPECIFIED) !== 0) {
    rangeMin = Math.min(range.minPort, range.maxPort);
    rangeSize = Math.max(range.minPort, range.maxPort) - rangeMin + 1;
    return true;
  }
  if (tuple.proto === IPPROTO_ICMP) {
    rangeMin = 0;
    rangeSize = 65536;
    return true;
  }
  if (manip === NF_NAT_MANIP_DST) return false;
  if (tuple.sport >= 1024) {
    rangeMin = 1024;
    rangeSize = 65536 - 1024;
  } else if (tuple.sport >= 512) {
    rangeMin = 600;
    rangeSize = 1024 - 600;
  } else {
    rangeMin = 1;
    rangeSize = 511;
  }
  return true;
}

/**
 * Tries ports from a random place on; for a destination from the first of the range, unless that is to be random too. When
 * all attempts fail the last one stays (nf_nat_l4proto_unique_tuple).
 */
function searchPort(
  ct: Conntrack,
  tuple: Tuple,
  range: NatRange,
  own: Conn,
  manip: NatManip,
  prng: Prng,
): void {
  if (tuple.proto !== IPPROTO_ICMP && !protoHasPorts(tuple.proto)) return;
  if (!choosePortRange(tuple, range, manip)) return;
  const source = manip === NF_NAT_MANIP_SRC || tuple.proto === IPPROTO_ICMP;
  let off: number;
  if ((range.flags & NF_NAT_RANGE_PROTO_OFFSET) !== 0) {
    off = ((source ? tuple.sport : tuple.dport) - (range.basePort ?? 0)) & 0xffff;
  } else {
    const random = manip !== NF_NAT_MANIP_DST || (range.flags & NF_NAT_RANGE_PROTO_RANDOM_ALL) !== 0;
    off = random ? prng.u32() >>> 16 : 0;
  }
  let attempts = Math.min(rangeSize, MAX_ATTEMPTS);
  for (;;) {
    for (let i = 0; i < attempts; i++) {
      const port = rangeMin + (off % rangeSize);
      off = (off + 1) & 0xffff;
      if (source) tuple.sport = port;
      else tuple.dport = port;
      if (!nfNatUsedTuple(ct, tuple, own)) return;
    }
    if (attempts >= rangeSize || attempts < MIN_ATTEMPTS) return;
    attempts >>= 1;
    off = prng.u32() >>> 16;
  }
}

/**
 * Fills `tuple` with what packets of `own` look like after the translation; `orig` is what they look like before it.
 */
export function getUniqueTuple(
  ct: Conntrack,
  tuple: Tuple,
  orig: Tuple,
  range: NatRange,
  own: Conn,
  manip: NatManip,
  prng: Prng,
): void {
  const random = (range.flags & NF_NAT_RANGE_PROTO_RANDOM_ALL) !== 0;
  if (manip === NF_NAT_MANIP_SRC && !random) {
    if (sourceInRange(orig, range)) {
      tuple.copy(orig);
      if (!nfNatUsedTuple(ct, orig, own)) return;
    } else if (
      findAppropriateSource(ct, orig, tuple, range, own.zoneOf(IP_CT_DIR_ORIGINAL)) &&
      !nfNatUsedTuple(ct, tuple, own)
    ) {
      return;
    }
  }
  tuple.copy(orig);
  chooseAddress(tuple, range, manip, own.zone);
  if (!random) {
    if ((range.flags & NF_NAT_RANGE_PROTO_SPECIFIED) !== 0) {
      const keep = (range.flags & NF_NAT_RANGE_PROTO_OFFSET) === 0 && portInRange(tuple, manip, range);
      if (keep && (range.minPort === range.maxPort || !nfNatUsedTuple(ct, tuple, own))) return;
    } else if (!nfNatUsedTuple(ct, tuple, own)) {
      return;
    }
  }
  searchPort(ct, tuple, range, own, manip, prng);
}

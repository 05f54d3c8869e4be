/** Writing to a field of the IP header or the ports (net/netfilter/nft_payload.c nft_payload_set_eval), checksums patched. */
import { csumPatch16, csumPatch32 } from "../../../wire/checksum.ts";
import { IP_OFFSET, IPPROTO_TCP, IPPROTO_UDP } from "../../../wire/ipv4.ts";
import type { Skb } from "../../core/skb.ts";
import type { Selector } from "./nft-selector.ts";

const IP_CHECK = 10;
const TCP_CHECK = 16;
const UDP_CHECK = 6;
/** What 0 is written as (CSUM_MANGLED_0). */
const MANGLED_0 = 0xffff;

/** False: the packet has no such field. `data` of the packet stands at its IP header. */
export function nftPayloadSet(field: Selector, skb: Skb, value: number): boolean {
  const { view, data } = skb;
  const isFragment = (view.getUint16(data + 6) & IP_OFFSET) !== 0;
  const l4 = data + ((view.getUint8(data) & 0x0f) << 2);
  const proto = view.getUint8(data + 9);
  if (field.proto === "ip") {
    if (field.size === 4) {
      const sum = isFragment ? -1 : transportCheck(skb, l4, proto);
      if (sum >= 0) skb.ensureWritable(l4, sum + 2);
      writeWord(skb, data + field.off, data + IP_CHECK, sum, value | 0);
    } else writeByte(skb, data, data + field.off, data + IP_CHECK, value);
    return true;
  }
  if (isFragment || l4 + field.off + field.size > skb.tail) return false;
  const check = field.proto === "tcp" ? TCP_CHECK : field.proto === "udp" ? UDP_CHECK : -1;
  if (check >= 0 && l4 + check + 2 > skb.tail) return false;
  skb.ensureWritable(l4, l4 + Math.max(check, field.off) + 2);
  const at = l4 + field.off;
  if (check >= 0) patch16(skb, l4 + check, view.getUint16(at), value);
  view.setUint16(at, value);
  return true;
}

/** Where the checksum over the pseudo header is, -1 when there is none (nft_payload_l4csum_offset). */
function transportCheck({ view, tail }: Skb, l4: number, proto: number): number {
  const at = proto === IPPROTO_TCP ? l4 + TCP_CHECK : proto === IPPROTO_UDP ? l4 + UDP_CHECK : -1;
  if (at < 0 || at + 2 > tail) return -1;
  return proto === IPPROTO_UDP && view.getUint16(at) === 0 ? -1 : at;
}

function writeWord({ view }: Skb, at: number, ipCheck: number, l4Check: number, value: number): void {
  const old = view.getInt32(at);
  view.setUint16(ipCheck, csumPatch32(view.getUint16(ipCheck), old, value) || MANGLED_0);
  if (l4Check >= 0) view.setUint16(l4Check, csumPatch32(view.getUint16(l4Check), old, value) || MANGLED_0);
  view.setInt32(at, value);
}

/** Two bytes are read and written, the other one as it was. */
function writeByte(skb: Skb, from: number, at: number, ipCheck: number, value: number): void {
  const { view } = skb;
  const even = from + ((at - from) & ~1);
  const old = view.getUint16(even);
  const shift = even === at ? 8 : 0;
  const changed = (old & (0xff00 >>> shift)) | (value << shift);
  patch16(skb, ipCheck, old, changed);
  view.setUint16(even, changed);
}

function patch16({ view }: Skb, check: number, from: number, to: number): void {
  view.setUint16(check, csumPatch16(view.getUint16(check), from, to) || MANGLED_0);
}

/** The text of an Ethernet frame and of ARP (tcpdump 4.99 print-ether.c, print-arp.c). */
import { formatIp4, formatMac } from "../wire/address.ts";
import { ARPOP_REPLY, ARPOP_REQUEST } from "../wire/arp.ts";
import { ETH_HLEN, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from "../wire/ethernet.ts";
import { type DissectContext, hexWords } from "./dissect-context.ts";
import { printIp4 } from "./dissect-ip.ts";
import { printIp6 } from "./dissect-ip6.ts";

/** Smaller values of the type field are a length (IEEE 802.3). */
const MAX_ETHERNET_LENGTH = 1500;

const ETHERTYPES: ReadonlyMap<number, string> = new Map([
  [ETH_P_IP, "IPv4"],
  [ETH_P_ARP, "ARP"],
  [0x8035, "Reverse ARP"],
  [ETH_P_IPV6, "IPv6"],
  [0x8100, "802.1Q"],
  [0x88a8, "802.1Q-QinQ"],
  [0x88cc, "LLDP"],
  [0x8847, "MPLS unicast"],
  [0x888e, "EAPOL"],
  [0x9000, "Loopback"],
]);

function macAt(ctx: DissectContext, off: number): string {
  return formatMac(ctx.u16(off), ctx.i32(off + 2));
}

function printHeader(ctx: DissectContext, off: number, type: number, lenBytes: number): void {
  ctx.put(`${macAt(ctx, off + 6)} > ${macAt(ctx, off)}, `);
  if (type <= MAX_ETHERNET_LENGTH) ctx.put("802.3");
  else if (ctx.options.quiet) ctx.put(ETHERTYPES.get(type) ?? "Unknown Ethertype (0x" + hex4(type) + ")");
  else ctx.put(`ethertype ${ETHERTYPES.get(type) ?? "Unknown"} (0x${hex4(type)})`);
  ctx.put(`, length ${lenBytes}: `);
}

function hex4(value: number): string {
  return value.toString(16).padStart(4, "0");
}

/** Prints the frame of `lenBytes` (on the wire) at `off`. */
export function printEther(ctx: DissectContext, off: number, lenBytes: number): void {
  ctx.protocol = "ether";
  if (lenBytes < ETH_HLEN || !ctx.has(off, ETH_HLEN)) {
    ctx.put(" [|ether]");
    return;
  }
  const type = ctx.u16(off + 12);
  if (ctx.options.link) printHeader(ctx, off, type, lenBytes);
  const inner = off + ETH_HLEN;
  const innerLen = lenBytes - ETH_HLEN;
  if (type === ETH_P_IP) {
    printIp4(ctx, inner, innerLen);
  } else if (type === ETH_P_ARP) {
    printArp(ctx, inner, innerLen);
  } else if (type === ETH_P_IPV6) {
    printIp6(ctx, inner, innerLen);
  } else {
    if (!ctx.options.link) printHeader(ctx, off, type, lenBytes);
    if (!ctx.options.quiet) printHexAscii(ctx, inner, ctx.snapEnd);
  }
}

function printArp(ctx: DissectContext, off: number, lenBytes: number): void {
  ctx.protocol = "arp";
  ctx.need(off, 8);
  const protocol = ctx.u16(off + 2);
  const hardwareLen = ctx.u8(off + 4);
  const protocolLen = ctx.u8(off + 5);
  ctx.need(off + 8, 2 * (hardwareLen + protocolLen));
  if (!ctx.options.link) ctx.put("ARP, ");
  if (ctx.options.verbose > 0 || hardwareLen !== 6 || protocolLen !== 4 || protocol !== ETH_P_IP) {
    const hardware = ctx.u16(off);
    const hardwareName = hardware === 1 ? "Ethernet" : `Unknown Hardware (${hardware})`;
    const protocolName = ETHERTYPES.get(protocol) ?? `Unknown Protocol (0x${hex4(protocol)})`;
    ctx.put(`${hardwareName} (len ${hardwareLen}), ${protocolName} (len ${protocolLen})`);
    if (protocol === ETH_P_IP) ctx.put(", ");
  }
  const text = protocol === ETH_P_IP ? arpText(ctx, off) : "";
  if (text === null) printHexAscii(ctx, off, ctx.snapEnd);
  else ctx.put(`${text}, length ${lenBytes}`);
}

/** What the message says; null, with only its name printed, when the operation has no words. */
function arpText(ctx: DissectContext, off: number): string | null {
  const op = ctx.u16(off + 6);
  const sha = macAt(ctx, off + 8);
  const spa = formatIp4(ctx.i32(off + 14));
  const tha = macAt(ctx, off + 18);
  const tpa = formatIp4(ctx.i32(off + 24));
  const asked = tha === "00:00:00:00:00:00" ? "" : ` (${tha})`;
  switch (op) {
    case ARPOP_REQUEST:
      return `Request who-has ${tpa}${asked} tell ${spa}`;
    case ARPOP_REPLY:
      return `Reply ${spa} is-at ${sha}`;
    case 3:
      return `Reverse Request who-is ${tha} tell ${sha}`;
    case 4:
      return `Reverse Reply ${tha} at ${tpa}`;
    case 8:
      return `Inverse Request who-is ${tha} tell ${sha}`;
    case 9:
      return `Inverse Reply ${sha} at ${spa}`;
    default:
      ctx.put(op === 10 ? "NACK Reply " : `Unknown (${op}) `);
      return null;
  }
}

/** The bytes `[off, end)` sixteen a line, in hexadecimal and ASCII (hex_and_ascii_print). */
function printHexAscii(ctx: DissectContext, off: number, end: number): void {
  for (let line = off; line < end; line += 16) {
    const bytes = ctx.bytes.subarray(line, Math.min(line + 16, end));
    let ascii = "";
    for (const byte of bytes) ascii += byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".";
    ctx.put(`\n\t0x${hex4(line - off)}:  ${hexWords(bytes).padEnd(39)}  ${ascii}`);
  }
}

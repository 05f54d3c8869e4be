/** The text of a frame of `tcpdump -i any`: LINUX_SLL2 (tcpdump 4.99 print-sll.c), as a device's frame would give it. */
import {
  PACKET_BROADCAST,
  PACKET_MULTICAST,
  PACKET_OTHERHOST,
  PACKET_OUTGOING,
  type PacketType,
} from "../net/core/skb.ts";
import { formatMac } from "../wire/address.ts";
import { ETH_HLEN } from "../wire/ethernet.ts";
import { clockText, type Dissector } from "./dissect.ts";
import { type CapturedFrame, LINKTYPE_RAW } from "./frame.ts";

const SLL2_HLEN = 20;

function typeText(type: PacketType): string {
  if (type === PACKET_OUTGOING) return "Out";
  if (type === PACKET_BROADCAST) return "B";
  if (type === PACKET_MULTICAST) return "M";
  return type === PACKET_OTHERHOST ? "P" : "In";
}

/**
 * The line of a frame that passed `name`: device and direction come after the time, and with -e the sender's address
 * alone. `dissector` must have been made with the same `-e` (`link`).
 */
export function cookedText(
  dissector: Dissector,
  frame: CapturedFrame,
  name: string,
  ifindex: number,
  type: PacketType,
  link: boolean,
  linkType: number,
): string {
  const stamp = dissector.options.noTime ? "" : `${clockText(frame.sec, frame.nsec)} `;
  const where = `${name.padEnd(5)} ${typeText(type).padEnd(3)} `;
  const text = dissector.frameText(frame.bytes, frame.origLen, linkType);
  if (link && linkType === LINKTYPE_RAW) {
    const length = frame.origLen + SLL2_HLEN;
    return `${stamp}${where}ifindex ${ifindex} ethertype IPv4 (0x0800), length ${length}: ${text.replace("ip: ", "")}`;
  }
  if (!link || frame.bytes.length < ETH_HLEN) return stamp + where + text;
  const view = new DataView(frame.bytes.buffer, frame.bytes.byteOffset, frame.bytes.length);
  const source = formatMac(view.getUint16(6), view.getInt32(8));
  const cooked = text.replace(/^.*?, (ethertype .*?), length ([0-9]+): /, (_all, kind, length) => {
    return `${source} ${kind}, length ${Number(length) - ETH_HLEN + SLL2_HLEN}: `;
  });
  return `${stamp}${where}ifindex ${ifindex} ${cooked}`;
}

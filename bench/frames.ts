/** Frames as a client's card sends them: prepared once, sent many times. */
import { inetChecksum, pseudoHeaderSum } from "../src/wire/checksum.ts";
import { ETH_HLEN, ETH_P_IP, setEthDst, setEthSrc, setEthType } from "../src/wire/ethernet.ts";
import { IP_HLEN, IPPROTO_UDP, ipChecksumSet } from "../src/wire/ipv4.ts";
import { UDP_HLEN } from "../src/wire/udp.ts";

export interface Endpoint {
  /** MAC address, upper 16 and lower 32 bits. */
  readonly hi: number;
  readonly lo: number;
  /** IPv4 address, int32. */
  readonly addr: number;
}

/** An Ethernet frame of `frameBytes` bytes (without checksum) that holds a UDP datagram. */
export function udpFrame(
  from: Endpoint,
  to: Endpoint,
  sport: number,
  dport: number,
  frameBytes: number,
): Uint8Array {
  const frame = new Uint8Array(frameBytes);
  const view = new DataView(frame.buffer);
  setEthDst(view, 0, to.hi, to.lo);
  setEthSrc(view, 0, from.hi, from.lo);
  setEthType(view, 0, ETH_P_IP);
  const ip = ETH_HLEN;
  view.setUint16(ip, 0x4500);
  view.setUint16(ip + 2, frameBytes - ip);
  view.setUint16(ip + 4, sport);
  view.setUint16(ip + 6, 0x4000);
  view.setUint16(ip + 8, (64 << 8) | IPPROTO_UDP);
  view.setInt32(ip + 12, from.addr);
  view.setInt32(ip + 16, to.addr);
  ipChecksumSet(view, ip);
  const udp = ip + IP_HLEN;
  const length = frameBytes - udp;
  view.setUint16(udp, sport);
  view.setUint16(udp + 2, dport);
  view.setUint16(udp + 4, length);
  for (let i = udp + UDP_HLEN; i < frameBytes; i++) frame[i] = i & 0xff;
  const sum = pseudoHeaderSum(from.addr, to.addr, IPPROTO_UDP, length);
  view.setUint16(udp + 6, inetChecksum(view, udp, length, sum) || 0xffff);
  return frame;
}

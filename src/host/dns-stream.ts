/** DNS messages on a TCP stream: two bytes of length before each (RFC 1035 section 4.2.2). */
import type { TcpSock } from "../net/ipv4/tcp-sock.ts";
import type { Co } from "./process.ts";
import { recvTcp } from "./socket.ts";

export function frameDns(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(message.length + 2);
  bytes[0] = message.length >>> 8;
  bytes[1] = message.length & 0xff;
  bytes.set(message, 2);
  return bytes;
}

/** The next message without its length; null at the end of the stream and when nothing comes for `timeoutNs`. */
export function* readDnsFrame(sk: TcpSock, timeoutNs: number): Co<Uint8Array | null> {
  let bytes = new Uint8Array(0);
  for (;;) {
    if (bytes.length >= 2) {
      const length = (bytes[0] << 8) | bytes[1];
      if (bytes.length >= 2 + length) return bytes.slice(2, 2 + length);
    }
    const more = yield* recvTcp(sk, 65537, timeoutNs);
    if (more === null || more.length === 0) return null;
    const joined = new Uint8Array(bytes.length + more.length);
    joined.set(bytes);
    joined.set(more, bytes.length);
    bytes = joined;
  }
}

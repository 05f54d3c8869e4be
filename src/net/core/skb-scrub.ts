/** What a packet loses when it changes namespace or is wrapped up (skb_scrub_packet in net/core/skbuff.c). */
import type { Skb } from "./skb.ts";

/** What is read of a sending socket: its transmit hash (sk_txhash), 0 when it has none. */
interface HashedSock {
  readonly txHash?: number;
}

/** The flow hash that a packet has from its socket (skb_set_hash_from_sk); 0 when none. */
export function skbSockHash(skb: Skb): number {
  if (skb.hash !== 0) return skb.hash;
  if (skb.sk === null) return 0;
  return (skb.sk as HashedSock).txHash ?? 0;
}

/**
 * Takes off route, connection, bridge state and the like; with `xnet` (another namespace) also mark and IPVS. The socket
 * is left behind, its flow hash stays.
 */
export function skbScrubPacket(skb: Skb, xnet: boolean): void {
  const { mark, ipvsProperty } = skb;
  skb.hash = skbSockHash(skb);
  skb.scrub();
  if (xnet) return;
  skb.mark = mark;
  skb.ipvsProperty = ipvsProperty;
}

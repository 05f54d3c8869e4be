/**
 * Peers of an overlay (libnetwork drivers/overlay/peerdb.go): who has which address behind which tunnel endpoint. Remote
 * peers become a permanent neighbour and a permanent FDB entry on the VXLAN device, if the namespace exists.
 */
import type { NetDevice } from "../../net/core/net-device.ts";
import { fdbDel, fdbReplace } from "../../net/ctl/fdb.ts";
import { neighbourDel, neighbourReplace } from "../../net/ctl/neighbour.ts";
import { SysError } from "../../util/errors.ts";
import { DOCKER_MAC_HI } from "./links.ts";
import type { PeerRecord } from "./network-db.ts";

interface Peer {
  readonly endpointId: string;
  readonly record: PeerRecord;
}

export class PeerDb {
  /** Peers by network, in the order they came. */
  private readonly networks = new Map<string, Peer[]>();

  /** Adds a remote peer; programs it when `vxlan` is there and nobody else claims the address. */
  add(networkId: string, endpointId: string, record: PeerRecord, vxlan: NetDevice | null): void {
    let peers = this.networks.get(networkId);
    if (peers === undefined) {
      peers = [];
      this.networks.set(networkId, peers);
    }
    const claimed = peers.some((peer) => peer.record.endpointIp === record.endpointIp);
    peers.push({ endpointId, record });
    if (vxlan !== null && !claimed) program(vxlan, record);
  }

  /** Forgets a remote peer; the next one that claims its address is programmed instead. */
  delete(networkId: string, endpointId: string, vxlan: NetDevice | null): void {
    const peers = this.networks.get(networkId);
    const index = peers?.findIndex((peer) => peer.endpointId === endpointId) ?? -1;
    if (peers === undefined || index < 0) return;
    const [{ record }] = peers.splice(index, 1);
    const wasFirst =
      peers.findIndex((peer) => peer.record.endpointIp === record.endpointIp) >= index || index === 0;
    const next = peers.find((peer) => peer.record.endpointIp === record.endpointIp);
    if (vxlan === null || (next !== undefined && !wasFirst)) return;
    unprogram(vxlan, record);
    if (next !== undefined) program(vxlan, next.record);
  }

  /** Programs all peers of a network whose namespace has just been made. */
  init(networkId: string, vxlan: NetDevice): void {
    const done = new Set<number>();
    for (const { record } of this.networks.get(networkId) ?? []) {
      if (done.has(record.endpointIp)) continue;
      done.add(record.endpointIp);
      program(vxlan, record);
    }
  }

  forget(networkId: string): void {
    this.networks.delete(networkId);
  }

  /** Tunnel endpoints of a network's remote peers. */
  tunnels(networkId: string): number[] {
    return [...new Set((this.networks.get(networkId) ?? []).map((peer) => peer.record.tunnelIp))];
  }
}

/** NeighSet replaces: of an entry that was learned while nobody programmed it, it makes a permanent one. */
function program(vxlan: NetDevice, record: PeerRecord): void {
  neighbourReplace(vxlan, record.endpointIp, DOCKER_MAC_HI, record.endpointIp);
  fdbReplace(vxlan, { macHi: DOCKER_MAC_HI, macLo: record.endpointIp, dst: record.tunnelIp });
}

function unprogram(vxlan: NetDevice, record: PeerRecord): void {
  quietly(() => fdbDel(vxlan, { macHi: DOCKER_MAC_HI, macLo: record.endpointIp, dst: record.tunnelIp }));
  quietly(() => neighbourDel(vxlan, record.endpointIp));
}

/** What a user has deleted by hand is no error. */
function quietly(request: () => void): void {
  try {
    request();
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}

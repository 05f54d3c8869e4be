/** State of a bridge and of its ports (net/bridge/br_private.h). */
import { SEC } from "../../sim/sim.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NfBridgeInfo } from "../core/nf-bridge.ts";
import { BridgeFdb } from "./br-fdb.ts";

export const BR_STATE_DISABLED = 0;
export const BR_STATE_FORWARDING = 3;
export type PortState = 0 | 3;

export class BridgePort {
  readonly br: Bridge;
  readonly dev: NetDevice;
  /** From 1; the lowest number that is free. */
  readonly portNo: number;
  state: PortState = BR_STATE_DISABLED;
  /** From the speed of the device: 2 for 10 Gbit/s, 100 when it has none to tell. */
  readonly pathCost: number;
  hairpin = false;
  learning = true;
  flood = true;
  mcastFlood = true;
  bcastFlood = true;
  isolated = false;
  /** The VLAN that the port was given when it joined, 0 none; only shows in the FDB, as VLANs are not filtered. */
  pvid: number;
  /** What br_netfilter puts on a packet that came in here: before and after ip_rcv had its turn. */
  readonly nfFirst: NfBridgeInfo;
  readonly nfDone: NfBridgeInfo;
  /** As nfDone, of a frame to another station that the hooks at PRE_ROUTING see as one to this host (pkt_otherhost). */
  readonly nfOther: NfBridgeInfo;
  /** The same with the port that it goes out by, by number of that port. */
  private readonly nfOut: (NfBridgeInfo | undefined)[] = [];

  constructor(br: Bridge, dev: NetDevice, portNo: number, pathCost: number, pvid: number) {
    this.br = br;
    this.dev = dev;
    this.portNo = portNo;
    this.pathCost = pathCost;
    this.pvid = pvid;
    this.nfFirst = { physIn: dev, physOut: null, sabotage: true };
    this.nfDone = { physIn: dev, physOut: null, sabotage: false };
    this.nfOther = { physIn: dev, physOut: null, sabotage: false };
  }

  /** The shared state of packets bridged from this port to `out`. */
  nfTo(out: BridgePort): NfBridgeInfo {
    const known = this.nfOut[out.portNo];
    if (known !== undefined && known.physOut === out.dev) return known;
    const info = { physIn: this.dev, physOut: out.dev, sabotage: false };
    this.nfOut[out.portNo] = info;
    return info;
  }
}

export class Bridge {
  readonly dev: NetDevice;
  /** Newest first, which is the order of flooding. */
  readonly ports: BridgePort[] = [];
  readonly fdb: BridgeFdb<BridgePort>;
  ageingNs = 300 * SEC;
  /** The VLAN that ports get, 0 none. */
  defaultPvid = 1;
  /** Whether the bridge itself has the VLAN `defaultPvid`. */
  hasPvid = false;
  /** Somebody set the MTU, so that it no longer follows the ports. */
  mtuSetByUser = false;
  groupFwdMask = 0;
  /** When it last complained of its own address as a source, ns. */
  warnedNs = Number.NEGATIVE_INFINITY;
  /** When it went up, ns. */
  openedNs = 0;

  constructor(dev: NetDevice) {
    this.dev = dev;
    this.fdb = new BridgeFdb<BridgePort>();
  }
}

/** The bridge behind a bridge device, else null. */
export function bridgeOf(dev: NetDevice): Bridge | null {
  return dev.ops.kind === "bridge" ? (dev.priv as Bridge) : null;
}

/** The port that a device is, else null. */
export function bridgePortOf(dev: NetDevice): BridgePort | null {
  return dev.bridgePort as BridgePort | null;
}

/**
 * The overlay driver (libnetwork drivers/overlay): a namespace with bridge and VXLAN device for each network that has a
 * local endpoint. It is made with the first endpoint and goes with the last.
 */
import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { linkAdd, linkDel, linkSetAddress, linkSetMtu } from "../../net/ctl/link.ts";
import type { Prng } from "../../util/prng.ts";
import { OverlayEncryption } from "./encryption.ts";
import { programEncryption } from "./iptables-setup.ts";
import {
  addBridgeInterface,
  addInterface,
  createVethPair,
  DOCKER_MAC_HI,
  randomVethName,
  setupNamespace,
} from "./links.ts";
import type { PeerRecord } from "./network-db.ts";
import { PeerDb } from "./peer-db.ts";
import type { Endpoint, LocalNetwork } from "./types.ts";

const VXLAN_ENCAP = 50;
const ENCRYPTION_OVERHEAD = 26;
const DEFAULT_MTU = 1500;
export const VXLAN_ID_LIST = "com.docker.network.driver.overlay.vxlanid_list";
const MTU_OPTION = "com.docker.network.driver.mtu";
/** Thresholds of the neighbour table that the driver raises (ostweaks_linux.go). */
const GC_THRESH = [8192, 49152, 65536];

interface OverlayState {
  readonly network: LocalNetwork;
  readonly vni: number;
  readonly mtu: number;
  readonly encrypted: boolean;
  ns: NetNs | null;
  bridge: NetDevice | null;
  vxlan: NetDevice | null;
  joins: number;
  nextVeth: number;
  epoch: number;
}

export class OverlayDriver {
  private readonly hostNs: NetNs;
  private readonly prng: Prng;
  private readonly dataPathPort: number;
  private readonly tunnelIp: number;
  private readonly networks = new Map<string, OverlayState>();
  private readonly peerDb = new PeerDb();
  readonly encryption: OverlayEncryption;
  private tested = false;

  /** `tunnelIp` is this node's VXLAN tunnel endpoint. */
  constructor(hostNs: NetNs, prng: Prng, tunnelIp: number, dataPathPort: number) {
    this.hostNs = hostNs;
    this.prng = prng;
    this.tunnelIp = tunnelIp;
    this.encryption = new OverlayEncryption(hostNs, tunnelIp);
    this.dataPathPort = dataPathPort;
    GC_THRESH.forEach((value, i) => {
      const name = `net.ipv4.neigh.default.gc_thresh${i + 1}`;
      if (Number(hostNs.sysctl.get(name)) < value) hostNs.sysctl.set(name, String(value));
    });
  }

  createNetwork(network: LocalNetwork): void {
    const encrypted = network.options.has("encrypted");
    const base = Number(network.options.get(MTU_OPTION) ?? DEFAULT_MTU) - VXLAN_ENCAP;
    const vni = Number(network.options.get(VXLAN_ID_LIST));
    // An encrypted network that had this VNI before may have left its rules.
    if (!encrypted) programEncryption(this.hostNs, vni, this.dataPathPort, false);
    this.networks.set(network.id, {
      network,
      vni,
      mtu: encrypted ? (base - ENCRYPTION_OVERHEAD) & ~3 : base,
      encrypted,
      ns: null,
      bridge: null,
      vxlan: null,
      joins: 0,
      nextVeth: 0,
      epoch: 0,
    });
  }

  deleteNetwork(network: LocalNetwork): void {
    this.networks.delete(network.id);
    this.peerDb.forget(network.id);
  }

  /** Makes the endpoint's veth pair: one end a port of br0, the other for the sandbox. Returns what others must know. */
  join(endpoint: Endpoint): PeerRecord {
    const state = this.networks.get(endpoint.network.id)!;
    if (state.joins++ === 0) this.initSandbox(state);
    const { dev, peer } = createVethPair(this.hostNs, randomVethName(this.prng), randomVethName(this.prng));
    linkSetMtu(dev, state.mtu);
    addInterface(dev, state.ns!, `veth${state.nextVeth++}`, { master: state.bridge! });
    linkSetMtu(peer, state.mtu);
    linkSetAddress(peer, DOCKER_MAC_HI, endpoint.addr);
    endpoint.dev = peer;
    if (state.encrypted)
      for (const tunnel of this.peerDb.tunnels(endpoint.network.id)) this.encryption.setup(tunnel);
    return { endpointIp: endpoint.addr, prefixLen: endpoint.network.prefixLen, tunnelIp: this.tunnelIp };
  }

  /** The endpoint's pair goes; with the last one the namespace. */
  leave(endpoint: Endpoint): void {
    const state = this.networks.get(endpoint.network.id);
    if (endpoint.dev !== null) linkDel(endpoint.dev);
    endpoint.dev = null;
    if (state === undefined || --state.joins > 0) return;
    if (state.encrypted) programEncryption(this.hostNs, state.vni, this.dataPathPort, false);
    this.hostNs.kernel.deleteNs(state.ns!);
    state.ns = null;
    state.bridge = null;
    state.vxlan = null;
  }

  peerAdd(networkId: string, endpointId: string, record: PeerRecord): void {
    if (record.tunnelIp === this.tunnelIp) return;
    const state = this.networks.get(networkId);
    const vxlan = state?.vxlan ?? null;
    if (state?.encrypted === true && vxlan !== null) this.encryption.setup(record.tunnelIp);
    this.peerDb.add(networkId, endpointId, record, vxlan);
  }

  peerDelete(networkId: string, endpointId: string, record: PeerRecord): void {
    if (record.tunnelIp === this.tunnelIp) return;
    this.peerDb.delete(networkId, endpointId, this.networks.get(networkId)?.vxlan ?? null);
  }

  private initSandbox(state: OverlayState): void {
    const { network, vni } = state;
    this.testVxlan();
    state.epoch++;
    state.nextVeth = 0;
    const key = `${state.epoch}-${network.id}`.slice(0, 12);
    const ns = this.hostNs.kernel.createNs(`ovl-${network.name}`, `/var/run/docker/netns/${key}`);
    setupNamespace(ns);
    const suffix = `${vni.toString(16).padStart(6, "0")}-${network.id.slice(0, 5)}`;
    const bridge = addBridgeInterface(ns, `ov-${suffix}`, "br0", {
      addr: network.gateway,
      prefixLen: network.prefixLen,
    });
    const created = this.createVxlan(`vx-${suffix}`, vni, state.mtu);
    const vxlan = addInterface(created, ns, "vxlan0", { master: bridge });
    if (state.encrypted) programEncryption(this.hostNs, vni, this.dataPathPort, true);
    state.ns = ns;
    state.bridge = bridge;
    state.vxlan = vxlan;
    this.peerDb.init(network.id, vxlan);
  }

  private createVxlan(name: string, vni: number, mtu: number): NetDevice {
    return linkAdd(this.hostNs, {
      kind: "vxlan",
      name,
      vni,
      learning: true,
      proxy: true,
      l2miss: true,
      l3miss: true,
      dstPort: this.dataPathPort,
      txQueueLen: 0,
      mtu,
    });
  }

  /** Once in a daemon's life: can this kernel make VXLAN devices at all? Takes an interface index. */
  private testVxlan(): void {
    if (this.tested) return;
    this.tested = true;
    linkDel(this.createVxlan("testvxlan", 1, 0));
  }
}

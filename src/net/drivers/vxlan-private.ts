/** State of a VXLAN device and of the sockets of a namespace (include/net/vxlan.h, RFC 7348). */
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { UdpSock } from "../ipv4/udp-sock.ts";
import { VxlanFdb } from "./vxlan-fdb.ts";

/** Bytes around an inner IP packet on an IPv4 underlay: IP 20, UDP 8, VXLAN 8, Ethernet 14. */
export const VXLAN_HEADROOM = 50;

/** What is asked for when a device is made; the kernel's defaults when absent. */
export interface VxlanConfig {
  readonly vni: number;
  /** Outer UDP destination port; the kernel's default is 8472, everybody gives 4789. */
  readonly dstPort: number;
  /** Source address of outer packets, int32; 0: the route's. */
  readonly local: number;
  /** Default remote, int32; 0: none. */
  readonly remote: number;
  /** Outer source ports; 0 0: the namespace's local port range. */
  readonly portMin: number;
  readonly portMax: number;
  readonly learning: boolean;
  readonly proxy: boolean;
  readonly l2miss: boolean;
  readonly l3miss: boolean;
  /** 0: the route's default. */
  readonly ttl: number;
  readonly tos: number;
  /** VXLAN_DF_UNSET 0, VXLAN_DF_SET 1, VXLAN_DF_INHERIT 2: the outer header's DF. */
  readonly df: number;
  readonly ageingSec: number;
  readonly udpCsum: boolean;
  /** Lower device; sets the MTU. */
  readonly lower: NetDevice | null;
}

export const VXLAN_DEFAULTS: VxlanConfig = {
  vni: 0,
  dstPort: 8472,
  local: 0,
  remote: 0,
  portMin: 0,
  portMax: 0,
  learning: true,
  proxy: false,
  l2miss: false,
  l3miss: false,
  ttl: 0,
  tos: 0,
  df: 0,
  ageingSec: 300,
  udpCsum: true,
  lower: null,
};

export class VxlanDev {
  readonly dev: NetDevice;
  cfg: VxlanConfig;
  /** The underlay: the namespace that the device was made in keeps its socket, wherever the device goes. */
  readonly net: NetNs;
  readonly fdb: VxlanFdb;
  /** Frames for a MAC address, and ARP requests for an address, that nobody knows (the netlink messages L2MISS, L3MISS). */
  l2Misses = 0;
  l3Misses = 0;
  txErrors = 0;
  txCarrierErrors = 0;
  rxErrors = 0;
  rxFrameErrors = 0;

  constructor(dev: NetDevice, cfg: VxlanConfig) {
    this.dev = dev;
    this.cfg = cfg;
    this.net = dev.ns;
    this.fdb = new VxlanFdb(cfg.ageingSec);
  }
}

/** The receiving socket of a port, shared by all devices of the namespace that use the port. */
export class VxlanSock {
  readonly port: number;
  readonly sock: UdpSock;
  /** Devices that are up, by VNI. */
  readonly devs = new Map<number, VxlanDev>();

  constructor(port: number, sock: UdpSock) {
    this.port = port;
    this.sock = sock;
  }
}

/** VXLAN of an underlay namespace. */
export class VxlanNet {
  /** Sockets by port. */
  readonly socks = new Map<number, VxlanSock>();
  /** Every device made here, up or not. */
  readonly devs: VxlanDev[] = [];
}

/** Made on first use. */
export function vxlanNetOf(ns: NetNs): VxlanNet {
  if (ns.vxlan === null) ns.vxlan = new VxlanNet();
  return ns.vxlan as VxlanNet;
}

/** The VXLAN state of a device, null when it is none. */
export function vxlanOf(dev: NetDevice): VxlanDev | null {
  return dev.ops.kind === "vxlan" ? (dev.priv as VxlanDev) : null;
}

/**
 * Tunnels that wrap a packet in one more IP header (net/ipv4/ip_tunnel.c, include/net/ip_tunnels.h): their parameters, the
 * table of a namespace, making, changing and deleting them. Transmission is in `ip-tunnel-xmit.ts`, the kind in `ipip.ts`.
 */
import { SysError } from "../../util/errors.ts";
import { type DeviceOps, IFF_NOARP, IFF_POINTOPOINT, IFF_UP, type NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { ipRouteOutput } from "../ipv4/route.ts";

const IP_HLEN = 20;
const IP_MAX_MTU = 0xffff;
const ETH_DATA_LEN = 1500;
/** Least and largest MTU that such a device takes. */
export const IP_TUNNEL_MIN_MTU = 68;
export const IP_TUNNEL_MAX_MTU = IP_MAX_MTU - IP_HLEN;

/** struct ip_tunnel_parm */
export interface IpTunnelParms {
  /** Outer source and destination, int32; 0: any. */
  readonly local: number;
  readonly remote: number;
  /** ifindex of the device that outer packets leave by, 0: the route's. */
  readonly link: number;
  /** 0: that of the inner packet. */
  readonly ttl: number;
  /** Bit 0: that of the inner packet. */
  readonly tos: number;
  /** Path MTU discovery: the outer header has DF. */
  readonly pmtudisc: boolean;
  /** Protocol of inner packets: IPPROTO_IPIP, or 0 for whatever comes. */
  readonly protocol: number;
}

export const IP_TUNNEL_ANY: IpTunnelParms = {
  local: 0,
  remote: 0,
  link: 0,
  ttl: 0,
  tos: 0,
  pmtudisc: false,
  protocol: 0,
};

export class IpTunnel {
  readonly dev: NetDevice;
  /** The underlay: the namespace that the device was made in, wherever it goes. */
  readonly net: NetNs;
  parms: IpTunnelParms;
  /** Errors that routers told since the last packet, and when the latest came. */
  errCount = 0;
  errTimeNs = 0;
  txErrors = 0;
  txCarrierErrors = 0;
  txFifoErrors = 0;
  collisions = 0;
  rxErrors = 0;
  rxFrameErrors = 0;

  constructor(dev: NetDevice, parms: IpTunnelParms) {
    this.dev = dev;
    this.net = dev.ns;
    this.parms = parms;
  }
}

/** The tunnels of one kind with their underlay in a namespace (struct ip_tunnel_net). */
export class IpTunnelNet {
  /** Newest first, as a chain of the kernel's table. */
  readonly tunnels: IpTunnel[] = [];
  /** What takes packets that no other takes. */
  fallback: IpTunnel | null = null;
}

/** Made on first use. */
export function ipTunnelNetOf(ns: NetNs): IpTunnelNet {
  if (ns.ipTunnel === null) ns.ipTunnel = new IpTunnelNet();
  return ns.ipTunnel as IpTunnelNet;
}

/** The tunnel of a device, null when it is none. */
export function ipTunnelOf(dev: NetDevice): IpTunnel | null {
  return dev.priv instanceof IpTunnel ? dev.priv : null;
}

/** The fallback device is for ever: it stays in its namespace and never goes. */
export function isFallbackTunnel(dev: NetDevice): boolean {
  const tunnel = ipTunnelOf(dev);
  return tunnel !== null && ipTunnelNetOf(tunnel.net).fallback === tunnel;
}

/**
 * The tunnel for a received packet from `remote` to `local` by the device `link` (ip_tunnel_lookup): the closest pair of
 * addresses wins, and of equals the one bound to that device.
 */
export function ipTunnelLookup(
  net: IpTunnelNet,
  link: number,
  remote: number,
  local: number,
): IpTunnel | null {
  const { tunnels } = net;
  let candidate: IpTunnel | null = null;
  for (let pass = 0; pass < 4; pass++) {
    const wantRemote = pass < 2 ? remote : 0;
    const wantLocal = (pass & 1) === 0 ? local : 0;
    for (let i = 0; i < tunnels.length; i++) {
      const t = tunnels[i];
      const { parms } = t;
      if (parms.remote !== wantRemote || parms.local !== wantLocal || (t.dev.flags & IFF_UP) === 0) continue;
      if (parms.link === link) return t;
      if (candidate === null || pass === 0) candidate = t;
    }
  }
  if (candidate !== null) return candidate;
  const { fallback } = net;
  return fallback !== null && (fallback.dev.flags & IFF_UP) !== 0 ? fallback : null;
}

/** The tunnel with exactly these ends (ip_tunnel_find). */
export function ipTunnelFind(net: IpTunnelNet, parms: IpTunnelParms): IpTunnel | null {
  const same = ({ parms: p }: IpTunnel) =>
    p.local === parms.local && p.remote === parms.remote && p.link === parms.link;
  return net.tunnels.find(same) ?? null;
}

/** Makes a tunnel, down (ip_tunnel_newlink). `mtu` 0: what the way to the other end leaves. EEXIST. */
export function ipTunnelNewlink(
  ns: NetNs,
  ops: DeviceOps,
  name: string,
  parms: IpTunnelParms,
  mtu: number,
  ifindex: number,
): NetDevice {
  const net = ipTunnelNetOf(ns);
  if (ipTunnelFind(net, parms) !== null) throw new SysError("EEXIST", name);
  const dev = ns.addDevice(name, ops, IFF_NOARP, ETH_DATA_LEN, ifindex);
  dev.hardHeaderLen = 0;
  dev.minMtu = 0;
  dev.maxMtu = 0;
  dev.operState = "UNKNOWN";
  dev.linkNs = ns;
  dev.linkIndex = parms.link;
  const tunnel = new IpTunnel(dev, parms);
  dev.priv = tunnel;
  const guessed = bindDev(tunnel);
  dev.mtu = mtu === 0 ? guessed : Math.min(Math.max(mtu, IP_TUNNEL_MIN_MTU), IP_TUNNEL_MAX_MTU);
  net.tunnels.unshift(tunnel);
  return dev;
}

/** Looks for the device that outer packets will leave by: the MTU that it leaves for inner ones (ip_tunnel_bind_dev). */
function bindDev({ dev, net, parms }: IpTunnel): number {
  let lower: NetDevice | undefined;
  if (parms.remote !== 0) {
    lower = ipRouteOutput(net, parms.remote, parms.local, parms.link, 0, parms.tos)?.dev;
    dev.flags |= IFF_POINTOPOINT;
  }
  if (lower === undefined && parms.link !== 0) lower = net.deviceByIndex(parms.link);
  const mtu = lower === undefined ? ETH_DATA_LEN : Math.min(lower.mtu, IP_MAX_MTU);
  return Math.max(mtu - IP_HLEN, IP_TUNNEL_MIN_MTU);
}

/** Other parameters for a tunnel (ip_tunnel_changelink, ip_tunnel_update). EINVAL, EEXIST. */
export function ipTunnelChange(dev: NetDevice, parms: IpTunnelParms): void {
  const tunnel = ipTunnelOf(dev)!;
  const net = ipTunnelNetOf(tunnel.net);
  if (net.fallback === tunnel) throw new SysError("EINVAL", dev.name);
  const known = ipTunnelFind(net, parms);
  if (known !== null && known !== tunnel) throw new SysError("EEXIST", dev.name);
  const pointed = (dev.flags & IFF_POINTOPOINT) !== 0;
  if (known === null && pointed !== (parms.remote !== 0)) throw new SysError("EINVAL", dev.name);
  const { link } = tunnel.parms;
  tunnel.parms = { ...parms, protocol: tunnel.parms.protocol };
  net.tunnels.splice(net.tunnels.indexOf(tunnel), 1);
  net.tunnels.unshift(tunnel);
  if (link === parms.link) return;
  dev.linkIndex = parms.link;
  dev.mtu = bindDev(tunnel);
}

/** ndo_uninit: out of the table. */
export function ipTunnelUninit(dev: NetDevice): void {
  const tunnel = ipTunnelOf(dev)!;
  const net = ipTunnelNetOf(tunnel.net);
  net.tunnels.splice(net.tunnels.indexOf(tunnel), 1);
  if (net.fallback === tunnel) net.fallback = null;
}

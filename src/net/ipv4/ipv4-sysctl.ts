/** net.ipv4.* of a namespace (net/ipv4/sysctl_net_ipv4.c, devinet.c, ip_fragment.c, route.c; neigh of net/core/neighbour.c). */
import { SysError } from "../../util/errors.ts";
import { Ipv6OffSysctls } from "../core/ipv6-off.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { IntSysctls, type SysctlProvider } from "../core/sysctl.ts";
import { inDevOf } from "./in-device.ts";
import {
  DEVCONF_FIELDS,
  type DevconfField,
  type Ipv4Devconf,
  NEIGH_FIELDS,
  type NeighParms,
} from "./ipv4-conf.ts";
import type { Ipv4Net } from "./ipv4-net.ts";
import { KeptSysctls } from "./ipv4-sysctl-rest.ts";

const INT_MAX = 0x7fffffff;
const CONF = "net.ipv4.conf.";
const NEIGH = "net.ipv4.neigh.";

/** Registers all of them. */
export function ipv4SysctlInit(ns: NetNs, net: Ipv4Net): void {
  const p = "net.ipv4.";
  ns.sysctl.register(
    new IntSysctls(net.sysctls, {
      [`${p}fib_multipath_hash_fields`]: ["fibMultipathHashFields", 1, 0xfff],
      [`${p}fib_multipath_hash_policy`]: ["fibMultipathHashPolicy", 0, 3],
      [`${p}fib_multipath_use_neigh`]: ["fibMultipathUseNeigh", 0, 1],
      [`${p}fwmark_reflect`]: ["fwmarkReflect", 0, INT_MAX],
      [`${p}icmp_echo_ignore_all`]: ["icmpEchoIgnoreAll", 0, 1],
      [`${p}icmp_echo_ignore_broadcasts`]: ["icmpEchoIgnoreBroadcasts", 0, 1],
      [`${p}icmp_errors_use_inbound_ifaddr`]: ["icmpErrorsUseInboundIfaddr", 0, 1],
      [`${p}icmp_ignore_bogus_error_responses`]: ["icmpIgnoreBogusErrorResponses", 0, 1],
      [`${p}icmp_msgs_burst`]: ["icmpMsgsBurst", 0, INT_MAX],
      [`${p}icmp_msgs_per_sec`]: ["icmpMsgsPerSec", 0, INT_MAX],
      [`${p}icmp_ratelimit`]: ["icmpRatelimit", 0, INT_MAX],
      [`${p}icmp_ratemask`]: ["icmpRatemask", 0, INT_MAX],
      [`${p}ip_autobind_reuse`]: ["ipAutobindReuse", 0, 1],
      [`${p}ip_dynaddr`]: ["ipDynaddr", 0, 255],
      [`${p}ip_early_demux`]: ["ipEarlyDemux", 0, 255],
      [`${p}ip_forward_update_priority`]: ["ipForwardUpdatePriority", 0, 1],
      [`${p}ip_forward_use_pmtu`]: ["ipForwardUsePmtu", 0, 255],
      [`${p}ip_no_pmtu_disc`]: ["ipNoPmtuDisc", 0, 255],
      [`${p}ip_nonlocal_bind`]: ["ipNonlocalBind", 0, 1],
      [`${p}ip_unprivileged_port_start`]: ["ipUnprivilegedPortStart", 0, 65535],
      [`${p}ipfrag_high_thresh`]: ["ipfragHighThresh", 0, Number.MAX_SAFE_INTEGER],
      [`${p}ipfrag_low_thresh`]: ["ipfragLowThresh", 0, Number.MAX_SAFE_INTEGER],
      [`${p}ipfrag_max_dist`]: ["ipfragMaxDist", 0, INT_MAX],
      [`${p}ipfrag_time`]: ["ipfragTime", 0, INT_MAX],
      [`${p}route.min_adv_mss`]: ["routeMinAdvMss", 0, INT_MAX],
      [`${p}route.min_pmtu`]: ["routeMinPmtu", 68, INT_MAX],
      [`${p}route.mtu_expires`]: ["routeMtuExpires", 0, INT_MAX],
    }),
  );
  ns.sysctl.register(new IntSysctls(net, { [`${p}ip_default_ttl`]: ["defaultTtl", 1, 255] }));
  ns.sysctl.register(portRange(net));
  ns.sysctl.register(reservedPorts(net));
  ns.sysctl.register(ipForward(ns, net));
  ns.sysctl.register(new ConfSysctls(ns, net));
  ns.sysctl.register(new NeighSysctls(ns, net));
  ns.sysctl.register(new KeptSysctls(ns.id === 0));
  ns.sysctl.register(new Ipv6OffSysctls(ns));
  if (ns.id === 0) {
    ns.sysctl.register(
      new IntSysctls(net.neighbours.limits, {
        [`${NEIGH}default.gc_interval`]: ["gcInterval", 0, INT_MAX],
        [`${NEIGH}default.gc_thresh1`]: ["gcThresh1", 0, INT_MAX],
        [`${NEIGH}default.gc_thresh2`]: ["gcThresh2", 0, INT_MAX],
        [`${NEIGH}default.gc_thresh3`]: ["gcThresh3", 0, INT_MAX],
      }),
    );
  }
}

function parseInteger(name: string, value: string): number {
  const text = value.trim();
  const number = Number(text);
  if (text === "" || !Number.isInteger(number) || number < -0x80000000 || number > INT_MAX) {
    throw new SysError("EINVAL", `${name} = ${value}`);
  }
  return number;
}

/** A single parameter with a getter and a setter. */
function single(name: string, get: () => string, set: (value: string) => void): SysctlProvider {
  return {
    names: () => [name],
    get: (wanted) => (wanted === name ? get() : undefined),
    set(wanted, value) {
      if (wanted !== name) return false;
      set(value);
      return true;
    },
  };
}

function portRange(net: Ipv4Net): SysctlProvider {
  const name = "net.ipv4.ip_local_port_range";
  return single(
    name,
    () => net.localPortRange.join("\t"),
    (value) => {
      const [low, high, ...rest] = value.trim().split(/\s+/).map(Number);
      const valid = rest.length === 0 && Number.isInteger(low) && Number.isInteger(high);
      if (!valid || low < 1 || high > 65535 || high < low) throw new SysError("EINVAL", `${name} = ${value}`);
      net.localPortRange = [low, high];
    },
  );
}

function reservedPorts(net: Ipv4Net): SysctlProvider {
  const name = "net.ipv4.ip_local_reserved_ports";
  return single(
    name,
    () => net.localReservedPorts,
    (value) => {
      if (!/^(\d+(-\d+)?(,\d+(-\d+)?)*)?$/.test(value.trim()))
        throw new SysError("EINVAL", `${name} = ${value}`);
      net.localReservedPorts = value.trim();
    },
  );
}

/** ip_forward is conf.all.forwarding under its old name. */
function ipForward(ns: NetNs, net: Ipv4Net): SysctlProvider {
  const name = "net.ipv4.ip_forward";
  return single(
    name,
    () => String(net.confAll.forwarding),
    (value) => forwardingChange(ns, net, parseInteger(name, value)),
  );
}

/** Switches forwarding on all devices and for new ones; redirects are believed only by hosts (inet_forward_change). */
function forwardingChange(ns: NetNs, net: Ipv4Net, value: number): void {
  const on = value !== 0 ? 1 : 0;
  if (net.confAll.forwarding !== value) {
    net.confAll.acceptRedirects = 1 - on;
    net.confDefault.forwarding = value;
    for (const dev of ns.devices()) {
      const inDev = inDevOf(dev);
      if (inDev !== null) inDev.conf.forwarding = value;
    }
  }
  net.confAll.forwarding = value;
  net.flushRoutes();
}

/** Splits `net.ipv4.conf.eth0.rp_filter` into device and parameter; a device name may hold a slash for a dot. */
function split(name: string, prefix: string): [string, string] | null {
  if (!name.startsWith(prefix)) return null;
  const dot = name.lastIndexOf(".");
  if (dot < prefix.length) return null;
  return [name.slice(prefix.length, dot).replaceAll("/", "."), name.slice(dot + 1)];
}

/** How a device's name stands inside a parameter's name. */
function nameOf(dev: NetDevice): string {
  return dev.name.replaceAll(".", "/");
}

/** net.ipv4.conf.* */
class ConfSysctls implements SysctlProvider {
  private readonly ns: NetNs;
  private readonly net: Ipv4Net;

  constructor(ns: NetNs, net: Ipv4Net) {
    this.ns = ns;
    this.net = net;
  }

  names(): string[] {
    const devices = this.ns.devices().filter((dev) => inDevOf(dev) !== null);
    return ["all", "default", ...devices.map(nameOf)].flatMap((dev) =>
      [...DEVCONF_FIELDS.keys()].map((field) => `${CONF}${dev}.${field}`),
    );
  }

  get(name: string): string | undefined {
    const found = this.find(name);
    return found === null ? undefined : String(found.conf[found.field]);
  }

  set(name: string, value: string): boolean {
    const found = this.find(name);
    if (found === null) return false;
    const number = parseInteger(name, value);
    if (found.field === "forwarding" && found.conf === this.net.confAll) {
      forwardingChange(this.ns, this.net, number);
      return true;
    }
    found.conf[found.field] = number;
    if (found.conf === this.net.confDefault) this.copyDefault(found.field, number);
    else if (found.dev !== undefined) inDevOf(found.dev)!.written.add(found.field);
    this.net.flushRoutes();
    return true;
  }

  private find(name: string): { conf: Ipv4Devconf; field: DevconfField; dev: NetDevice | undefined } | null {
    const parts = split(name, CONF);
    const field = parts === null ? undefined : DEVCONF_FIELDS.get(parts[1]);
    if (parts === null || field === undefined) return null;
    if (parts[0] === "all") return { conf: this.net.confAll, field, dev: undefined };
    if (parts[0] === "default") return { conf: this.net.confDefault, field, dev: undefined };
    const dev = this.ns.device(parts[0]);
    const inDev = dev === undefined ? null : inDevOf(dev);
    return inDev === null ? null : { conf: inDev.conf, field, dev };
  }

  /** A new default goes to the devices where nobody wrote the parameter (devinet_copy_dflt_conf). */
  private copyDefault(field: DevconfField, value: number): void {
    for (const dev of this.ns.devices()) {
      const inDev = inDevOf(dev);
      if (inDev !== null && !inDev.written.has(field)) inDev.conf[field] = value;
    }
  }
}

/** net.ipv4.neigh.* ; `default` shows only in the first namespace of a kernel. */
class NeighSysctls implements SysctlProvider {
  private readonly ns: NetNs;
  private readonly net: Ipv4Net;
  private readonly isInit: boolean;

  constructor(ns: NetNs, net: Ipv4Net) {
    this.ns = ns;
    this.net = net;
    this.isInit = ns.id === 0;
  }

  names(): string[] {
    const devices = this.ns.devices().filter((dev) => inDevOf(dev) !== null);
    return [...(this.isInit ? ["default"] : []), ...devices.map(nameOf)].flatMap((dev) =>
      [...NEIGH_FIELDS.keys()].map((field) => `${NEIGH}${dev}.${field}`),
    );
  }

  get(name: string): string | undefined {
    const parts = split(name, NEIGH);
    const field = parts === null ? undefined : NEIGH_FIELDS.get(parts[1]);
    const parms = parts === null ? null : this.parmsOf(parts[0]);
    return field === undefined || parms === null ? undefined : String(parms[field]);
  }

  set(name: string, value: string): boolean {
    const parts = split(name, NEIGH);
    const field = parts === null ? undefined : NEIGH_FIELDS.get(parts[1]);
    const parms = parts === null ? null : this.parmsOf(parts[0]);
    if (field === undefined || parms === null) return false;
    const number = parseInteger(name, value);
    if (number < 0) throw new SysError("EINVAL", `${name} = ${value}`);
    parms[field] = number;
    if (field === "baseReachableTimeMs") parms.redraw();
    return true;
  }

  private parmsOf(dev: string): NeighParms | null {
    if (dev === "default") return this.isInit ? this.net.neighDefault : null;
    const device = this.ns.device(dev);
    return device === undefined ? null : (inDevOf(device)?.neighParms ?? null);
  }
}

/**
 * The parameters of net.ipv4 that exist, are shown and can be written, and that nothing of what is modelled here looks at:
 * IGMP, CIPSO, the old route cache, memory limits.
 */
import { SysError } from "../../util/errors.ts";
import type { SysctlProvider } from "../core/sysctl.ts";

/** Name behind `net.ipv4.` and value at start. */
const EVERYWHERE: Record<string, string> = {
  fib_notify_on_flag_change: "0",
  icmp_echo_enable_probe: "0",
  igmp_link_local_mcast_reports: "1",
  igmp_max_memberships: "20",
  igmp_max_msf: "10",
  igmp_qrv: "2",
  nexthop_compat_mode: "1",
  ping_group_range: "1\t0",
  raw_l3mdev_accept: "1",
  udp_early_demux: "1",
  udp_l3mdev_accept: "0",
  udp_rmem_min: "4096",
  udp_wmem_min: "4096",
  xfrm4_gc_thresh: "32768",
};

/** Those that belong to the machine and show only in its first namespace. */
const FIRST_ONLY: Record<string, string> = {
  cipso_cache_bucket_size: "10",
  cipso_cache_enable: "1",
  cipso_rbm_optfmt: "0",
  cipso_rbm_strictvalid: "1",
  fib_sync_mem: "524288",
  inet_peer_maxttl: "600",
  inet_peer_minttl: "120",
  inet_peer_threshold: "63415",
  ipfrag_secret_interval: "0",
  "route.error_burst": "500",
  "route.error_cost": "100",
  "route.gc_elasticity": "8",
  "route.gc_interval": "60",
  "route.gc_min_interval": "0",
  "route.gc_min_interval_ms": "500",
  "route.gc_thresh": "-1",
  "route.gc_timeout": "300",
  "route.max_size": "2147483647",
  "route.redirect_load": "2",
  "route.redirect_number": "9",
  "route.redirect_silence": "2048",
  udp_mem: "27708\t36947\t55416",
};

/** Keeps values as they were written; they must have as many integers as before. */
export class KeptSysctls implements SysctlProvider {
  private readonly values: Map<string, string>;

  /** `first`: the namespace is the first of its kernel. */
  constructor(first: boolean) {
    const all = first ? { ...EVERYWHERE, ...FIRST_ONLY } : EVERYWHERE;
    this.values = new Map(Object.entries(all).map(([name, value]) => [`net.ipv4.${name}`, value]));
  }

  names(): string[] {
    return [...this.values.keys()];
  }

  get(name: string): string | undefined {
    return this.values.get(name);
  }

  set(name: string, value: string): boolean {
    const old = this.values.get(name);
    if (old === undefined) return false;
    const words = value.trim().split(/\s+/);
    const valid = words.length === old.split("\t").length && words.every((word) => /^-?\d+$/.test(word));
    if (!valid) throw new SysError("EINVAL", `${name} = ${value}`);
    this.values.set(name, words.join("\t"));
    return true;
  }
}

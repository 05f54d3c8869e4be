/** net.ipv4.vs.* (net/netfilter/ipvs/ip_vs_ctl.c vs_vars): those that act, and those that only their default stands for. */
import { NotModelledError } from "../../util/errors.ts";
import { IntSysctls, type SysctlProvider } from "../core/sysctl.ts";
import type { IpvsNet } from "./ip-vs.ts";

const PREFIX = "net.ipv4.vs.";

/** Parameters of parts that are not modelled, with the only value they take. */
const FIXED = new Map(
  Object.entries({
    am_droprate: "10",
    amemthresh: "1024",
    backup_only: "0",
    cache_bypass: "0",
    debug_level: "0",
    drop_entry: "0",
    drop_packet: "0",
    ignore_tunneled: "0",
    nat_icmp_send: "0",
    pmtu_disc: "1",
    run_estimation: "1",
    schedule_icmp: "0",
    secure_tcp: "0",
    sloppy_sctp: "0",
    sync_persist_mode: "0",
    sync_ports: "1",
    sync_qlen_max: "9236",
    sync_refresh_period: "0",
    sync_retries: "0",
    sync_sock_size: "0",
    sync_threshold: "3\t50",
    sync_version: "1",
  }).map(([name, value]) => [PREFIX + name, value]),
);

export function ipvsSysctls(net: IpvsNet): SysctlProvider {
  const live = new IntSysctls(net.sysctl, {
    [`${PREFIX}conntrack`]: ["conntrack", 0, 1],
    [`${PREFIX}conn_reuse_mode`]: ["connReuseMode", 0, 1],
    [`${PREFIX}expire_nodest_conn`]: ["expireNodestConn", 0, 1],
    [`${PREFIX}expire_quiescent_template`]: ["expireQuiescentTemplate", 0, 1],
    [`${PREFIX}snat_reroute`]: ["snatReroute", 0, 1],
    [`${PREFIX}sloppy_tcp`]: ["sloppyTcp", 0, 1],
  });
  return {
    names: () => [...live.names(), ...FIXED.keys()],
    get: (name) => live.get(name) ?? FIXED.get(name),
    set(name, value) {
      if (live.set(name, value)) return true;
      const fixed = FIXED.get(name);
      if (fixed === undefined) return false;
      if (value.trim() !== fixed) throw new NotModelledError(`${name} other than ${fixed}`);
      return true;
    },
  };
}

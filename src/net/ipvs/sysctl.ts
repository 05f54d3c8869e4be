/** net.ipv4.vs.* (net/netfilter/ipvs/ip_vs_ctl.c vs_vars): those that act, and those that only their default stands for. */
import { NotModelledError } from "../../util/errors.ts";
import { IntSysctls, type SysctlProvider } from "../core/sysctl.ts";
import type { IpvsNet } from "./ip-vs.ts";

const PREFIX = "net.ipv4.vs.";

/** Parameters of parts that are not modelled, with the only value they take. */
const FIXED = new Map(
  Object.entries({
    amemthresh: "1024",
    backup_only: "0",
    cache_bypass: "0",
    debug_level: "0",
    ignore_tunneled: "0",
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

/** Any number, as the kernel takes them (proc_dointvec). */
const MIN = -0x8000_0000;
const MAX = 0x7fff_ffff;

/** A defense that does not wait for memory to run short; of these it is not modelled. */
const ALWAYS = 3;
const NEVER_ALWAYS = ["drop_entry", "secure_tcp"].map((name) => PREFIX + name);

const LIVE = {
  conntrack: "conntrack",
  conn_reuse_mode: "connReuseMode",
  expire_nodest_conn: "expireNodestConn",
  expire_quiescent_template: "expireQuiescentTemplate",
  snat_reroute: "snatReroute",
  sloppy_tcp: "sloppyTcp",
  nat_icmp_send: "natIcmpSend",
  schedule_icmp: "scheduleIcmp",
  pmtu_disc: "pmtuDisc",
} as const;

export function ipvsSysctls(net: IpvsNet): SysctlProvider {
  const fields = Object.entries(LIVE).map(([name, field]) => [PREFIX + name, [field, MIN, MAX]] as const);
  const live = new IntSysctls(net.sysctl, Object.fromEntries(fields));
  const estimation = new IntSysctls(net.estimator, {
    [`${PREFIX}run_estimation`]: ["runEstimation", MIN, MAX],
  });
  const defense = new IntSysctls(net.defense, {
    [`${PREFIX}drop_packet`]: ["dropPacket", 0, ALWAYS],
    [`${PREFIX}drop_entry`]: ["dropEntry", 0, ALWAYS],
    [`${PREFIX}secure_tcp`]: ["secureTcp", 0, ALWAYS],
    [`${PREFIX}am_droprate`]: ["amDroprate", MIN, MAX],
  });
  const groups = [live, estimation, defense];
  return {
    names: () => [...groups.flatMap((group) => group.names()), ...FIXED.keys()],
    get: (name) =>
      groups.map((group) => group.get(name)).find((value) => value !== undefined) ?? FIXED.get(name),
    set(name, value) {
      if (value.trim() === String(ALWAYS) && NEVER_ALWAYS.includes(name))
        throw new NotModelledError(`${name} = ${ALWAYS}`);
      if (groups.some((group) => group.set(name, value))) return true;
      const fixed = FIXED.get(name);
      if (fixed === undefined) return false;
      if (value.trim() !== fixed) throw new NotModelledError(`${name} other than ${fixed}`);
      return true;
    },
  };
}

/** net.netfilter.* of connection tracking (nf_conntrack_standalone.c, nf_log.c). */
import { NotModelledError, SysError } from "../../../util/errors.ts";
import type { SysctlProvider } from "../../core/sysctl.ts";
import type { Conntrack } from "./conntrack-net.ts";

const PREFIX = "net.netfilter.";
const INT_MAX = 0x7fffffff;

/** Timeouts of TCP by their place in `Conntrack.tcpTimeouts`. */
const TCP_TIMEOUTS: Readonly<Record<string, number>> = {
  syn_sent: 1,
  syn_recv: 2,
  established: 3,
  fin_wait: 4,
  close_wait: 5,
  last_ack: 6,
  time_wait: 7,
  close: 8,
  max_retrans: 10,
  unacknowledged: 11,
};

type NumberField = {
  [K in keyof Conntrack]: Conntrack[K] extends number ? K : never;
}[keyof Conntrack];

const FIELDS: Readonly<Record<string, readonly [NumberField, number]>> = {
  nf_conntrack_acct: ["acct", 1],
  nf_conntrack_checksum: ["checksum", 1],
  nf_conntrack_generic_timeout: ["genericTimeout", INT_MAX],
  nf_conntrack_icmp_timeout: ["icmpTimeout", INT_MAX],
  nf_conntrack_log_invalid: ["logInvalid", 255],
  nf_conntrack_tcp_be_liberal: ["tcpBeLiberal", 1],
  nf_conntrack_tcp_ignore_invalid_rst: ["tcpIgnoreInvalidRst", 1],
  nf_conntrack_tcp_loose: ["tcpLoose", 1],
  nf_conntrack_tcp_max_retrans: ["tcpMaxRetrans", 255],
  nf_conntrack_udp_timeout: ["udpTimeout", INT_MAX],
  nf_conntrack_udp_timeout_stream: ["udpTimeoutStream", INT_MAX],
};

/** Parameters of what does not exist here: shown as the kernel has them, not to be changed. */
const FIXED: Readonly<Record<string, string>> = {
  nf_conntrack_dccp_loose: "1",
  nf_conntrack_dccp_timeout_closereq: "64",
  nf_conntrack_dccp_timeout_closing: "64",
  nf_conntrack_dccp_timeout_open: "43200",
  nf_conntrack_dccp_timeout_partopen: "480",
  nf_conntrack_dccp_timeout_request: "240",
  nf_conntrack_dccp_timeout_respond: "480",
  nf_conntrack_dccp_timeout_timewait: "240",
  nf_conntrack_events: "2",
  nf_conntrack_frag6_high_thresh: "4194304",
  nf_conntrack_frag6_low_thresh: "3145728",
  nf_conntrack_frag6_timeout: "60",
  nf_conntrack_gre_timeout: "30",
  nf_conntrack_gre_timeout_stream: "180",
  nf_conntrack_icmpv6_timeout: "30",
  nf_conntrack_sctp_timeout_closed: "10",
  nf_conntrack_sctp_timeout_cookie_echoed: "3",
  nf_conntrack_sctp_timeout_cookie_wait: "3",
  nf_conntrack_sctp_timeout_established: "210",
  nf_conntrack_sctp_timeout_heartbeat_sent: "30",
  nf_conntrack_sctp_timeout_shutdown_ack_sent: "3",
  nf_conntrack_sctp_timeout_shutdown_recd: "3",
  nf_conntrack_sctp_timeout_shutdown_sent: "3",
  nf_flowtable_tcp_timeout: "30",
  nf_flowtable_udp_timeout: "30",
  nf_hooks_lwtunnel: "0",
  "nf_log.0": "NONE",
  "nf_log.1": "NONE",
  "nf_log.10": "NONE",
  "nf_log.2": "NONE",
  "nf_log.3": "NONE",
  "nf_log.4": "NONE",
  "nf_log.5": "NONE",
  "nf_log.6": "NONE",
  "nf_log.7": "NONE",
  "nf_log.8": "NONE",
  "nf_log.9": "NONE",
};

/** Parameters that the namespaces of a kernel share: written in the first one only. */
const LIMITS = {
  nf_conntrack_buckets: "buckets",
  nf_conntrack_expect_max: "expectMax",
  nf_conntrack_max: "max",
} as const;

function parseInteger(name: string, value: string, max: number): number {
  const number = Number(value.trim());
  if (value.trim() === "" || !Number.isInteger(number) || number < 0 || number > max)
    throw new SysError("EINVAL", `${name} = ${value}`);
  return number;
}

export class ConntrackSysctls implements SysctlProvider {
  private readonly ct: Conntrack;

  constructor(ct: Conntrack) {
    this.ct = ct;
  }

  private get isFirst(): boolean {
    return this.ct.ns.id === 0;
  }

  names(): string[] {
    const names = [
      ...Object.keys(FIELDS),
      ...Object.keys(FIXED),
      ...Object.keys(LIMITS),
      ...Object.keys(TCP_TIMEOUTS).map((state) => `nf_conntrack_tcp_timeout_${state}`),
      "nf_conntrack_count",
    ].map((name) => PREFIX + name);
    if (this.isFirst) names.push(`${PREFIX}nf_log_all_netns`, "net.nf_conntrack_max");
    return names;
  }

  get(name: string): string | undefined {
    if (name === "net.nf_conntrack_max" && this.isFirst) return String(this.ct.limits.max);
    if (!name.startsWith(PREFIX)) return undefined;
    const key = name.slice(PREFIX.length);
    if (key === "nf_conntrack_count") return String(this.ct.count);
    if (key === "nf_log_all_netns") return this.isFirst ? "0" : undefined;
    if (Object.hasOwn(FIELDS, key)) return String(this.ct[FIELDS[key][0]]);
    if (Object.hasOwn(LIMITS, key)) return String(this.ct.limits[LIMITS[key as keyof typeof LIMITS]]);
    const timeout = tcpTimeoutIndex(key);
    if (timeout >= 0) return String(this.ct.tcpTimeouts[timeout]);
    return Object.hasOwn(FIXED, key) ? FIXED[key] : undefined;
  }

  set(name: string, value: string): boolean {
    if (this.get(name) === undefined) return false;
    const key = name === "net.nf_conntrack_max" ? "nf_conntrack_max" : name.slice(PREFIX.length);
    const timeout = tcpTimeoutIndex(key);
    if (Object.hasOwn(FIELDS, key)) {
      const [field, max] = FIELDS[key];
      (this.ct[field] as number) = parseInteger(name, value, max);
    } else if (timeout >= 0) {
      this.ct.tcpTimeouts[timeout] = parseInteger(name, value, INT_MAX);
    } else if (Object.hasOwn(LIMITS, key)) {
      if (!this.isFirst) throw new SysError("EACCES", name);
      this.ct.limits[LIMITS[key as keyof typeof LIMITS]] = parseInteger(name, value, INT_MAX);
    } else if (key === "nf_conntrack_count") {
      throw new SysError("EACCES", name);
    } else {
      throw new NotModelledError(`sysctl ${name}`);
    }
    return true;
  }
}

/** Place of `nf_conntrack_tcp_timeout_STATE` in the timeouts, -1 for other names. */
function tcpTimeoutIndex(key: string): number {
  const prefix = "nf_conntrack_tcp_timeout_";
  const state = key.startsWith(prefix) ? key.slice(prefix.length) : "";
  return Object.hasOwn(TCP_TIMEOUTS, state) ? TCP_TIMEOUTS[state] : -1;
}

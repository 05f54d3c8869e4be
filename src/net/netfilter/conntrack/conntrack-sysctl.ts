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

/** Timeouts of SCTP and DCCP by their place in `Conntrack.sctpTimeouts` and `dccpTimeouts`. */
const SCTP_TIMEOUTS: Readonly<Record<string, number>> = {
  closed: 1,
  cookie_wait: 2,
  cookie_echoed: 3,
  established: 4,
  shutdown_sent: 5,
  shutdown_recd: 6,
  shutdown_ack_sent: 7,
  heartbeat_sent: 8,
};
const DCCP_TIMEOUTS: Readonly<Record<string, number>> = {
  request: 1,
  respond: 2,
  partopen: 3,
  open: 4,
  closereq: 5,
  closing: 6,
  timewait: 7,
};

/** Loggers by protocol family once the module is loaded; NONE for the others (nf_log.c). */
const LOGGERS: Readonly<Record<number, string>> = {
  2: "nf_log_ipv4",
  3: "nf_log_arp",
  5: "nf_log_netdev",
  7: "nf_log_bridge",
  10: "nf_log_ipv6",
};
const FAMILIES = 11;

type NumberField = {
  [K in keyof Conntrack]: Conntrack[K] extends number ? K : never;
}[keyof Conntrack];

const FIELDS: Readonly<Record<string, readonly [NumberField, number]>> = {
  nf_conntrack_acct: ["acct", 1],
  nf_conntrack_checksum: ["checksum", 1],
  nf_conntrack_dccp_loose: ["dccpLoose", 1],
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
  nf_conntrack_events: "2",
  nf_conntrack_frag6_high_thresh: "4194304",
  nf_conntrack_frag6_low_thresh: "3145728",
  nf_conntrack_frag6_timeout: "60",
  nf_conntrack_gre_timeout: "30",
  nf_conntrack_gre_timeout_stream: "180",
  nf_conntrack_icmpv6_timeout: "30",
  nf_flowtable_tcp_timeout: "30",
  nf_flowtable_udp_timeout: "30",
  nf_hooks_lwtunnel: "0",
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

/** A timeout: the table that it stands in and its place there. */
interface Timeout {
  readonly table: number[];
  readonly index: number;
}

export class ConntrackSysctls implements SysctlProvider {
  private readonly ct: Conntrack;
  private readonly timeouts = new Map<string, Timeout>();

  constructor(ct: Conntrack) {
    this.ct = ct;
    this.addTimeouts("tcp", TCP_TIMEOUTS, ct.tcpTimeouts);
    this.addTimeouts("sctp", SCTP_TIMEOUTS, ct.sctpTimeouts);
    this.addTimeouts("dccp", DCCP_TIMEOUTS, ct.dccpTimeouts);
  }

  private get isFirst(): boolean {
    return this.ct.ns.id === 0;
  }

  names(): string[] {
    const names = [
      ...Object.keys(FIELDS),
      ...Object.keys(FIXED),
      ...Object.keys(LIMITS),
      ...this.timeouts.keys(),
      "nf_conntrack_count",
      ...Array.from({ length: FAMILIES }, (_, family) => `nf_log.${family}`),
    ].map((name) => PREFIX + name);
    if (this.isFirst) names.push(`${PREFIX}nf_log_all_netns`, "net.nf_conntrack_max");
    return names;
  }

  get(name: string): string | undefined {
    if (name === "net.nf_conntrack_max" && this.isFirst) return String(this.ct.limits.max);
    if (!name.startsWith(PREFIX)) return undefined;
    const key = name.slice(PREFIX.length);
    const { kernel } = this.ct.ns;
    if (key === "nf_conntrack_count") return String(this.ct.count);
    if (key === "nf_log_all_netns") return this.isFirst ? String(kernel.nfLogAllNetns) : undefined;
    if (Object.hasOwn(FIELDS, key)) return String(this.ct[FIELDS[key][0]]);
    if (Object.hasOwn(LIMITS, key)) return String(this.ct.limits[LIMITS[key as keyof typeof LIMITS]]);
    const timeout = this.timeouts.get(key);
    if (timeout !== undefined) return String(timeout.table[timeout.index]);
    const family = /^nf_log\.(\d+)$/.exec(key);
    if (family !== null && Number(family[1]) < FAMILIES)
      return (kernel.nfLogSyslog ? LOGGERS[Number(family[1])] : undefined) ?? "NONE";
    return Object.hasOwn(FIXED, key) ? FIXED[key] : undefined;
  }

  set(name: string, value: string): boolean {
    if (this.get(name) === undefined) return false;
    const key = name === "net.nf_conntrack_max" ? "nf_conntrack_max" : name.slice(PREFIX.length);
    const timeout = this.timeouts.get(key);
    if (Object.hasOwn(FIELDS, key)) {
      const [field, max] = FIELDS[key];
      (this.ct[field] as number) = parseInteger(name, value, max);
    } else if (timeout !== undefined) {
      timeout.table[timeout.index] = parseInteger(name, value, INT_MAX);
    } else if (Object.hasOwn(LIMITS, key)) {
      if (!this.isFirst) throw new SysError("EACCES", name);
      this.ct.limits[LIMITS[key as keyof typeof LIMITS]] = parseInteger(name, value, INT_MAX);
    } else if (key === "nf_conntrack_count") {
      throw new SysError("EACCES", name);
    } else if (key === "nf_log_all_netns") {
      this.ct.ns.kernel.nfLogAllNetns = parseInteger(name, value, 1);
    } else {
      throw new NotModelledError(`sysctl ${name}`);
    }
    return true;
  }

  private addTimeouts(proto: string, places: Readonly<Record<string, number>>, table: number[]): void {
    for (const [state, index] of Object.entries(places))
      this.timeouts.set(`nf_conntrack_${proto}_timeout_${state}`, { table, index });
  }
}

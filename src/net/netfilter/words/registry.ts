/** The extensions by name, and the names of those that exist in reality and are not modelled. */
import { NotModelledError } from "../../../util/errors.ts";
import { CONNTRACK, markExtension, STATE } from "./ct-matches.ts";
import type { MatchExtension, TargetExtension } from "./extension.ts";
import { ICMP, MULTIPORT, rangeExtension, TCP, UDP } from "./l4-matches.ts";
import {
  ADDRTYPE,
  COMMENT,
  IPRANGE,
  IPVS,
  MAC,
  PHYSDEV,
  PKTTYPE,
  POLICY,
  TTL_MATCH,
} from "./meta-matches.ts";
import { LIMIT, STATISTIC } from "./rate-matches.ts";
import { TARGETS } from "./targets.ts";
import { U32 } from "./u32-words.ts";

const MATCHES: readonly MatchExtension[] = [
  TCP,
  UDP,
  ICMP,
  MULTIPORT,
  rangeExtension("length", "length"),
  rangeExtension("tcpmss", "mss"),
  CONNTRACK,
  STATE,
  markExtension("mark"),
  markExtension("connmark"),
  ADDRTYPE,
  COMMENT,
  IPVS,
  IPRANGE,
  PHYSDEV,
  MAC,
  TTL_MATCH,
  POLICY,
  PKTTYPE,
  LIMIT,
  STATISTIC,
  U32,
];

/** Matches of iptables 1.8.9 that are not modelled. */
const OTHER_MATCHES: ReadonlySet<string> = new Set(
  (
    "ah bpf cgroup cluster connbytes connlabel connlimit cpu dccp devgroup dscp ecn esp hashlimit helper ipcomp nfacct " +
    "osf owner quota rateest realm recent rpfilter sctp set socket string time tos unclean"
  ).split(" "),
);

/** Targets of iptables 1.8.9 that are not modelled. */
const OTHER_TARGETS: ReadonlySet<string> = new Set(
  (
    "AUDIT CHECKSUM CLASSIFY CLUSTERIP CONNSECMARK DSCP ECN HMARK IDLETIMER LED NFLOG NFQUEUE QUEUE RATEEST SECMARK SET " +
    "SYNPROXY TCPOPTSTRIP TEE TOS TPROXY ULOG"
  ).split(" "),
);

/** The match of that name, undefined when there is none anywhere. NotModelledError for one that exists elsewhere. */
export function findMatch(name: string): MatchExtension | undefined {
  if (OTHER_MATCHES.has(name)) throw new NotModelledError(`iptables -m ${name}`);
  return MATCHES.find((extension) => extension.name === name);
}

/** The target of that name; as {@link findMatch}. */
export function findTarget(name: string): TargetExtension | undefined {
  if (OTHER_TARGETS.has(name)) throw new NotModelledError(`iptables -j ${name}`);
  return TARGETS.find((extension) => extension.name === name);
}

/** Whether a name belongs to a target, so that no chain may have it. */
export function isTargetName(name: string): boolean {
  return (
    name === "" ||
    name === "ACCEPT" ||
    name === "DROP" ||
    name === "RETURN" ||
    OTHER_TARGETS.has(name) ||
    TARGETS.some((extension) => extension.name === name)
  );
}

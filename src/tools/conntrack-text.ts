/** The text of connections and events: the default output of libnetfilter_conntrack 1.0.9. */
import type { ConntrackEntry, ConntrackNews } from "../net/ctl/conntrack.ts";
import {
  type Conn,
  IPS_ASSURED,
  IPS_SEEN_REPLY,
  NF_CT_DEFAULT_ZONE_DIR,
  NF_CT_ZONE_DIR_ORIG,
  NF_CT_ZONE_DIR_REPL,
  TCP_CONNTRACK_NAMES,
} from "../net/netfilter/conntrack/conn.ts";
import { CT_DCCP_NAMES, SCTP_CONNTRACK_NAMES } from "../net/netfilter/conntrack/track.ts";
import { protoHasPorts } from "../net/netfilter/conntrack/tuple.ts";
import { formatIp4 } from "../wire/address.ts";
import { IPPROTO_GRE, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP } from "../wire/ipv4.ts";
import { PROTOCOLS } from "./conntrack-values.ts";

/** ICMPv6 has a name in listings, but is none that can be asked for here. */
const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(PROTOCOLS).map(([name, proto]): [number, string] => [proto, name]),
  [IPPROTO_ICMPV6, "icmpv6"],
]);

const ZONE_WORDS: Readonly<Record<number, string>> = {
  [NF_CT_ZONE_DIR_ORIG]: "zone-orig",
  [NF_CT_ZONE_DIR_REPL]: "zone-reply",
  [NF_CT_DEFAULT_ZONE_DIR]: "zone",
};

function portsText(proto: number, sport: number, dport: number): string {
  if (protoHasPorts(proto)) return `sport=${sport} dport=${dport} `;
  if (proto === IPPROTO_GRE) return `srckey=0x${sport.toString(16)} dstkey=0x${dport.toString(16)} `;
  return proto === IPPROTO_ICMP ? `type=${dport >> 8} code=${dport & 0xff} id=${sport} ` : "";
}

/** What the tracker of the protocol says about the connection. */
function stateText(conn: Conn): string {
  if (conn.proto === IPPROTO_TCP) return `${TCP_CONNTRACK_NAMES[conn.tcpState]} `;
  if (conn.sctp !== null) return `${SCTP_CONNTRACK_NAMES[conn.sctp.state]} `;
  return conn.dccp === null ? "" : `${CT_DCCP_NAMES[conn.dccp.state]} `;
}

/** The zone, where it is of these directions. */
function zoneText({ zone, zoneFlags }: Conn, dirs: number): string {
  return zone === 0 || zoneFlags !== dirs ? "" : `${ZONE_WORDS[dirs]}=${zone} `;
}

function countersText(acct: Float64Array | null, dir: number): string {
  return acct === null ? "" : `packets=${acct[2 * dir]} bytes=${acct[2 * dir + 1]} `;
}

function protocolName(proto: number): string {
  return (PROTOCOL_NAMES.get(proto) ?? "unknown").padEnd(8);
}

/** Both tuples with their counters, if there are any to show. */
function tuplesText(conn: Conn, seenReply: boolean, acct: Float64Array | null): string {
  const orig = `src=${formatIp4(conn.origSrc)} dst=${formatIp4(conn.origDst)} `;
  const reply = `src=${formatIp4(conn.replSrc)} dst=${formatIp4(conn.replDst)} `;
  return [
    orig + portsText(conn.proto, conn.origSport, conn.origDport),
    zoneText(conn, NF_CT_ZONE_DIR_ORIG) + countersText(acct, 0),
    seenReply ? "" : "[UNREPLIED] ",
    reply + portsText(conn.proto, conn.replSport, conn.replDport),
    zoneText(conn, NF_CT_ZONE_DIR_REPL) + countersText(acct, 1),
  ].join("");
}

/** One line of `conntrack -L`, without its end. */
export function conntrackLine(entry: ConntrackEntry, extended: boolean): string {
  const { conn, seenReply, assured, expiresS } = entry;
  return [
    extended ? "ipv4     2 " : "",
    `${protocolName(conn.proto)} ${conn.proto} ${expiresS} `,
    stateText(conn),
    tuplesText(conn, seenReply, conn.acct),
    assured ? "[ASSURED] " : "",
    `mark=${conn.mark >>> 0} ${zoneText(conn, NF_CT_DEFAULT_ZONE_DIR)}use=${conn.use}`,
  ].join("");
}

/**
 * One line of `conntrack -E`: the lifetime while there is any, state and a mark of 0 where they are news, the
 * counters at the end of a connection.
 */
export function eventLine(news: ConntrackNews, extended: boolean): string {
  const { conn, type, expiresS, withState, withMark } = news;
  const mark = conn.mark !== 0 || (withMark && type !== "DESTROY");
  return [
    `${`[${type}]`.padStart(9)} `,
    extended ? "ipv4     2 " : "",
    `${protocolName(conn.proto)} ${conn.proto} `,
    expiresS > 0 ? `${expiresS} ` : "",
    withState ? stateText(conn) : "",
    tuplesText(conn, (conn.status & IPS_SEEN_REPLY) !== 0, type === "DESTROY" ? conn.acct : null),
    (conn.status & IPS_ASSURED) !== 0 ? "[ASSURED] " : "",
    mark ? `mark=${conn.mark >>> 0} ` : "",
    zoneText(conn, NF_CT_DEFAULT_ZONE_DIR),
  ]
    .join("")
    .trimEnd();
}

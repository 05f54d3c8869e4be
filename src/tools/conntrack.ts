/** conntrack(8) of conntrack-tools 1.4.7: the text is that of libnetfilter_conntrack's default output. */
import {
  type ConntrackEntry,
  conntrackCount,
  conntrackDelete,
  conntrackFlush,
  conntrackGet,
  conntrackList,
  conntrackStats,
  conntrackUpdate,
} from "../net/ctl/conntrack.ts";
import { TCP_CONNTRACK_NAMES } from "../net/netfilter/conntrack/conn.ts";
import { SysError, UsageError } from "../util/errors.ts";
import { formatIp4 } from "../wire/address.ts";
import { IPPROTO_GRE, IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.ts";
import { CONNTRACK_VERSION, type ConntrackArgs, parseConntrackArgs } from "./conntrack-args.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  [IPPROTO_ICMP]: "icmp",
  [IPPROTO_TCP]: "tcp",
  [IPPROTO_UDP]: "udp",
  33: "dccp",
  [IPPROTO_GRE]: "gre",
  58: "icmpv6",
  [IPPROTO_SCTP]: "sctp",
  136: "udplite",
};

/** What a command found, and the plain text of those that find nothing. */
interface ConntrackResult {
  readonly entries: readonly ConntrackEntry[];
  readonly text: string;
}

function portsText(proto: number, sport: number, dport: number): string {
  if (proto === IPPROTO_TCP || proto === IPPROTO_UDP || proto === IPPROTO_SCTP)
    return `sport=${sport} dport=${dport} `;
  if (proto === IPPROTO_GRE) return `srckey=0x${sport.toString(16)} dstkey=0x${dport.toString(16)} `;
  return proto === IPPROTO_ICMP ? `type=${dport >> 8} code=${dport & 0xff} id=${sport} ` : "";
}

function countersText(acct: Float64Array | null, dir: number): string {
  return acct === null ? "" : `packets=${acct[2 * dir]} bytes=${acct[2 * dir + 1]} `;
}

/** One line of `conntrack -L`, without its end. */
export function conntrackLine(entry: ConntrackEntry, extended: boolean): string {
  const { conn, seenReply, assured, expiresS } = entry;
  const name = (PROTOCOL_NAMES[conn.proto] ?? "unknown").padEnd(8);
  const orig = `src=${formatIp4(conn.origSrc)} dst=${formatIp4(conn.origDst)} `;
  const reply = `src=${formatIp4(conn.replSrc)} dst=${formatIp4(conn.replDst)} `;
  return [
    extended ? "ipv4     2 " : "",
    `${name} ${conn.proto} ${expiresS} `,
    conn.proto === IPPROTO_TCP ? `${TCP_CONNTRACK_NAMES[conn.tcpState]} ` : "",
    orig + portsText(conn.proto, conn.origSport, conn.origDport) + countersText(conn.acct, 0),
    seenReply ? "" : "[UNREPLIED] ",
    reply + portsText(conn.proto, conn.replSport, conn.replDport) + countersText(conn.acct, 1),
    assured ? "[ASSURED] " : "",
    `mark=${conn.mark >>> 0} use=${conn.use}`,
  ].join("");
}

function statsText(context: ToolContext): string {
  const s = conntrackStats(context.ns);
  const counters = [
    `found=${s.found} invalid=${s.invalid} insert=${s.insert} insert_failed=${s.insertFailed}`,
    `drop=${s.drop} early_drop=${s.earlyDrop} error=${s.error} search_restart=${s.searchRestart}`,
    `clash_resolve=${s.clashResolve} chaintoolong=${s.chainTooLong}`,
  ];
  return `cpu=0   \t${counters.join(" ")} \n`;
}

/** The one entry that -G names by its original tuple, or a reply one. */
function getOne(args: ConntrackArgs, context: ToolContext): ConntrackEntry {
  const { filter } = args;
  const byReply = filter.origSrc === undefined;
  const src = byReply ? filter.replSrc : filter.origSrc;
  const dst = byReply ? filter.replDst : filter.origDst;
  if (src === undefined || dst === undefined || filter.proto === undefined)
    throw new UsageError(`${CONNTRACK_VERSION}: you have to specify source and destination address\n`, 2);
  const icmp = filter.proto === IPPROTO_ICMP;
  const sport = (icmp ? filter.icmpId : byReply ? filter.replSport : filter.origSport) ?? 0;
  const dport = icmp
    ? ((filter.icmpType ?? 0) << 8) | (filter.icmpCode ?? 0)
    : ((byReply ? filter.replDport : filter.origDport) ?? 0);
  return conntrackGet(context.ns, { proto: filter.proto, src: src.value, dst: dst.value, sport, dport });
}

function perform(args: ConntrackArgs, context: ToolContext): ConntrackResult {
  const { ns } = context;
  const { filter } = args;
  switch (args.command) {
    case "list":
      return { entries: conntrackList(ns, filter), text: "" };
    case "get":
      return { entries: [getOne(args, context)], text: "" };
    case "delete":
      return { entries: conntrackDelete(ns, filter), text: "" };
    case "update": {
      const change = { mark: args.setMark, timeoutS: args.setTimeoutS };
      return { entries: conntrackUpdate(ns, filter, change), text: "" };
    }
    case "flush":
      conntrackFlush(ns);
      return { entries: [], text: "" };
    case "count":
      return { entries: [], text: `${conntrackCount(ns)}\n` };
    case "stats":
      return { entries: [], text: statsText(context) };
    case "version":
      return { entries: [], text: `${CONNTRACK_VERSION}\n` };
  }
}

const DONE: Readonly<Record<string, string>> = {
  list: "shown",
  get: "shown",
  delete: "deleted",
  update: "updated",
};

export const conntrack: Tool<ConntrackArgs, ConntrackResult> = {
  name: "conntrack",
  parse: (argv) => parseConntrackArgs(argv),
  run: perform,
  render({ entries, text }, args): ToolOutput {
    const done = DONE[args.command];
    if (args.command === "flush") {
      const stderr = `${CONNTRACK_VERSION}: connection tracking table has been emptied.\n`;
      return { stdout: "", stderr, status: 0 };
    }
    if (done === undefined) return { stdout: text, stderr: "", status: 0 };
    const stdout = entries.map((entry) => `${conntrackLine(entry, args.extended)}\n`).join("");
    const stderr = `${CONNTRACK_VERSION}: ${entries.length} flow entries have been ${done}.\n`;
    const failed = entries.length === 0 && (args.command === "delete" || args.command === "update");
    return { stdout, stderr, status: failed ? 1 : 0 };
  },
  failure(error): ToolOutput | null {
    if (!(error instanceof SysError) || error.code !== "ENOENT") return null;
    const stderr = `${CONNTRACK_VERSION}: Operation failed: such conntrack doesn't exist\n`;
    return { stdout: "", stderr, status: 1 };
  },
};

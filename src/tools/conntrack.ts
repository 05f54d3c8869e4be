/** conntrack(8) of conntrack-tools 1.4.7: the text is that of libnetfilter_conntrack's default output. */

import { type Co, KilledError, waitFor } from "../host/process.ts";
import type { NetNs } from "../net/core/net-ns.ts";
import {
  type ConntrackEntry,
  conntrackCount,
  conntrackCreate,
  conntrackDelete,
  conntrackFlush,
  conntrackGet,
  conntrackList,
  conntrackListen,
  conntrackMatches,
  conntrackStats,
  conntrackUpdate,
} from "../net/ctl/conntrack.ts";
import { WaitQueue } from "../sim/wait-queue.ts";
import { NotModelledError, SysError } from "../util/errors.ts";
import { type ConntrackArgs, flowKey, parseConntrackArgs } from "./conntrack-args.ts";
import { conntrackLine, eventLine } from "./conntrack-text.ts";
import { CONNTRACK_VERSION } from "./conntrack-values.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

const SIGPIPE = 13;

/** What a command found, and the plain text of those that find nothing. */
interface ConntrackResult {
  readonly entries: readonly ConntrackEntry[];
  readonly text: string;
  /** How many events -E has shown. */
  readonly shown?: number;
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

/** The one entry that -G names by its original tuple: none when that belongs to the answers of another. */
function getOne({ filter }: ConntrackArgs, context: ToolContext): ConntrackEntry[] {
  if (filter.origSrc === undefined || filter.origDst === undefined) throw new SysError("EINVAL");
  const key = flowKey(filter);
  const entry = conntrackGet(context.ns, key);
  return entry.conn.origSrc === key.src && entry.conn.origSport === key.sport ? [entry] : [];
}

/** What there is of tables that stay empty. */
function emptyTable({ command, table }: ConntrackArgs): ConntrackResult {
  if (table === "none" && command === "list") return { entries: [], text: "" };
  if (table === "none") throw new NotModelledError(`conntrack: ${command} of what is not confirmed`);
  if (command === "stats")
    return { entries: [], text: "cpu=0   \texpect_new=0 expect_create=0 expect_delete=0 \n" };
  if (command === "count") return { entries: [], text: "0\n" };
  if (command !== "list" && command !== "flush") throw new NotModelledError("conntrack expectations");
  return { entries: [], text: "" };
}

const NETLINK_PORTS_FROM = 2 ** 31;
const NETLINK_PORTS = 2 ** 31 - 4096;

/** The port of the second socket of a process, which -U and -D work through: a random one (netlink_autobind). */
function netlinkPort({ id, kernel }: NetNs): number {
  return NETLINK_PORTS_FROM + kernel.prng.stream(`netlink/${id}/${kernel.sim.now}`).below(NETLINK_PORTS);
}

/** -U of libmnl leaves the family out where nothing says it, and the kernel then takes the message for another one. */
function update(args: ConntrackArgs, { ns }: ToolContext): ConntrackEntry[] {
  const { filter, setMark, setTimeoutS, setStatus, setState, hasFamily } = args;
  if (!hasFamily && conntrackList(ns, filter).length > 0) throw new SysError("EOPNOTSUPP");
  return conntrackUpdate(
    ns,
    filter,
    {
      mark: setMark,
      timeoutS: setTimeoutS,
      status: setStatus,
      state: setState,
    },
    netlinkPort(ns),
  );
}

function perform(args: ConntrackArgs, context: ToolContext): ConntrackResult {
  const { ns } = context;
  const { filter } = args;
  if (args.table !== "conntrack") return emptyTable(args);
  switch (args.command) {
    case "list": {
      const entries = conntrackList(ns, filter);
      const lines = { entries, text: linesOf(entries, args) };
      if (args.zero) for (const { conn } of entries) conn.acct?.fill(0);
      return lines;
    }
    case "get":
      return listed(getOne(args, context), args);
    case "delete":
      return listed(conntrackDelete(ns, filter, netlinkPort(ns)), args);
    case "update":
      return listed(update(args, context), args);
    case "create":
      conntrackCreate(ns, args.create!, context.process.pid);
      return { entries: [], text: "" };
    case "event":
      throw new NotModelledError("conntrack -E of expectations");
    case "flush":
      conntrackFlush(ns, context.process.pid);
      return { entries: [], text: "" };
    case "count":
      return { entries: [], text: `${conntrackCount(ns)}\n` };
    case "stats":
      return { entries: [], text: statsText(context) };
    case "version":
      return { entries: [], text: `${CONNTRACK_VERSION}\n` };
  }
}

/** Who did it: the port is the process's number where it has one socket only, and the process may be gone. */
function originText({ machine }: ToolContext, portid: number): string {
  const process = machine.processes.find(({ pid }) => pid === portid);
  return ` [USERSPACE] portid=${portid}${process === undefined ? "" : ` progname=${process.comm}`}`;
}

/** -E: prints events as they come, until it is interrupted. */
function* listen(args: ConntrackArgs, context: ToolContext): Co<ConntrackResult> {
  const arrived = new WaitQueue();
  const messages: { readonly line: string; readonly portid: number }[] = [];
  let shown = 0;
  const stop = conntrackListen(context.ns, (news) => {
    if (!args.events.includes(news.type) || !conntrackMatches(news.conn, args.filter)) return;
    messages.push({ line: eventLine(news, args.extended), portid: news.portid });
    arrived.wake();
  });
  try {
    for (;;) {
      for (const { line, portid } of messages.splice(0)) {
        shown++;
        context.print(`${line}${portid === 0 ? "" : originText(context, portid)}\n`);
      }
      yield* waitFor(arrived);
    }
  } catch (error) {
    if (!(error instanceof KilledError) || error.signal === SIGPIPE) throw error;
    return { entries: [], text: "", shown };
  } finally {
    stop();
  }
}

function linesOf(entries: readonly ConntrackEntry[], { extended }: ConntrackArgs): string {
  return entries.map((entry) => `${conntrackLine(entry, extended)}\n`).join("");
}

function listed(entries: readonly ConntrackEntry[], args: ConntrackArgs): ConntrackResult {
  return { entries, text: linesOf(entries, args) };
}

const DONE: Readonly<Record<string, string>> = {
  list: "shown",
  get: "shown",
  delete: "deleted",
  update: "updated",
};

/** The last line, on standard error; "" for commands that have none. */
function summary({ command, table }: ConntrackArgs, count: number): string {
  if (command === "create") return `${CONNTRACK_VERSION}: 1 flow entries have been created.\n`;
  if (table === "expect" && command === "list")
    return `${CONNTRACK_VERSION}: 0 expectations have been shown.\n`;
  const emptied = table === "expect" ? "expectation" : "connection tracking";
  if (command === "flush") return `${CONNTRACK_VERSION}: ${emptied} table has been emptied.\n`;
  const done = DONE[command];
  return done === undefined ? "" : `${CONNTRACK_VERSION}: ${count} flow entries have been ${done}.\n`;
}

/** What the kernel's refusals are called. */
const REFUSALS: Readonly<Record<string, string>> = {
  ENOENT: "such conntrack doesn't exist",
  EINVAL: "invalid parameters",
  EEXIST: "Such conntrack exists, try -U to update",
  EOPNOTSUPP: "Operation not supported",
};

export const conntrack: Tool<ConntrackArgs, ConntrackResult> = {
  name: "conntrack",
  parse: (argv) => parseConntrackArgs(argv),
  run: (args, context) =>
    args.command === "event" && args.table === "conntrack" ? listen(args, context) : perform(args, context),
  render({ entries, text, shown }, args): ToolOutput {
    const events = `${CONNTRACK_VERSION}: ${shown} flow events have been shown.\n`;
    const stderr = args.warnings + (shown === undefined ? summary(args, entries.length) : events);
    const wanted = ["get", "delete", "update"].includes(args.command);
    return { stdout: text, stderr, status: wanted && entries.length === 0 ? 1 : 0 };
  },
  failure(error, args): ToolOutput | null {
    const words = error instanceof SysError ? REFUSALS[error.code] : undefined;
    if (words === undefined) return null;
    const line = `Operation failed: ${words}\n`;
    // Said by the request inside and by the command around it.
    const inside = args?.command === "update" ? line : "";
    const stderr = `${args?.warnings ?? ""}${inside}${CONNTRACK_VERSION}: ${line}`;
    return { stdout: "", stderr, status: 1 };
  },
};

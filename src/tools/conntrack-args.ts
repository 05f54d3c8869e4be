/** The command line of conntrack(8) 1.4.7. */
import type { ConntrackFilter, FlowKey, Masked, NewFlow } from "../net/ctl/conntrack.ts";
import type { ConntrackEventType } from "../net/netfilter/conntrack/ecache.ts";
import { protoHasPorts } from "../net/netfilter/conntrack/tuple.ts";
import { NotModelledError, UsageError } from "../util/errors.ts";
import { IPPROTO_GRE, IPPROTO_ICMP } from "../wire/ipv4.ts";
import { type Draft, setTable, takeOption } from "./conntrack-draft.ts";
import { COMMANDS, type ConntrackCommand, checkOptions } from "./conntrack-options.ts";
import { CREATE_ONLY, EVENT_TYPES, refuse, STATES } from "./conntrack-values.ts";

export interface ConntrackArgs {
  readonly command: ConntrackCommand;
  readonly table: Draft["table"];
  readonly filter: ConntrackFilter;
  /** `-o extended`: the network protocol in front. */
  readonly extended: boolean;
  /** -L -z: the counters begin anew. */
  readonly zero: boolean;
  /** Of which kinds -E tells. */
  readonly events: readonly ConntrackEventType[];
  /** What -U sets. */
  readonly setMark?: Masked;
  readonly setTimeoutS?: number;
  readonly setStatus?: number;
  readonly setState?: number;
  /** -U knows of which family the entries are: an address says it, or -f. */
  readonly hasFamily: boolean;
  /** What -I makes. */
  readonly create?: NewFlow;
  /** Lines for stderr that refuse nothing. */
  readonly warnings: string;
}

const SOCK_MIN_RCVBUF = 2304;

/** Splits `--name=value` and `-xVALUE` words, so that an option and its value stand apart. */
function splitWords(argv: readonly string[]): string[] {
  const words: string[] = [];
  for (const word of argv) {
    const equals = word.indexOf("=");
    if (word.startsWith("--") && equals > 0) words.push(word.slice(0, equals), word.slice(equals + 1));
    else if (/^-[a-zA-Z].+/.test(word)) words.push(word.slice(0, 2), word.slice(2));
    else words.push(word);
  }
  return words;
}

/** What -G and -I must know of the flow. */
function checkTuple(command: ConntrackCommand, { filter, state, createOnly }: Draft): void {
  const { proto, origSrc, origDst, replSrc, replDst } = filter;
  const original = origSrc !== undefined && origDst !== undefined;
  if (!original && (replSrc === undefined || replDst === undefined))
    throw refuse("you have to specify `--src' and `--dst'");
  if (command === "create" && proto! in STATES && state === undefined)
    throw refuse("You need to supply the `--state' option for this command");
  const missing = command === "create" && CREATE_ONLY[proto!]?.find((option) => !createOnly.has(option));
  if (missing) throw refuse(`You need to supply the \`${missing}' option for this command`);
  if (proto === IPPROTO_ICMP) {
    if (filter.icmpType === undefined)
      throw refuse("You need to supply the `--icmp-type' option for this command");
    if (filter.icmpCode === undefined)
      throw refuse("You need to supply the `--icmp-code' option for this command");
    return;
  }
  const ported = protoHasPorts(proto!);
  if (!ported && proto !== IPPROTO_GRE) return;
  const numbers = filter.origSport !== undefined && filter.origDport !== undefined;
  const replies = filter.replSport !== undefined && filter.replDport !== undefined;
  if (numbers || replies) return;
  throw refuse(
    ported ? "you have to specify `--sport' and `--dport'" : "you have to specify `--srckey' and `--dstkey'",
  );
}

/** The tuple that a filter names. */
export function flowKey(filter: ConntrackFilter): FlowKey {
  const { proto, origSrc, origDst, origSport, origDport, icmpType, icmpCode, icmpId } = filter;
  const icmp = proto === IPPROTO_ICMP;
  return {
    proto: proto!,
    src: origSrc?.value ?? 0,
    dst: origDst?.value ?? 0,
    sport: (icmp ? icmpId : origSport) ?? 0,
    dport: icmp ? ((icmpType ?? 0) << 8) | (icmpCode ?? 0) : (origDport ?? 0),
  };
}

/** The flow that -I makes: its answers come the same way back, but for what is said of them, and of NAT. */
function newFlow({ filter, srcNat, dstNat, mark, status, state, timeoutS, createOnly }: Draft): NewFlow {
  const { replSrc, replDst } = filter;
  return {
    ...flowKey(filter),
    replSrc: dstNat?.addr.value ?? replSrc?.value,
    replDst: srcNat?.addr.value ?? replDst?.value,
    replSport: dstNat?.port ?? filter.replSport,
    replDport: srcNat?.port ?? filter.replDport,
    nat: srcNat !== undefined || dstNat !== undefined,
    mark: mark?.value ?? 0,
    status: status ?? 0,
    state,
    vtags: [createOnly.get("--orig-vtag") ?? 0, createOnly.get("--reply-vtag") ?? 0],
    clientDir: createOnly.get("--role") === 1 ? 1 : 0,
    timeoutS: timeoutS ?? 0,
    zone: filter.zone ?? filter.zoneOrig ?? filter.zoneReply ?? 0,
    zoneDir: filter.zone !== undefined ? "both" : filter.zoneOrig !== undefined ? "orig" : "reply",
  };
}

/** What the kernel makes of a size that a socket's buffer shall have (SO_RCVBUFFORCE). */
function bufferText(bytes: number): string {
  const size = Math.max(2 * bytes, SOCK_MIN_RCVBUF);
  return `NOTICE: Netlink socket buffer size has been set to ${size} bytes.\n`;
}

function finish(draft: Draft): ConntrackArgs {
  const { command, filter, given, mark, status } = draft;
  const wrong = checkOptions(command, given);
  if (wrong !== null) throw refuse(wrong);
  if (command === null) throw new NotModelledError("conntrack --help");
  const [createOnly] = draft.createOnly.keys();
  if (createOnly !== undefined && command !== "create")
    throw refuse(`Illegal option \`${createOnly}' with this command`);
  if (given.has("id")) throw new NotModelledError("conntrack --id");
  for (const end of ["src", "dst"])
    if (given.has(`mask-${end}`) && !given.has(end)) throw refuse(`Can't use --mask-${end} without --${end}`);
  if (command === "get" || command === "create") checkTuple(command, draft);
  const zero = given.has("zero");
  if (zero && given.size > 1) throw refuse("Can't use -z with filtering parameters");
  const isUpdate = command === "update";
  if (!isUpdate) {
    if (mark !== undefined) filter.mark = mark;
    if (status !== undefined) filter.status = status;
    if (draft.state !== undefined) filter.state = draft.state;
    if (draft.unreplied) filter.unreplied = true;
  }
  if (draft.srcNat !== undefined) filter.natSrc = draft.srcNat;
  if (draft.dstNat !== undefined) filter.natDst = draft.dstNat;
  return {
    command,
    table: draft.table,
    filter,
    extended: draft.extended,
    zero,
    events: draft.events ?? EVENT_TYPES.ALL,
    hasFamily: draft.hasFamily,
    warnings: draft.warnings + (given.has("buffer-size") ? bufferText(draft.bufferBytes) : ""),
    ...(isUpdate
      ? { setMark: mark, setTimeoutS: draft.timeoutS, setStatus: status, setState: draft.state }
      : {}),
    ...(command === "create" ? { create: newFlow(draft) } : {}),
  };
}

/** Throws UsageError with the real command's words. */
export function parseConntrackArgs(argv: readonly string[]): ConntrackArgs {
  const draft: Draft = {
    command: null,
    table: "conntrack",
    extended: false,
    hasFamily: false,
    unreplied: false,
    createOnly: new Map(),
    bufferBytes: 0,
    filter: {},
    given: new Set(),
    warnings: "",
  };
  try {
    return readWords(draft, splitWords(argv));
  } catch (error) {
    // What was warned about before stands before the refusal.
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(draft.warnings + error.message, 2);
  }
}

function readWords(draft: Draft, words: readonly string[]): ConntrackArgs {
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const next = (): string | null => (/^[^-]/.test(words[i + 1] ?? "") ? words[++i] : null);
    if (Object.hasOwn(COMMANDS, word)) {
      if (draft.command !== null) throw refuse("Invalid commands combination");
      draft.command = COMMANDS[word];
      const table = next();
      if (table !== null) setTable(draft, table);
      continue;
    }
    if (["-A", "--add", "-R", "--load-file", "-h", "--help"].includes(word))
      throw new NotModelledError(`conntrack ${word}`);
    const value = (): string => {
      if (i + 1 >= words.length) throw refuse(`option \`${word}' requires an argument`);
      return words[++i];
    };
    if (word.startsWith("-") && !takeOption(draft, word, value, next))
      throw refuse(`unknown option \`${word}'`);
  }
  return finish(draft);
}

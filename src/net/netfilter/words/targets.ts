/** REJECT, LOG, MARK, CONNMARK, NOTRACK, TCPMSS, TTL, TRACE (the libxt_*.c and libipt_*.c of those names). */
import { NotModelledError } from "../../../util/errors.ts";
import type {
  ConnmarkTarget,
  LogTarget,
  MarkTarget,
  NotrackTarget,
  RejectTarget,
  RejectWith,
  TcpmssTarget,
  TraceTarget,
  TtlTarget,
} from "../rule-spec.ts";
import { CT } from "./ct-target.ts";
import {
  type Extension,
  type Given,
  markOption,
  numberOption,
  problem,
  type TargetExtension,
} from "./extension.ts";
import { parseNumber } from "./names.ts";
import { NAT_TARGETS } from "./nat-targets.ts";

/** Name and short name, in the order in which a shortened word is looked up. */
const REJECT_NAMES: readonly (readonly [RejectWith, string])[] = [
  ["icmp-net-unreachable", "net-unreach"],
  ["icmp-host-unreachable", "host-unreach"],
  ["icmp-proto-unreachable", "proto-unreach"],
  ["icmp-port-unreachable", "port-unreach"],
  ["icmp-net-prohibited", "net-prohib"],
  ["icmp-host-prohibited", "host-prohib"],
  ["tcp-reset", "tcp-rst"],
  ["icmp-admin-prohibited", "admin-prohib"],
];

const REJECT: Extension<RejectTarget> = {
  name: "REJECT",
  options: [{ name: "reject-with", arg: true }],
  open: () => {
    let how: RejectWith = "icmp-port-unreachable";
    return {
      take: ({ value, warn }) => {
        const word = value.toLowerCase();
        const found = REJECT_NAMES.find((names) => names.some((name) => name.startsWith(word)));
        if (found === undefined && ["echo-reply", "echoreply"].some((name) => name.startsWith(word)))
          warn("--reject-with echo-reply no longer supported");
        if (found === undefined) problem(`unknown reject type "${value}"`);
        how = found[0];
      },
      finish: () => ({ name: "REJECT", with: how }),
    };
  },
};

/** What syslog levels are called where they are listed. */
export const LOG_LEVELS: readonly string[] = [
  "emerg",
  "alert",
  "crit",
  "err",
  "warn",
  "notice",
  "info",
  "debug",
];

/** What --log-level takes for each. */
const LOG_LEVEL_WORDS: readonly (readonly string[])[] = [
  ["emerg", "panic"],
  ["alert"],
  ["crit"],
  ["error"],
  ["warning"],
  ["notice"],
  ["info"],
  ["debug"],
];

/** Option and bit (XT_LOG_*), in the order of printing. */
export const LOG_FLAGS: readonly (readonly [string, number])[] = [
  ["log-tcp-sequence", 1],
  ["log-tcp-options", 2],
  ["log-ip-options", 4],
  ["log-uid", 8],
  ["log-macdecode", 32],
];

const LOG_PREFIX_MAX = 29;

function logLevel(text: string): number {
  const number = parseNumber(text);
  if (number !== null && number <= 7) return number;
  const level = LOG_LEVEL_WORDS.findIndex((names) => names.includes(text));
  if (level < 0) problem(`log level "${text}" unknown\n`);
  return level;
}

function logPrefix(text: string): string {
  if (text === "") problem("Argument must have a minimum length of 1 characters\n");
  if (text.includes("\n")) problem("Newlines not allowed in --log-prefix");
  return text.slice(0, LOG_PREFIX_MAX);
}

const LOG: Extension<LogTarget> = {
  name: "LOG",
  options: [
    { name: "log-level", arg: true },
    { name: "log-prefix", arg: true },
    ...LOG_FLAGS.map(([name]) => ({ name, arg: false })),
  ],
  open: () => {
    let spec: LogTarget = { name: "LOG", level: 4, prefix: "", flags: 0 };
    return {
      take: ({ name, value }) => {
        if (name === "log-level") spec = { ...spec, level: logLevel(value) };
        else if (name === "log-prefix") spec = { ...spec, prefix: logPrefix(value) };
        else spec = { ...spec, flags: spec.flags | LOG_FLAGS.find((entry) => entry[0] === name)![1] };
      },
      finish: () => spec,
    };
  },
};

const MARK_ORDER = ["set-mark", "and-mark", "or-mark", "xor-mark", "set-xmark"];
const MARK_OPTIONS = ["set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark"];

/** Value and mask of `mark = (mark & ~mask) ^ value` for one of the options. */
function markOperands(extension: string, given: Given): { mark: number; mask: number } {
  if (given.name === "set-xmark" || given.name === "set-mark") {
    const [mark, mask] = markOption(extension, given);
    return { mark, mask: given.name === "set-mark" ? mask | mark : mask };
  }
  const bits = numberOption(extension, given, 0, 0xffffffff) | 0;
  if (given.name === "and-mark") return { mark: 0, mask: ~bits };
  return { mark: bits, mask: given.name === "or-mark" ? bits : 0 };
}

/** Options that each go without the others of `all`. */
function exclusive(
  names: readonly string[],
  all = names,
): { name: string; arg: boolean; excludes: string[] }[] {
  return names.map((name) => ({ name, arg: true, excludes: all.filter((other) => other !== name) }));
}

const MARK: Extension<MarkTarget> = {
  name: "MARK",
  options: exclusive(MARK_OPTIONS),
  order: MARK_ORDER,
  open: () => {
    let spec: MarkTarget | null = null;
    return {
      take: (given) => {
        spec = { name: "MARK", ...markOperands("MARK", given) };
      },
      finish: () =>
        spec ?? problem("MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required"),
    };
  },
};

class ConnmarkReader {
  private mode: ConnmarkTarget["mode"] | null = null;
  private mark = 0;
  private ctMask = -1;
  private nfMask = -1;

  take(given: Given): void {
    if (given.name === "save-mark" || given.name === "restore-mark")
      this.mode = given.name === "save-mark" ? "save" : "restore";
    else if (MARK_OPTIONS.includes(given.name)) {
      this.mode = "set";
      const { mark, mask } = markOperands("CONNMARK", given);
      this.mark = mark;
      this.ctMask = mask;
    } else this.takeMask(given);
  }

  finish(): ConnmarkTarget {
    if (this.mode === null) problem("CONNMARK target: No operation specified");
    return {
      name: "CONNMARK",
      mode: this.mode,
      mark: this.mark,
      ctMask: this.ctMask,
      nfMask: this.nfMask,
    };
  }

  private takeMask(given: Given): void {
    if (given.name.endsWith("-shift-mark")) throw new NotModelledError(`-j CONNMARK --${given.name}`);
    const mask = numberOption("CONNMARK", given, 0, 0xffffffff) | 0;
    if (given.name !== "nfmask") this.ctMask = mask;
    if (given.name !== "ctmask") this.nfMask = mask;
  }
}

const CONNMARK_MODES = [...MARK_OPTIONS, "save-mark", "restore-mark"];

const CONNMARK: Extension<ConnmarkTarget> = {
  name: "CONNMARK",
  options: [
    ...exclusive(MARK_OPTIONS, CONNMARK_MODES),
    { name: "save-mark", arg: false, excludes: CONNMARK_MODES.filter((name) => name !== "save-mark") },
    { name: "restore-mark", arg: false, excludes: CONNMARK_MODES.filter((name) => name !== "restore-mark") },
    { name: "left-shift-mark", arg: true },
    { name: "right-shift-mark", arg: true },
    { name: "ctmask", arg: true, excludes: ["mask"] },
    { name: "nfmask", arg: true, excludes: ["mask"] },
    { name: "mask", arg: true, excludes: ["ctmask", "nfmask"] },
  ],
  order: ["set-mark", "save-mark", "restore-mark", ...MARK_ORDER.slice(1), "ctmask", "nfmask", "mask"],
  open: () => new ConnmarkReader(),
};

/** A segment needs room for its IP header. */
const MAX_SET_MSS = 0xffff - 20;

const TCPMSS: Extension<TcpmssTarget> = {
  name: "TCPMSS",
  options: [
    { name: "set-mss", arg: true },
    { name: "clamp-mss-to-pmtu", arg: false },
  ],
  open: () => {
    let mss = -1;
    return {
      take: (given) => {
        mss = given.name === "set-mss" ? numberOption("TCPMSS", given, 0, MAX_SET_MSS) : 0xffff;
      },
      finish: () =>
        mss < 0 ? problem("TCPMSS target: At least one parameter is required") : { name: "TCPMSS", mss },
    };
  },
};

const TTL_OPTIONS = ["ttl-set", "ttl-dec", "ttl-inc"];

const TTL: Extension<TtlTarget> = {
  name: "TTL",
  options: exclusive(TTL_OPTIONS),
  order: ["ttl-set", "ttl-inc", "ttl-dec"],
  open: () => {
    let spec: TtlTarget | null = null;
    return {
      take: (given) => {
        const mode = given.name.slice(4) as TtlTarget["mode"];
        spec = { name: "TTL", mode, ttl: numberOption("TTL", given, mode === "set" ? 0 : 1, 255) };
      },
      finish: () => spec ?? problem("TTL: You must specify an action"),
    };
  },
};

/** A target without options. */
function plain<S extends NotrackTarget | TraceTarget>(name: S["name"]): Extension<S> {
  return { name, options: [], open: () => ({ take: () => {}, finish: () => ({ name }) as S }) };
}

export const TARGETS: readonly TargetExtension[] = [
  REJECT,
  LOG,
  MARK,
  CONNMARK,
  CT,
  plain<NotrackTarget>("NOTRACK"),
  TCPMSS,
  TTL,
  plain<TraceTarget>("TRACE"),
  ...NAT_TARGETS,
];

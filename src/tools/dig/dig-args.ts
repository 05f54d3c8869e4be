/** The words of `dig` (bin/dig/dig.c of BIND 9.18): server, name, type, class, `-x`, and the `+` options. */
import { NotModelledError, UsageError } from "../../util/errors.ts";
import {
  DNS_A,
  DNS_AAAA,
  DNS_ANY,
  DNS_CNAME,
  DNS_MX,
  DNS_NS,
  DNS_PTR,
  DNS_SOA,
  DNS_SRV,
  DNS_TXT,
} from "../../wire/dns.ts";

export interface DigArgs {
  /** As typed behind `@`; "": the name servers of the resolver. */
  server: string;
  /** Fully qualified. */
  name: string;
  type: number;
  port: number;
  tcp: boolean;
  tries: number;
  timeoutSec: number;
  edns: boolean;
  /** UDP payload size that is announced. */
  bufferSize: number;
  /** Client cookie: hexadecimal digits, "" a random one, null none. */
  cookie: string | null;
  /** Identifier of the query; -1: a random one. */
  queryId: number;
  recurse: boolean;
  adFlag: boolean;
  /** A truncated answer is taken as it is. */
  ignoreTruncation: boolean;
  short: boolean;
  readonly shown: Shown;
  /** The words, for the first line. */
  words: string;
}

/** Parts of the text. */
export interface Shown {
  cmd: boolean;
  comments: boolean;
  question: boolean;
  answer: boolean;
  authority: boolean;
  additional: boolean;
  stats: boolean;
}

export const DIG_TYPES: Readonly<Record<string, number>> = {
  A: DNS_A,
  NS: DNS_NS,
  CNAME: DNS_CNAME,
  SOA: DNS_SOA,
  PTR: DNS_PTR,
  MX: DNS_MX,
  TXT: DNS_TXT,
  AAAA: DNS_AAAA,
  SRV: DNS_SRV,
  ANY: DNS_ANY,
};

const PARTS: readonly (keyof Shown)[] = [
  "cmd",
  "comments",
  "question",
  "answer",
  "authority",
  "additional",
  "stats",
];

/** Name under which the address of `-x` is asked for. */
function reverseName(text: string): string {
  const parts = text.split(".");
  if (parts.length > 4 || parts.some((part) => !/^\d{1,3}$/.test(part)))
    throw new NotModelledError(`dig -x ${text}`);
  return `${parts.reverse().join(".")}.in-addr.arpa.`;
}

export function parseDig(argv: readonly string[]): DigArgs {
  const args: DigArgs = {
    server: "",
    name: "",
    type: DNS_A,
    port: 53,
    tcp: false,
    tries: 3,
    timeoutSec: 5,
    edns: true,
    bufferSize: 1232,
    cookie: "",
    queryId: -1,
    recurse: true,
    adFlag: true,
    ignoreTruncation: false,
    short: false,
    shown: {
      cmd: true,
      comments: true,
      question: true,
      answer: true,
      authority: true,
      additional: true,
      stats: true,
    },
    words: argv.join(" "),
  };
  let typed = false;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (word.startsWith("@")) args.server = word.slice(1);
    else if (word.startsWith("+")) plusOption(args, word.slice(1));
    else if (word.startsWith("-")) {
      i += dashOption(args, word, argv[i + 1]);
      typed ||= word.startsWith("-t") || word.startsWith("-x");
    } else if (word.toUpperCase() === "IN") continue;
    else if (!typed && args.name !== "" && DIG_TYPES[word.toUpperCase()] !== undefined) {
      args.type = DIG_TYPES[word.toUpperCase()];
      typed = true;
    } else if (args.name !== "") throw new NotModelledError("dig with more than one name");
    else if (DIG_TYPES[word] !== undefined && i + 1 < argv.length) {
      args.type = DIG_TYPES[word];
      typed = true;
    } else args.name = word.endsWith(".") ? word : `${word}.`;
  }
  if (args.name === "") {
    args.name = ".";
    args.type = typed ? args.type : DNS_NS;
  }
  return args;
}

/** Returns how many further words it took. */
function dashOption(args: DigArgs, word: string, next: string | undefined): number {
  const letter = word[1];
  if (letter === "4") return 0;
  if (!"xtpq".includes(letter)) throw new NotModelledError(`dig ${word}`);
  const value = word.length > 2 ? word.slice(2) : next;
  if (value === undefined) throw new UsageError(`dig: option ${word} needs an argument`, 1);
  if (letter === "x") {
    args.name = reverseName(value);
    args.type = DNS_PTR;
  } else if (letter === "p") args.port = Number(value);
  else if (letter === "q") args.name = value.endsWith(".") ? value : `${value}.`;
  else {
    const type = DIG_TYPES[value.toUpperCase()];
    if (type === undefined) throw new NotModelledError(`dig -t ${value}`);
    args.type = type;
  }
  return word.length > 2 ? 0 : 1;
}

function plusOption(args: DigArgs, text: string): void {
  const [head, value = ""] = text.split("=");
  const on = !head.startsWith("no");
  const name = on ? head : head.slice(2);
  const number = (least: number): number => {
    const n = Number(value);
    if (value === "" || !Number.isInteger(n))
      throw new UsageError(`Couldn't parse ${name} '${value}': not a valid number`, 10);
    return Math.max(n, least);
  };
  if (name === "all") for (const part of PARTS) args.shown[part] = on;
  else if (name === "cmd" || name === "comments" || name === "question" || name === "answer")
    args.shown[name] = on;
  else if (name === "authority" || name === "additional" || name === "stats") args.shown[name] = on;
  else if (name === "short") {
    args.short = on;
    for (const part of PARTS) args.shown[part] = on ? part === "answer" : true;
  } else if (name === "tcp" || name === "vc") args.tcp = on;
  else if (name === "edns") args.edns = on;
  else if (name === "cookie") args.cookie = on ? value : null;
  else if (name === "recurse" || name === "rec") args.recurse = on;
  else if (name === "adflag" || name === "ad") args.adFlag = on;
  else if (name === "ignore") args.ignoreTruncation = on;
  else if (name === "search") return;
  else if (name === "tries") args.tries = number(1);
  else if (name === "retry") args.tries = number(0) + 1;
  else if (name === "time" || name === "timeout") args.timeoutSec = number(1);
  else if (name === "qid") args.queryId = on ? number(0) & 0xffff : -1;
  else if (name === "bufsize") args.bufferSize = number(0);
  else throw new NotModelledError(`dig +${text}`);
}

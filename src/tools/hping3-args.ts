/** The words of `hping3` 3.0.0-alpha-2 that make single TCP, UDP and ICMP packets. */
import { NotModelledError, UsageError } from "../util/errors.ts";
import { TCP_ACK, TCP_CWR, TCP_ECE, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG } from "../wire/tcp.ts";
import { OptionReader } from "./options.ts";

export interface HpingArgs {
  host: string;
  mode: "tcp" | "udp" | "icmp";
  count: number;
  intervalNs: number;
  flags: number;
  /** 0: chosen. */
  sport: number;
  /** The source port stays the same. */
  keep: boolean;
  dport: number;
  /** null: random. */
  seq: number | null;
  ack: number | null;
  window: number;
  /** MSS option of TCP, 0 none. */
  mss: number;
  ttl: number;
  tos: number;
  /** null: random. */
  id: number | null;
  dontFragment: boolean;
  dataBytes: number;
  quiet: boolean;
  /** Addresses are not asked for their names. */
  numeric: boolean;
}

/** Flags by their letter, in the order in which they are shown. */
export const FLAG_LETTERS: readonly (readonly [string, number])[] = [
  ["R", TCP_RST],
  ["S", TCP_SYN],
  ["A", TCP_ACK],
  ["F", TCP_FIN],
  ["P", TCP_PSH],
  ["U", TCP_URG],
  ["X", TCP_ECE],
  ["Y", TCP_CWR],
];

const LONG = {
  syn: "S",
  ack: "A",
  fin: "F",
  rst: "R",
  push: "P",
  urg: "U",
  xmas: "X",
  ymas: "Y",
  udp: "2",
  icmp: "1",
  count: "c",
  interval: "i",
  ttl: "t",
  baseport: "s",
  destport: "p",
  keep: "k",
  setseq: "M",
  setack: "L",
  win: "w",
  data: "d",
  quiet: "q",
  numeric: "n",
  interface: "I",
  tos: "o",
  id: "N",
  rel: "r",
  winid: "W",
  frag: "f",
  dontfrag: "y",
  fast: "fast",
  faster: "faster",
  flood: "flood",
  "tcp-mss": "tcp-mss:",
};

function numberOf(text: string, most: number): number {
  const value = Number(text);
  if (text === "" || !Number.isInteger(value) || value < 0 || value > most)
    throw new UsageError(`hping3: bad value ${text}`, 1);
  return value;
}

/** `1`, `u10000`: seconds or microseconds. */
function intervalOf(text: string): number {
  return text.startsWith("u") ? numberOf(text.slice(1), 1e9) * 1000 : numberOf(text, 1e6) * 1e9;
}

function setOption(args: HpingArgs, option: string, value: string): void {
  const flag = FLAG_LETTERS.find(([letter]) => letter === option);
  if (flag !== undefined) args.flags |= flag[1];
  else if (option === "1") args.mode = "icmp";
  else if (option === "2") args.mode = "udp";
  else if (option === "c") args.count = numberOf(value, 1e9);
  else if (option === "i") args.intervalNs = intervalOf(value);
  else if (option === "fast") args.intervalNs = 1e8;
  else if (option === "faster") args.intervalNs = 1000;
  else if (option === "t") args.ttl = numberOf(value, 255);
  else if (option === "s")
    args.sport = numberOf(value, 0x7fffffff) & 0xffff; // what does not fit is cut off
  else if (option === "p") args.dport = numberOf(value, 65535);
  else if (option === "k") args.keep = true;
  else if (option === "M") args.seq = numberOf(value, 0xffffffff);
  else if (option === "L") args.ack = numberOf(value, 0xffffffff);
  else if (option === "w") args.window = numberOf(value, 65535);
  else if (option === "d") args.dataBytes = numberOf(value, 65000);
  else if (option === "o") args.tos = Number.parseInt(value, 16);
  else if (option === "N") args.id = numberOf(value, 65535);
  else if (option === "r" || option === "W" || option === "f")
    throw new NotModelledError(`hping3 -${option}`);
  else if (option === "y") args.dontFragment = true;
  else if (option === "q") args.quiet = true;
  else if (option === "n") args.numeric = true;
  else if (option === "tcp-mss") args.mss = numberOf(value, 65535);
  else if (option === "flood") throw new NotModelledError("hping3 --flood");
}

export function parseHping(argv: readonly string[]): HpingArgs {
  const args: HpingArgs = {
    host: "",
    mode: "tcp",
    count: 0,
    intervalNs: 1e9,
    flags: 0,
    sport: 0,
    keep: false,
    dport: 0,
    seq: null,
    ack: null,
    window: 512,
    mss: 0,
    ttl: 64,
    tos: 0,
    id: null,
    dontFragment: false,
    dataBytes: 0,
    quiet: false,
    numeric: false,
  };
  const reader = new OptionReader("hping3", argv, "12SAFRPUXYc:i:t:s:p:kM:L:w:d:o:N:yqnVI:rWf", 1, LONG);
  for (const { option, value } of reader.options()) setOption(args, option, value);
  if (reader.rest.length !== 1)
    throw new UsageError("hping3: you must specify only one target host at a time", 1);
  args.host = reader.rest[0];
  return args;
}

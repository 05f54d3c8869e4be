/** The words of `traceroute` 2.1.2 (Debian). */
import { NotModelledError, UsageError } from "../util/errors.ts";
import { OptionReader } from "./options.ts";

/** How it probes: UDP to rising ports, UDP to one port, ICMP echo, TCP SYN. */
export type TraceMethod = "default" | "udp" | "icmp" | "tcp";

export interface TracerouteArgs {
  host: string;
  method: TraceMethod;
  numeric: boolean;
  firstTtl: number;
  maxTtl: number;
  probesPerHop: number;
  /** Probes under way at once. */
  simultaneous: number;
  /** Longest wait in seconds, and factors of the answers of the same and of later hops. */
  waitSec: number;
  hereFactor: number;
  nearFactor: number;
  /** 0: the method's. */
  port: number;
  sourcePort: number;
  tos: number;
  dontFragment: boolean;
  /** IP length of a probe; 0: the method's. */
  length: number;
}

const LONG = {
  icmp: "I",
  tcp: "T",
  udp: "U",
  first: "f",
  "max-hops": "m",
  queries: "q",
  "sim-queries": "N",
  wait: "w",
  port: "p",
  tos: "t",
  "dont-fragment": "F",
  sport: "sport:",
  interface: "i",
  source: "s",
};

function bounded(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text === "" || Number.isNaN(value) || value < least || value > most)
    throw new UsageError(
      `Cannot handle \`-${option}' option with arg \`${text}' (out of range ${least} to ${most})\n`,
      2,
    );
  return value;
}

function setOption(args: TracerouteArgs, option: string, value: string): void {
  if (option === "n") args.numeric = true;
  else if (option === "I") args.method = "icmp";
  else if (option === "T") args.method = "tcp";
  else if (option === "U") args.method = "udp";
  else if (option === "F") args.dontFragment = true;
  else if (option === "f") args.firstTtl = bounded("f", value, 1, 255);
  else if (option === "m") args.maxTtl = bounded("m", value, 1, 255);
  else if (option === "q") args.probesPerHop = bounded("q", value, 1, 10);
  else if (option === "N") args.simultaneous = bounded("N", value, 1, 255);
  else if (option === "p") args.port = bounded("p", value, 1, 65535);
  else if (option === "sport") {
    args.sourcePort = bounded("sport", value, 1, 65535);
    args.simultaneous = 1;
  } else if (option === "t") args.tos = bounded("t", value, 0, 255);
  else if (option === "w") {
    const [wait, here, near] = value.split(",");
    args.waitSec = Number(wait);
    args.hereFactor = here === undefined ? args.hereFactor : Number(here);
    args.nearFactor = near === undefined ? args.nearFactor : Number(near);
  } else if (option !== "4") throw new NotModelledError(`traceroute -${option}`);
}

export function parseTraceroute(argv: readonly string[]): TracerouteArgs {
  const args: TracerouteArgs = {
    host: "",
    method: "default",
    numeric: false,
    firstTtl: 1,
    maxTtl: 30,
    probesPerHop: 3,
    simultaneous: 16,
    waitSec: 5,
    hereFactor: 3,
    nearFactor: 10,
    port: 0,
    sourcePort: 0,
    tos: 0,
    dontFragment: false,
    length: 0,
  };
  const reader = new OptionReader("traceroute", argv, "46dFf:g:Ii:m:N:np:t:l:w:q:rs:z:eATUM:", 2, LONG);
  for (const { option, value } of reader.options()) setOption(args, option, value);
  const [host, length] = reader.rest;
  if (host === undefined)
    throw new UsageError("Usage:\n  traceroute [ -46dFITnreAUDV ] [ -f first_ttl ] host [ packetlen ]\n", 2);
  args.host = host;
  if (length !== undefined) args.length = bounded("packetlen", length, 28, 65000);
  return args;
}

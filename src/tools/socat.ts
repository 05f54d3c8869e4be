/**
 * `socat` 1.7.4 between its standard streams and one UDP or TCP socket: a block read is a datagram sent, what comes back
 * is printed, and after the end of input the -t time is waited for more.
 */
import { asciiBytes, asciiText } from "../host/ascii.ts";
import type { Co } from "../host/process.ts";
import { closeSocket, connectTcp, openUdp, recvTcp, recvUdp, sendTcp, shutdownTcp } from "../host/socket.ts";
import type { PmtuDiscovery } from "../net/ipv4/sock.ts";
import { wallTime } from "../sim/wall-clock.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../util/errors.ts";
import { parseIp4 } from "../wire/address.ts";
import { OptionReader } from "./options.ts";
import type { Tool, ToolContext } from "./tool.ts";

interface SocatArgs {
  tcp: boolean;
  addr: number;
  port: number;
  bindAddr: number;
  bindPort: number;
  discovery: PmtuDiscovery | -1;
  ttl: number;
  tos: number;
  /** How long the other direction may last after the end of input, ns. */
  lingerNs: number;
  blockBytes: number;
}

interface SocatResult {
  stdout: string;
  stderr: string;
  status: number;
  /** The system call that would tell of an error. */
  call: string;
}

const SEC = 1_000_000_000;

function parseSocat(argv: readonly string[]): SocatArgs {
  const reader = new OptionReader(
    "socat",
    argv.map((word) => (word === "-" ? "STDIO" : word)),
    "t:b:",
    1,
  );
  let lingerNs = SEC / 2;
  let blockBytes = 8192;
  for (const { option, value } of reader.options()) {
    const given = Number(value);
    if (Number.isNaN(given) || given < 0) throw usage(`invalid argument "${value}" to option "-${option}"`);
    if (option === "t") lingerNs = Math.round(given * SEC);
    else blockBytes = Math.max(1, Math.floor(given));
  }
  if (reader.rest.length !== 2)
    throw usage(`exactly 2 addresses required (there are ${reader.rest.length}); use option "-h" for help`);
  const [first, second] = reader.rest;
  if (first !== "STDIO" && first !== "STDIN")
    throw new NotModelledError(`socat with ${first} as first address`);
  return { ...parseAddress(second), lingerNs, blockBytes };
}

function usage(text: string): UsageError {
  return new UsageError(`socat[1] E ${text}`, 1);
}

/** `UDP4:HOST:PORT,bind=ADDR:PORT,mtudiscover=2` and the like. */
function parseAddress(text: string): Omit<SocatArgs, "lingerNs" | "blockBytes"> {
  const [address, ...options] = text.split(",");
  const [kind, host = "", port = ""] = address.split(":");
  const type = kind.toUpperCase();
  if (!/^(UDP|UDP4|UDP-CONNECT|UDP4-CONNECT|TCP|TCP4|TCP-CONNECT|TCP4-CONNECT)$/.test(type))
    throw new NotModelledError(`socat ${kind}`);
  const args = {
    tcp: type.startsWith("TCP"),
    addr: addressOf(host),
    port: portOf(port),
    bindAddr: 0,
    bindPort: 0,
    discovery: -1 as PmtuDiscovery | -1,
    ttl: 0,
    tos: 0,
  };
  for (const option of options) {
    const [name, value = ""] = option.split("=");
    if (name === "bind") {
      const [addr, own] = value.split(":");
      if (addr !== "") args.bindAddr = addressOf(addr);
      if (own !== undefined) args.bindPort = portOf(own);
    } else if (name === "sourceport" || name === "sp") args.bindPort = portOf(value);
    else if (name === "mtudiscover" && /^[0-3]$/.test(value)) args.discovery = Number(value) as PmtuDiscovery;
    else if (name === "ttl" || name === "ip-ttl") args.ttl = Number(value);
    else if (name === "tos" || name === "ip-tos") args.tos = Number(value);
    else throw new NotModelledError(`socat option ${option}`);
  }
  return args;
}

function addressOf(text: string): number {
  const addr = parseIp4(text);
  if (addr === null) throw usage(`getaddrinfo("${text}", "NULL", {...}, {}): Name or service not known`);
  return addr;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw usage(`parseport("${text}"): invalid port`);
  return port;
}

/** A line of the log, as socat writes what fails. */
function logLine(context: ToolContext, text: string): string {
  const { year, month, day, hour, minute, second } = wallTime(context.machine.kernel.sim);
  const two = (n: number): string => String(n).padStart(2, "0");
  const stamp = `${year}/${two(month)}/${two(day)} ${two(hour)}:${two(minute)}:${two(second)}`;
  return `${stamp} socat[${context.process.pid}] E ${text}\n`;
}

function* runSocat(args: SocatArgs, context: ToolContext): Co<SocatResult> {
  const out: SocatResult = { stdout: "", stderr: "", status: 0, call: "connect(5)" };
  try {
    yield* args.tcp ? talkTcp(args, context, out) : talkUdp(args, context, out);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    out.stderr += logLine(context, `${out.call}: ${strerror(error.code)}`);
    out.status = 1;
  }
  return out;
}

function* talkUdp(args: SocatArgs, context: ToolContext, out: SocatResult): Co<void> {
  const { process } = context;
  const sk = openUdp(process, args.bindAddr, args.bindPort);
  try {
    if (args.discovery >= 0) sk.pmtuDisc = args.discovery as PmtuDiscovery;
    sk.ttl = args.ttl;
    sk.tos = args.tos;
    sk.connect(args.addr, args.port);
    const data = asciiBytes(context.stdin);
    for (let at = 0; at < data.length; at += args.blockBytes) {
      const block = data.subarray(at, at + args.blockBytes);
      out.call = `write(5, ..., ${block.length})`;
      sk.send(block);
    }
    out.call = `read(5, ..., ${args.blockBytes})`;
    for (;;) {
      const datagram = yield* recvUdp(sk, args.lingerNs);
      if (datagram === null) return;
      out.stdout += asciiText(datagram.data);
    }
  } finally {
    closeSocket(process, sk);
  }
}

function* talkTcp(args: SocatArgs, context: ToolContext, out: SocatResult): Co<void> {
  const { process } = context;
  const sk = yield* connectTcp(process, args.addr, args.port, { saddr: args.bindAddr, sport: args.bindPort });
  try {
    out.call = `write(5, ..., ${context.stdin.length})`;
    if (context.stdin !== "") yield* sendTcp(sk, asciiBytes(context.stdin));
    shutdownTcp(sk);
    for (;;) {
      const data = yield* recvTcp(sk, args.blockBytes, args.lingerNs);
      if (data === null || data.length === 0) return;
      out.stdout += asciiText(data);
    }
  } finally {
    closeSocket(process, sk);
  }
}

/** The command. */
export const socat: Tool<SocatArgs, SocatResult> = {
  name: "socat",
  parse: (argv) => parseSocat(argv),
  run: runSocat,
  render: (result) => result,
};

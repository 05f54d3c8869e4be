/** `nc` of OpenBSD (netcat-openbsd 1.219): connect, listen, scan, over TCP and UDP. */
import { asciiBytes, asciiText } from "../host/ascii.ts";
import { type Co, type Wait, waitFor } from "../host/process.ts";
import { ResolveError, resolveHost } from "../host/resolver.ts";
import {
  acceptTcp,
  closeSocket,
  connectTcp,
  listenTcp,
  openUdp,
  readableTcp,
  recvTcp,
  recvUdp,
  sendTcp,
  shutdownTcp,
} from "../host/socket.ts";
import type { TcpSock } from "../net/ipv4/tcp-sock.ts";
import type { UdpSock } from "../net/ipv4/udp-sock.ts";
import type { WaitQueue } from "../sim/wait-queue.ts";
import { SysError, strerror, UsageError } from "../util/errors.ts";
import { formatIp4, parseIp4 } from "../wire/address.ts";
import { OptionReader } from "./options.ts";
import type { StandardInput, Tool, ToolContext, ToolOutput } from "./tool.ts";

interface NcArgs {
  listen: boolean;
  udp: boolean;
  scan: boolean;
  verbose: boolean;
  keep: boolean;
  shutdownAtEof: boolean;
  /** Seconds, 0 none. */
  waitSec: number;
  source: string;
  sourcePort: number;
  host: string;
  ports: [number, number];
}

const SEC = 1_000_000_000;
const SERVICES: Record<number, string> = {
  22: "ssh",
  53: "domain",
  80: "http",
  443: "https",
  8080: "http-alt",
};
const USAGE =
  "usage: nc [-46CDdFhklNnrStUuvZz] [-I length] [-i interval] [-M ttl]\n\t  [-m minttl] [-O length] [-P proxy_username] [-p source_port]\n\t  [-q seconds] [-s sourceaddr] [-T keyword] [-V rtable] [-W recvlimit]\n\t  [-w timeout] [-X proxy_protocol] [-x proxy_address[:port]]\n\t  [destination] [port]";

const HELP = `OpenBSD netcat (Debian patchlevel 1.219-1)\n${USAGE}`;

function parseNc(argv: readonly string[]): NcArgs {
  const args: NcArgs = {
    listen: false,
    udp: false,
    scan: false,
    verbose: false,
    keep: false,
    shutdownAtEof: false,
    waitSec: 0,
    source: "",
    sourcePort: 0,
    host: "",
    ports: [0, 0],
  };
  const reader = new OptionReader("nc", argv, "lup:zvw:kns:Nq:46hdt", 1);
  for (const { option, value } of reader.options()) {
    if (option === "h") throw new UsageError(HELP, 0);
    if (option === "l") args.listen = true;
    else if (option === "u") args.udp = true;
    else if (option === "z") args.scan = true;
    else if (option === "v") args.verbose = true;
    else if (option === "k") args.keep = true;
    else if (option === "N") args.shutdownAtEof = true;
    else if (option === "q") args.shutdownAtEof = true;
    else if (option === "w") args.waitSec = Number(value);
    else if (option === "s") args.source = value;
    else if (option === "p") args.sourcePort = portOf(value);
  }
  const { rest } = reader;
  if (args.listen) {
    const port = rest.pop();
    args.ports = port === undefined ? [args.sourcePort, args.sourcePort] : [portOf(port), portOf(port)];
    args.host = rest[0] ?? args.source;
    if (args.ports[0] === 0) throw new UsageError(USAGE, 1);
    return args;
  }
  if (rest.length !== 2) throw new UsageError(USAGE, 1);
  args.host = rest[0];
  const [low, high] = rest[1].split("-");
  args.ports = [portOf(low), portOf(high ?? low)];
  return args;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new UsageError(`nc: port number invalid: ${text}`, 1);
  return port;
}

/** What the command prints. */
interface NcOutput {
  stdout: string;
  stderr: string;
  status: number;
}

function* runNc(args: NcArgs, context: ToolContext): Co<NcOutput> {
  const out: NcOutput = { stdout: "", stderr: "", status: 0 };
  if (args.listen) yield* args.udp ? listenUdp(args, context, out) : listenStream(args, context, out);
  else {
    const addr = yield* destination(args.host, context);
    out.status = 1;
    for (let port = args.ports[0]; port <= args.ports[1]; port++)
      yield* args.udp ? talkUdp(args, addr, port, context, out) : talkTcp(args, addr, port, context, out);
  }
  return out;
}

function* destination(host: string, context: ToolContext): Co<number> {
  try {
    return (yield* resolveHost(context.process, host))[0];
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    const text =
      error.code === "EAI_AGAIN" ? "Temporary failure in name resolution" : "Name or service not known";
    throw new UsageError(`nc: getaddrinfo for host "${host}" port ${0}: ${text}`, 1);
  }
}

function succeeded(args: NcArgs, port: number, proto: string): string {
  return `Connection to ${args.host} ${port} port [${proto}/${SERVICES[port] ?? "*"}] succeeded!\n`;
}

function* talkTcp(args: NcArgs, addr: number, port: number, context: ToolContext, out: NcOutput): Co<void> {
  const timeoutNs = args.waitSec > 0 ? args.waitSec * SEC : undefined;
  const { sim } = context.machine.kernel;
  const startNs = sim.now;
  let sk: TcpSock;
  try {
    sk = yield* connectTcp(context.process, addr, port, {
      timeoutNs,
      sport: args.sourcePort,
      saddr: parseIp4(args.source) ?? 0,
    });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const late = timeoutNs !== undefined && error.code === "ETIMEDOUT" && sim.now - startNs >= timeoutNs;
    const reason = late ? "timed out: Operation now in progress" : `failed: ${strerror(error.code)}`;
    if (args.verbose) out.stderr += `nc: connect to ${args.host} port ${port} (tcp) ${reason}\n`;
    return;
  }
  if (args.verbose) out.stderr += succeeded(args, port, "tcp");
  out.status = 0;
  if (!args.scan) yield* pump(args, sk, context);
  closeSocket(context.process, sk);
}

/** Sends what is piped in, prints what comes, until the peer ends or nothing comes for the -w time. */
function* pump(args: NcArgs, sk: TcpSock, context: ToolContext): Co<void> {
  try {
    if (!(yield* pumpInput(args, sk, context))) return;
    if (args.shutdownAtEof) shutdownTcp(sk);
    for (;;) {
      const data = yield* recvTcp(sk, 65536, args.waitSec > 0 ? args.waitSec * SEC : undefined);
      if (data === null || data.length === 0) return;
      context.print(asciiText(data));
    }
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}

/** Both ways, until all the input is sent; false when the peer ended before, or nothing came for the -w time. */
function* pumpInput(args: NcArgs, sk: TcpSock, context: ToolContext): Co<boolean> {
  const input = inputOf(context);
  for (let text = input.available(); text !== null; text = input.available()) {
    if (text !== "") yield* sendTcp(sk, asciiBytes(text));
    else if ((yield waits(args, [input.readable!, sk.wq])) === "timeout") return false;
    if (!readableTcp(sk)) continue;
    const data = yield* recvTcp(sk, 65536);
    if (data.length === 0) return false;
    context.print(asciiText(data));
  }
  return true;
}

/** What is piped in; a caller without a pipe has it all. */
function inputOf(context: ToolContext): StandardInput {
  if (context.input !== undefined) return context.input;
  let text = context.stdin;
  const available = (): string | null => {
    const part = text;
    text = "";
    return part === "" ? null : part;
  };
  return { readable: null, available };
}

function waits({ waitSec }: NcArgs, queues: readonly WaitQueue[]): Wait {
  return waitSec > 0 ? { queues, timeoutNs: waitSec * SEC } : { queues };
}

function* listenStream(args: NcArgs, context: ToolContext, out: NcOutput): Co<void> {
  const listener = listenTcp(context.process, parseIp4(args.host) ?? 0, args.ports[0], 1);
  if (args.verbose)
    out.stderr += `Listening on ${args.host === "" ? "0.0.0.0" : args.host} ${args.ports[0]}\n`;
  do {
    const sk = yield* acceptTcp(context.process, listener);
    if (args.verbose) out.stderr += `Connection received on ${formatIp4(sk.daddr)} ${sk.dport}\n`;
    yield* pump(args, sk, context);
    closeSocket(context.process, sk);
  } while (args.keep);
  closeSocket(context.process, listener);
}

function* talkUdp(args: NcArgs, addr: number, port: number, context: ToolContext, out: NcOutput): Co<void> {
  const sk = openUdp(context.process, parseIp4(args.source) ?? 0, args.sourcePort);
  try {
    sk.connect(addr, port);
    if (args.scan) yield* probeUdp(sk);
    out.status = 0;
    if (args.verbose) out.stderr += succeeded(args, port, "udp");
    if (args.scan) return;
    yield* pumpDatagrams(args, sk, context);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    out.status = 1;
  } finally {
    closeSocket(context.process, sk);
  }
}

/** A datagram for every part of the input; prints those that come, until nothing does for the -w time. */
function* pumpDatagrams(args: NcArgs, sk: UdpSock, context: ToolContext): Co<void> {
  const input = inputOf(context);
  for (let text = input.available(); text !== null; text = input.available()) {
    if (text !== "") {
      sk.send(asciiBytes(text));
      continue;
    }
    const datagram = sk.receive();
    if (datagram !== null) context.print(asciiText(datagram.data));
    else if ((yield waits(args, [input.readable!, sk.wq])) === "timeout") return;
  }
  for (;;) {
    const datagram = yield* recvUdp(sk, args.waitSec > 0 ? args.waitSec * SEC : undefined);
    if (datagram === null) return;
    context.print(asciiText(datagram.data));
  }
}

/** Four datagrams, a second apart: an open port says nothing, a closed one gives an error. */
function* probeUdp(sk: ReturnType<typeof openUdp>): Co<void> {
  for (let i = 0; i < 4; i++) {
    sk.send(asciiBytes("X"));
    yield* waitFor(sk.wq, SEC);
    sk.throwError();
  }
}

/** Belongs to the first peer that sends. */
function* listenUdp(args: NcArgs, context: ToolContext, out: NcOutput): Co<void> {
  const sk = openUdp(context.process, parseIp4(args.host) ?? 0, args.ports[0]);
  if (args.verbose) out.stderr += `Bound on ${args.host === "" ? "0.0.0.0" : args.host} ${args.ports[0]}\n`;
  const first = yield* recvUdp(sk, args.waitSec > 0 ? args.waitSec * SEC : undefined);
  if (first !== null) {
    sk.connect(first.saddr, first.sport);
    if (args.verbose) out.stderr += `Connection received on ${formatIp4(first.saddr)} ${first.sport}\n`;
    context.print(asciiText(first.data));
    yield* pumpDatagrams(args, sk, context);
  }
  closeSocket(context.process, sk);
}

/** The command. */
export const nc: Tool<NcArgs, NcOutput> = {
  name: "nc",
  parse: parseNc,
  run: runNc,
  render: (result): ToolOutput => result,
  failure(error): ToolOutput | null {
    if (!(error instanceof SysError)) return null;
    return { stdout: "", stderr: `nc: ${strerror(error.code)}\n`, status: 1 };
  },
};

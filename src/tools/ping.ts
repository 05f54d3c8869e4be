/** `ping` of iputils 20221126: options, the lines of each answer, the statistics. */
import { type EchoError, type EchoReply, EchoSocket } from "../host/echo.ts";
import { type Co, untilInterrupted, waitFor } from "../host/process.ts";
import { ResolveError, resolveHost } from "../host/resolver.ts";
import { IP_PMTUDISC_DO, IP_PMTUDISC_DONT, IP_PMTUDISC_WANT, type PmtuDiscovery } from "../net/ipv4/sock.ts";
import { skRouteOutput } from "../net/ipv4/sock-route.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../util/errors.ts";
import { formatIp4, parseIp4 } from "../wire/address.ts";
import { ICMP_REDIRECT } from "../wire/icmp.ts";
import { IP_OPTIONS_MAX, IPOPT_TS_PRESPEC } from "../wire/ip-options.ts";
import { icmpErrorText } from "./icmp-text.ts";
import { OptionReader } from "./options.ts";
import { OptionsText, requestOptions, TIMESTAMP_KINDS } from "./ping-options.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

interface PingArgs {
  host: string;
  count: number;
  size: number;
  intervalNs: number;
  waitNs: number;
  deadlineNs: number;
  ttl: number;
  quiet: boolean;
  source: string;
  discovery: PmtuDiscovery | -1;
  /** Stations to go over, or to ask for their time. */
  hops: string[];
  recordRoute: boolean;
  timestamp: number | null;
}

interface PingResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

/** What it makes of EACCES: the address may be one of all, or a route forbids it. */
const BROADCAST = "Do you want to ping broadcast? Then -b. If not, check your local firewall rules";
const SEC = 1_000_000_000;
/** Headers of a request without options. */
const ICMP_AND_IP = 28;
const USAGE = "ping: usage error: Destination address required";

function parsePing(argv: readonly string[]): PingArgs {
  const args: PingArgs = {
    host: "",
    count: 0,
    size: 56,
    intervalNs: SEC,
    waitNs: 10 * SEC,
    deadlineNs: 0,
    ttl: 0,
    quiet: false,
    source: "",
    discovery: -1,
    hops: [],
    recordRoute: false,
    timestamp: null,
  };
  const reader = new OptionReader("ping", argv, "c:s:i:W:w:t:I:M:Q:T:Rqn4vOUL", 2);
  for (const { option, value } of reader.options()) setOption(args, option, value);
  if (reader.rest.length === 0) throw new UsageError(USAGE, 1);
  args.host = reader.rest[reader.rest.length - 1];
  args.hops = reader.rest.slice(0, -1);
  if (args.hops.length > 0 && (args.recordRoute || args.hops.length > mostHops(args)))
    throw new NotModelledError("ping with these stations (a usage error)");
  return args;
}

function setOption(args: PingArgs, option: string, value: string): void {
  if (option === "c") args.count = integer(value, 1);
  else if (option === "s") args.size = integer(value, 0);
  else if (option === "i") args.intervalNs = Math.max(Math.round(real(value) * SEC), 1_000_000);
  else if (option === "W") args.waitNs = Math.round(real(value) * SEC);
  else if (option === "w") args.deadlineNs = integer(value, 0) * SEC;
  else if (option === "t") args.ttl = integer(value, 0);
  else if (option === "I") args.source = value;
  else if (option === "q") args.quiet = true;
  else if (option === "R" || option === "T") setRecord(args, option, value);
  else if (option === "M") args.discovery = discoveryOf(value);
  else if (option === "O" || option === "L" || option === "Q" || option === "U")
    throw new NotModelledError(`ping -${option}`);
}

/** Stations that fit into the options beside the target. */
function mostHops(args: PingArgs): number {
  if (args.timestamp === null) return 9;
  return args.timestamp === IPOPT_TS_PRESPEC ? 4 : 0;
}

function setRecord(args: PingArgs, option: string, value: string): void {
  const both = option === "R" ? args.timestamp !== null : args.recordRoute;
  if (both) throw new UsageError("ping: only one of -T or -R may be used", 2);
  if (option === "R") {
    args.recordRoute = true;
    return;
  }
  const kind = TIMESTAMP_KINDS.get(value);
  if (kind === undefined) throw new UsageError(`ping: invalid timestamp type: ${value}`, 2);
  args.timestamp = kind;
}

function integer(text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) throw new UsageError(`ping: invalid argument: '${text}'`, 1);
  return value;
}

function real(text: string): number {
  const value = Number(text);
  if (text === "" || Number.isNaN(value) || value < 0)
    throw new UsageError(`ping: option argument contains garbage: ${text}`, 1);
  return value;
}

function discoveryOf(text: string): PmtuDiscovery {
  if (text === "do") return IP_PMTUDISC_DO;
  if (text === "dont") return IP_PMTUDISC_DONT;
  if (text === "want") return IP_PMTUDISC_WANT;
  throw new UsageError(`ping: invalid -M argument: ${text}`, 1);
}

/** A round trip as ping prints it, `us` microseconds. */
function timeText(us: number): string {
  if (us >= 100_000) return String(Math.floor((us + 500) / 1000));
  if (us >= 10_000) return (Math.floor((us + 50) / 100) / 10).toFixed(1);
  if (us >= 1000) return (Math.floor((us + 5) / 10) / 100).toFixed(2);
  return (us / 1000).toFixed(3);
}

class PingRun {
  readonly args: PingArgs;
  readonly echo: EchoSocket;
  readonly addr: number;
  readonly numeric: boolean;
  stdout = "";
  stderr = "";
  sent = 0;
  received = 0;
  duplicates = 0;
  errors = 0;
  readonly seen = new Set<number>();
  readonly sentAt: number[] = [];
  private readonly options = new OptionsText();
  readonly rtts: number[] = [];
  /** Of the last request or reply. */
  private lastNs = 0;

  constructor(args: PingArgs, echo: EchoSocket, addr: number) {
    this.args = args;
    this.echo = echo;
    this.addr = addr;
    this.numeric = parseIp4(args.host) !== null;
  }

  get now(): number {
    return this.echo.sk.ns.kernel.sim.now;
  }

  /** Sends the next request. */
  send(): void {
    const seq = ++this.sent;
    this.sentAt[seq] = this.now;
    this.lastNs = this.now;
    try {
      this.echo.send(this.addr, seq, this.args.size);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.code === "EMSGSIZE") {
        this.errors++;
        this.stderr += `ping: local error: message too long, mtu=${error.detail}\n`;
      } else this.refused(error);
    }
  }

  /** A request that the kernel did not take: it says so only where the error queue tells more (receive_error_msg). */
  private refused(error: SysError): void {
    const { errors } = this;
    this.drain();
    if (this.errors > errors && !this.args.quiet) this.stderr += `ping: sendmsg: ${strerror(error.code)}\n`;
  }

  /** Takes everything that has arrived. */
  drain(): void {
    for (let event = this.echo.next(); event !== null; event = this.echo.next())
      if (event.kind === "reply") this.reply(event);
      else this.error(event);
  }

  private reply(reply: EchoReply): void {
    this.lastNs = reply.atNs;
    const us = Math.floor((reply.atNs - this.sentAt[reply.seq]) / 1000);
    const duplicate = this.seen.has(reply.seq);
    if (duplicate) this.duplicates++;
    else {
      this.seen.add(reply.seq);
      this.received++;
    }
    this.rtts.push(us);
    if (this.args.quiet) return;
    const from = this.numeric ? formatIp4(reply.from) : `${this.args.host} (${formatIp4(reply.from)})`;
    const time = this.args.size >= 16 ? ` time=${timeText(us)} ms` : "";
    this.stdout += `${reply.length} bytes from ${from}: icmp_seq=${reply.seq} ttl=${reply.ttl}${time}${duplicate ? " (DUP!)" : ""}${this.options.text(reply.options)}\n`;
  }

  private error(error: EchoError): void {
    // A redirect comes as a packet, not from the error queue: it has a colon and is not counted.
    const redirect = error.type === ICMP_REDIRECT;
    if (!redirect) this.errors++;
    if (this.args.quiet) return;
    this.stdout += `From ${formatIp4(error.from)}${redirect ? ":" : ""} icmp_seq=${error.seq} ${icmpErrorText(error.type, error.code, error.info)}\n`;
  }

  /** Prints what there is: it keeps nothing back, whatever reads it. */
  write({ print, printError }: ToolContext): void {
    print(this.stdout);
    this.stdout = "";
    if (printError === undefined) return;
    printError(this.stderr);
    this.stderr = "";
  }

  /** The lines at the end. `startNs`: when the first request left. */
  statistics(startNs: number): string {
    const { sent, received, duplicates, errors, rtts } = this;
    let text = `\n--- ${this.args.host} ping statistics ---\n${sent} packets transmitted, ${received} received`;
    if (duplicates > 0) text += `, +${duplicates} duplicates`;
    if (errors > 0) text += `, +${errors} errors`;
    const loss = ((sent - received) * 100) / sent;
    text += `, ${Number(loss.toPrecision(6))}% packet loss, time ${Math.floor((this.lastNs - startNs) / 1e6)}ms\n`;
    if (received === 0 || this.args.size < 16) return `${text}\n`;
    const avg = rtts.reduce((a, b) => a + b, 0) / rtts.length;
    const square = rtts.reduce((a, b) => a + b * b, 0) / rtts.length;
    const mdev = Math.floor(Math.sqrt(Math.max(square - avg * avg, 0)));
    const numbers = [Math.min(...rtts), Math.floor(avg), Math.max(...rtts), mdev];
    return `${text}rtt min/avg/max/mdev = ${numbers.map((us) => (us / 1000).toFixed(3)).join("/")} ms\n`;
  }
}

/** Source given by -I: an address or a device. */
export function bindEchoSource(run: EchoSocket, source: string): void {
  if (source === "") return;
  const addr = parseIp4(source);
  if (addr !== null) {
    run.sk.bind(addr);
    return;
  }
  const dev = run.sk.ns.device(source);
  if (dev === undefined) throw new UsageError(`ping: SO_BINDTODEVICE ${source}: No such device`, 2);
  run.sk.boundDev = dev;
}

function* runPing(args: PingArgs, context: ToolContext): Co<PingResult> {
  const addr = (yield* resolveOrFail(args.host, context))[0];
  const echo = new EchoSocket(context.process);
  bindEchoSource(echo, args.source);
  if (args.ttl > 0) echo.sk.ttl = args.ttl;
  if (args.discovery >= 0) echo.sk.pmtuDisc = args.discovery as PmtuDiscovery;
  try {
    const record = { route: args.recordRoute, kind: args.timestamp };
    const hops: number[] = [];
    for (const hop of args.hops) hops.push((yield* resolveOrFail(hop, context))[0]);
    const options = requestOptions(record, [...hops, addr]);
    if (options !== null) echo.setOptions(options);
    const extra = ICMP_AND_IP + (options === null ? 0 : IP_OPTIONS_MAX);
    const source = skRouteOutput(echo.sk, hops[0] ?? addr).source;
    const run = new PingRun(args, echo, addr);
    const device = parseIp4(args.source) === null ? args.source : "";
    const from = args.source === "" ? "" : ` from ${formatIp4(source)} ${device}:`;
    run.stdout = `PING ${args.host} (${formatIp4(addr)})${from} ${args.size}(${args.size + extra}) bytes of data.\n`;
    const startNs = run.now;
    yield* untilInterrupted(loop(run, startNs, context));
    run.stdout += run.statistics(startNs);
    const failed = run.received === 0 || (args.deadlineNs > 0 && args.count > 0 && run.received < args.count);
    return { stdout: run.stdout, stderr: run.stderr, status: failed ? 1 : 0 };
  } finally {
    echo.sk.close();
  }
}

function* resolveOrFail(host: string, context: ToolContext): Co<number[]> {
  try {
    return yield* resolveHost(context.process, host);
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    const text =
      error.code === "EAI_AGAIN" ? "Temporary failure in name resolution" : "Name or service not known";
    throw new UsageError(`ping: ${host}: ${text}`, 2);
  }
}

/** Sends and waits until all is answered, or the time is over. */
function* loop(run: PingRun, startNs: number, context: ToolContext): Co<void> {
  const { args } = run;
  const deadline = args.deadlineNs > 0 ? startNs + args.deadlineNs : Number.POSITIVE_INFINITY;
  let nextSend = run.now;
  for (;;) {
    const more = args.count === 0 || run.sent < args.count;
    if (more && run.now >= nextSend && run.now < deadline) {
      run.send();
      nextSend = run.now + args.intervalNs;
    }
    run.drain();
    const done = args.count > 0 && run.sent >= args.count;
    if ((done && run.received + run.errors >= args.count) || run.now >= deadline) return;
    const until = Math.min(done ? lingerUntil(run) : nextSend, deadline);
    if (until <= run.now && done) return;
    run.write(context);
    yield* waitFor(run.echo.sk.wq, Math.max(until - run.now, 0));
  }
}

/** How long the last request is waited for: twice the longest round trip once there was one, else -W (10 s). */
function lingerUntil(run: PingRun): number {
  const last = run.sentAt[run.sent];
  const longest = run.rtts.length > 0 ? Math.max(...run.rtts) * 2000 : 0;
  const wait = longest > 0 ? Math.max(longest, run.args.intervalNs) : run.args.waitNs;
  return last + Math.min(wait, run.args.waitNs);
}

/** The command. */
export const ping: Tool<PingArgs, PingResult> = {
  name: "ping",
  parse: (argv) => parsePing(argv),
  run: runPing,
  render: (result) => result,
  failure(error): ToolOutput | null {
    if (!(error instanceof SysError)) return null;
    const text = error.code === "EACCES" ? BROADCAST : `connect: ${strerror(error.code)}`;
    return { stdout: "", stderr: `ping: ${text}\n`, status: 2 };
  },
};

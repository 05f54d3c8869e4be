/** `tracepath` of iputils 20221126: the hops to a host and the path MTU, by UDP datagrams that must not be fragmented. */
import type { Machine } from "../host/machine.ts";
import { type Co, waitFor } from "../host/process.ts";
import { ResolveError, resolveHost } from "../host/resolver.ts";
import { closeSocket, openUdp } from "../host/socket.ts";
import { IP_PMTUDISC_PROBE, type SockError } from "../net/ipv4/sock.ts";
import type { UdpSock } from "../net/ipv4/udp-sock.ts";
import { SysError, UsageError } from "../util/errors.ts";
import { formatIp4 } from "../wire/address.ts";
import { ICMP_TIME_EXCEEDED } from "../wire/icmp.ts";
import { OptionReader } from "./options.ts";
import type { Tool, ToolContext } from "./tool.ts";

interface TracepathArgs {
  host: string;
  maxHops: number;
  mtu: number;
  basePort: number;
}

interface TracepathResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

const SEC = 1_000_000_000;
const BASE_PORT = 44444;
const HISTORY = 64;
/** Bytes of IP and UDP header. */
const OVERHEAD = 28;
const HOST_COLUMN = 52;

function parseTracepath(argv: readonly string[]): TracepathArgs {
  const args: TracepathArgs = { host: "", maxHops: 30, mtu: 65535, basePort: 0 };
  const reader = new OptionReader("tracepath", argv, "4bl:m:np:", 1);
  for (const { option, value } of reader.options()) {
    if (option === "l") args.mtu = number(value, OVERHEAD + 24, 65535);
    else if (option === "m") args.maxHops = number(value, 1, 255);
    else if (option === "p") args.basePort = number(value, 1, 65535);
  }
  if (reader.rest.length !== 1)
    throw new UsageError("tracepath: usage error: Destination address required", 1);
  args.host = reader.rest[0];
  return args;
}

function number(text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value)) throw new UsageError(`tracepath: invalid argument: '${text}'`, 1);
  if (value < least || value > most)
    throw new UsageError(
      `tracepath: invalid argument: '${text}': out of range: ${least} <= value <= ${most}`,
      1,
    );
  return value;
}

/** What one probe told: the target was reached (or nothing more can come), the next hop, or no answer. */
type Outcome = "done" | "next" | "silent";

class TraceRun {
  readonly args: TracepathArgs;
  readonly machine: Machine;
  readonly sk: UdpSock;
  readonly addr: number;
  readonly basePort: number;
  mtu: number;
  slot = 0;
  /** Of each slot: the hop that was asked for, 0 none, and when. */
  readonly hops = new Array<number>(HISTORY).fill(0);
  readonly sentNs = new Array<number>(HISTORY).fill(0);
  hopsTo = -1;
  hopsFrom = -1;
  stdout = "";

  constructor(args: TracepathArgs, machine: Machine, sk: UdpSock, addr: number) {
    this.args = args;
    this.machine = machine;
    this.sk = sk;
    this.addr = addr;
    this.mtu = args.mtu;
    this.basePort = args.basePort || BASE_PORT;
  }

  private get now(): number {
    return this.sk.ns.kernel.sim.now;
  }

  /** Sends a probe of `ttl` hops as large as the path is known to take, and reads what it brings (probe_ttl). */
  *probe(ttl: number): Co<Outcome> {
    for (let tries = 0; tries < 10; tries++) {
      const { slot } = this;
      this.hops[slot] = ttl;
      this.sentNs[slot] = this.now;
      try {
        this.sk.send(this.payload(ttl), this.addr, this.basePort + slot);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        const outcome = this.readErrors(ttl);
        this.hops[slot] = 0;
        if (outcome === "done") return outcome;
        if (outcome === "next") tries = -1;
        continue;
      }
      this.slot = (slot + 1) % HISTORY;
      if (this.sk.errors.length === 0) yield* waitFor(this.sk.wq, SEC);
      this.sk.err = null;
      return this.readErrors(ttl);
    }
    this.stdout += `${hop(ttl)}:  send failed\n`;
    return "done";
  }

  private payload(ttl: number): Uint8Array {
    const data = new Uint8Array(this.mtu - OVERHEAD);
    const view = new DataView(data.buffer);
    const clock = this.machine.monotonicStampNs();
    view.setUint32(0, ttl, true);
    view.setUint32(8, Math.floor(clock / SEC), true);
    view.setUint32(16, clock % SEC, true);
    return data;
  }

  /** Everything that the error queue holds (recverr). */
  private readErrors(ttl: number): Outcome {
    let outcome: Outcome = "silent";
    for (let error = this.sk.errors.shift(); error !== undefined; error = this.sk.errors.shift()) {
      outcome = "next";
      if (this.line(ttl, error)) return "done";
    }
    return outcome;
  }

  /** Prints one error; true when the trace ends there. */
  private line(ttl: number, error: SockError): boolean {
    const slot = error.dport - this.basePort;
    const sent = slot >= 0 && slot < HISTORY && this.hops[slot] > 0 ? this.hops[slot] : -1;
    const back = error.ttl <= 64 ? 65 - error.ttl : error.ttl <= 128 ? 129 - error.ttl : 256 - error.ttl;
    if (error.offender === 0) this.stdout += `${hop(ttl)}?: ${"[LOCALHOST]".padEnd(32)} `;
    else {
      this.stdout += sent > 0 ? `${hop(sent)}:  ` : `${hop(ttl)}?: `;
      this.stdout += formatIp4(error.offender).padEnd(HOST_COLUMN);
      if (sent > 0) this.stdout += roundTrip(this.now - this.sentNs[slot]);
    }
    if (sent > 0) this.hops[slot] = 0;
    if (error.errno === "EMSGSIZE") {
      this.stdout += `pmtu ${error.info}\n`;
      this.mtu = error.info;
      return false;
    }
    if (error.errno === "ECONNREFUSED") {
      this.stdout += "reached\n";
      this.hopsTo = sent < 0 ? ttl : sent;
      this.hopsFrom = back;
      return true;
    }
    if (error.errno === "EHOSTUNREACH" && error.type === ICMP_TIME_EXCEEDED) {
      if (back !== (sent < 0 ? ttl : sent)) this.stdout += `asymm ${String(back).padStart(2)} `;
      this.stdout += "\n";
      return false;
    }
    this.stdout += error.errno === "EACCES" ? "!A\n" : error.errno === "ENETUNREACH" ? "!N\n" : "!H\n";
    return true;
  }
}

function hop(ttl: number): string {
  return String(ttl).padStart(2);
}

function roundTrip(ns: number): string {
  const us = Math.floor(ns / 1000);
  return `${String(Math.floor(us / 1000)).padStart(3)}.${String(us % 1000).padStart(3, "0")}ms `;
}

/** One hop: three tries, begun again when the path MTU changed. */
function* traceHop(run: TraceRun, ttl: number): Co<Outcome> {
  run.sk.ttl = ttl;
  let outcome: Outcome = "silent";
  for (let tries = 0; tries < 3; tries++) {
    const before = run.mtu;
    outcome = yield* run.probe(ttl);
    if (run.mtu !== before) tries = -1;
    else if (outcome !== "silent") return outcome;
  }
  run.stdout += `${hop(ttl)}:  no reply\n`;
  return outcome;
}

function* runTracepath(args: TracepathArgs, context: ToolContext): Co<TracepathResult> {
  const addr = yield* destination(args.host, context);
  const sk = openUdp(context.process);
  sk.pmtuDisc = IP_PMTUDISC_PROBE;
  sk.recvErr = true;
  const run = new TraceRun(args, context.machine, sk, addr);
  try {
    let ttl = 1;
    while (ttl <= args.maxHops && (yield* traceHop(run, ttl)) !== "done") ttl++;
    if (ttl > args.maxHops) run.stdout += `     Too many hops: pmtu ${run.mtu}\n`;
    run.stdout += `     Resume: pmtu ${run.mtu} `;
    if (run.hopsTo >= 0) run.stdout += `hops ${run.hopsTo} `;
    if (run.hopsFrom >= 0) run.stdout += `back ${run.hopsFrom} `;
    return { stdout: `${run.stdout}\n`, stderr: "", status: 0 };
  } finally {
    closeSocket(context.process, sk);
  }
}

function* destination(host: string, context: ToolContext): Co<number> {
  try {
    return (yield* resolveHost(context.process, host))[0];
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    const text =
      error.code === "EAI_AGAIN" ? "Temporary failure in name resolution" : "Name or service not known";
    throw new UsageError(`tracepath: ${host}: ${text}`, 1);
  }
}

/** The command. Hosts are always shown by address. */
export const tracepath: Tool<TracepathArgs, TracepathResult> = {
  name: "tracepath",
  parse: (argv) => parseTracepath(argv),
  run: runTracepath,
  render: (result) => result,
};

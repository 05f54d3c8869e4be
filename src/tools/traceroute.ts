/** `traceroute` 2.1.2 of Debian: the hops to a host, several probes under way at once (traceroute.c). */
import type { Co } from "../host/process.ts";
import { ResolveError, resolveHost } from "../host/resolver.ts";
import { reverseName } from "../host/reverse-name.ts";
import { SysError, strerror, UsageError } from "../util/errors.ts";
import { formatIp4 } from "../wire/address.ts";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_PORT_UNREACH, ICMP_TIME_EXCEEDED } from "../wire/icmp.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";
import { parseTraceroute, type TracerouteArgs } from "./traceroute-args.ts";
import { type ProbeReply, Prober } from "./traceroute-probe.ts";

interface Probe {
  id: number;
  /** -1: not sent yet. */
  sentNs: number;
  done: boolean;
  /** The target is reached, or nothing beyond can be. */
  final: boolean;
  reply: ProbeReply | null;
}

/** Marks of ICMP_DEST_UNREACH by code. */
const MARKS: Readonly<Record<number, string>> = {
  0: "!N",
  1: "!H",
  2: "!P",
  5: "!S",
  6: "!N",
  7: "!H",
  8: "!N",
  9: "!X",
  10: "!X",
  11: "!N",
  12: "!H",
  13: "!X",
  14: "!V",
  15: "!C",
};

function markOf({ type, code, info }: ProbeReply): string {
  if (type !== ICMP_DEST_UNREACH || code === ICMP_PORT_UNREACH) return "";
  return code === ICMP_FRAG_NEEDED ? `!F-${info}` : (MARKS[code] ?? `!<${code}>`);
}

class Trace {
  readonly args: TracerouteArgs;
  readonly prober: Prober;
  readonly context: ToolContext;
  readonly probes: Probe[];
  stdout: string;
  private start: number;
  private end: number;

  constructor(args: TracerouteArgs, prober: Prober, context: ToolContext) {
    this.args = args;
    this.prober = prober;
    this.context = context;
    const count = args.maxTtl * args.probesPerHop;
    this.probes = Array.from({ length: count }, () => ({
      id: -1,
      sentNs: -1,
      done: false,
      final: false,
      reply: null,
    }));
    this.start = (args.firstTtl - 1) * args.probesPerHop;
    this.end = count;
    this.stdout = `traceroute to ${args.host} (${formatIp4(prober.addr)}), ${args.maxTtl} hops max, ${prober.length} byte packets`;
  }

  private get now(): number {
    return this.context.machine.kernel.sim.now;
  }

  *run(): Co<void> {
    while (this.start < this.end) {
      const next = yield* this.round();
      if (next === null) continue;
      const queues = [
        ...this.prober.queues,
        ...this.probes.flatMap((probe) => this.prober.queueOf(probe.id)),
      ];
      if (next > this.now) yield { queues, timeoutNs: next - this.now };
      this.read();
    }
    this.stdout += "\n";
  }

  /** Prints what is known, sends what may be sent; when the oldest probe expires, or null to go round again. */
  private *round(): Co<number | null> {
    let next: number | null = null;
    let underWay = 0;
    for (let n = this.start; n < this.end; n++) {
      const probe = this.probes[n];
      if (n === this.start && !probe.done && probe.sentNs >= 0) {
        const expires = probe.sentNs + this.timeout(n);
        if (expires > this.now) next = expires;
        else probe.done = true;
      }
      if (probe.done) {
        if (n === this.start) {
          yield* this.print(n);
          this.start++;
        }
        if (probe.final) this.end = (Math.floor(n / this.args.probesPerHop) + 1) * this.args.probesPerHop;
        continue;
      }
      if (probe.sentNs < 0) {
        probe.sentNs = this.now;
        probe.id = this.prober.send(Math.floor(n / this.args.probesPerHop) + 1);
      }
      next ??= probe.sentNs + this.timeout(n);
      if (++underWay >= this.args.simultaneous) break;
    }
    return next;
  }

  /** How long a probe is waited for: less when others have answered, ns. */
  private timeout(n: number): number {
    const { probesPerHop, waitSec, hereFactor, nearFactor } = this.args;
    const first = n - (n % probesPerHop);
    const took = (from: number, to: number): number => {
      for (const { done, reply, sentNs } of this.probes.slice(from, to))
        if (done && reply !== null) return reply.atNs - sentNs;
      return 0;
    };
    const most = waitSec * 1e9;
    const here = took(first, first + probesPerHop) * hereFactor;
    if (here > 0) return Math.min(here, most);
    const near = took(first + probesPerHop, this.end) * nearFactor;
    return near > 0 ? Math.min(near, most) : most;
  }

  private read(): void {
    for (let got = this.prober.receive(); got !== null; got = this.prober.receive()) {
      const { id, reply } = got;
      const probe = this.probes.find((one) => one.id === id && !one.done);
      if (probe === undefined) continue;
      probe.reply = reply;
      probe.done = true;
      probe.final = reply.type !== ICMP_TIME_EXCEEDED;
    }
    for (const probe of this.probes) {
      if (probe.done || probe.id < 0 || !this.prober.answered(probe.id)) continue;
      probe.reply = { from: this.prober.addr, type: -1, code: 0, info: 0, atNs: this.now };
      probe.done = true;
      probe.final = true;
    }
  }

  private *print(n: number): Co<void> {
    const { probesPerHop } = this.args;
    const place = n % probesPerHop;
    if (place === 0) this.stdout += `\n${String(Math.floor(n / probesPerHop) + 1).padStart(2)} `;
    const { reply, sentNs } = this.probes[n];
    if (reply === null) {
      this.stdout += " *";
      return;
    }
    const before = this.probes.slice(n - place, n).filter((probe) => probe.reply !== null);
    if (before.at(-1)?.reply?.from !== reply.from) this.stdout += ` ${yield* this.nameOf(reply.from)}`;
    const mark = markOf(reply);
    this.stdout += `  ${((reply.atNs - sentNs) / 1e6).toFixed(3)} ms${mark === "" ? "" : ` ${mark}`}`;
  }

  private *nameOf(addr: number): Co<string> {
    const text = formatIp4(addr);
    if (this.args.numeric) return text;
    return `${(yield* reverseName(this.context.process, addr)) ?? text} (${text})`;
  }
}

function* run(args: TracerouteArgs, context: ToolContext): Co<ToolOutput> {
  let addr: number;
  try {
    addr = (yield* resolveHost(context.process, args.host))[0];
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    const text =
      error.code === "EAI_AGAIN" ? "Temporary failure in name resolution" : "Name or service not known";
    throw new UsageError(
      `${args.host}: ${text}\nCannot handle "host" cmdline arg \`${args.host}' on position 1 (argc 1)\n`,
      2,
    );
  }
  const prober = new Prober(args, addr, context.process);
  const trace = new Trace(args, prober, context);
  try {
    yield* trace.run();
    return { stdout: trace.stdout, stderr: "", status: 0 };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const call = error.code === "EPERM" ? "send" : "connect";
    return { stdout: `${trace.stdout}\n`, stderr: `${call}: ${strerror(error.code)}\n`, status: 1 };
  } finally {
    prober.close();
  }
}

export const traceroute: Tool<TracerouteArgs, ToolOutput> = {
  name: "traceroute",
  parse: parseTraceroute,
  run,
  render: (output) => output,
};

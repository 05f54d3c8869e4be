/** `ping` of busybox 1.35 (networking/ping.c). */
import { type EchoReply, EchoSocket } from "../../host/echo.ts";
import { type Co, untilInterrupted, waitFor } from "../../host/process.ts";
import { SysError, strerror, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import { OptionReader } from "../options.ts";
import { bindEchoSource } from "../ping.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { busyboxAddress, busyboxNumber } from "./lib.ts";

interface PingArgs {
  host: string;
  count: number;
  size: number;
  ttl: number;
  intervalNs: number;
  /** How long the last answer is waited for. */
  lingerNs: number;
  /** 0 none. */
  deadlineNs: number;
  source: string;
  quiet: boolean;
}

const SEC = 1_000_000_000;
const STAMP_BYTES = 4;

function parse(argv: readonly string[]): PingArgs {
  const args: PingArgs = {
    host: "",
    count: 0,
    size: 56,
    ttl: 0,
    intervalNs: SEC,
    lingerNs: 10 * SEC,
    deadlineNs: 0,
    source: "",
    quiet: false,
  };
  const reader = new OptionReader("ping", argv, "46qvAc:s:t:w:W:I:p:i:", 1);
  for (const { option, value } of reader.options())
    if (option === "q") args.quiet = true;
    else if (option === "c") args.count = busyboxNumber("ping", value);
    else if (option === "s") args.size = busyboxNumber("ping", value);
    else if (option === "t") args.ttl = busyboxNumber("ping", value);
    else if (option === "w") args.deadlineNs = busyboxNumber("ping", value) * SEC;
    else if (option === "W") args.lingerNs = busyboxNumber("ping", value) * SEC;
    else if (option === "i") args.intervalNs = Math.max(Math.round(Number(value) * SEC), 1);
    else if (option === "I") args.source = value;
  if (reader.rest.length === 0) throw new UsageError("BusyBox v1.35.0: ping [OPTIONS] HOST", 1);
  args.host = reader.rest[0];
  return args;
}

class PingRun {
  readonly args: PingArgs;
  readonly echo: EchoSocket;
  readonly addr: number;
  stdout = "";
  sent = 0;
  received = 0;
  duplicates = 0;
  private readonly sentAt: number[] = [];
  private readonly seen = new Set<number>();
  private readonly timesUs: number[] = [];

  constructor(args: PingArgs, echo: EchoSocket, addr: number) {
    this.args = args;
    this.echo = echo;
    this.addr = addr;
    this.stdout = `PING ${args.host} (${formatIp4(addr)}): ${args.size} data bytes\n`;
  }

  get now(): number {
    return this.echo.sk.ns.kernel.sim.now;
  }

  send(): void {
    this.sentAt[this.sent] = this.now;
    const data = new Uint8Array(this.args.size);
    if (data.length >= STAMP_BYTES)
      new DataView(data.buffer).setUint32(0, Math.floor(this.now / 1000) >>> 0, true);
    this.echo.sendData(this.addr, this.sent++, data);
  }

  drain(): void {
    for (let event = this.echo.next(); event !== null; event = this.echo.next())
      if (event.kind === "reply" && event.from === this.addr) this.reply(event);
  }

  private reply(reply: EchoReply): void {
    const us = Math.floor((this.now - this.sentAt[reply.seq]) / 1000);
    const duplicate = this.seen.has(reply.seq);
    this.seen.add(reply.seq);
    if (duplicate) this.duplicates++;
    else this.received++;
    this.timesUs.push(us);
    if (this.args.quiet) return;
    const time = this.args.size >= STAMP_BYTES ? ` time=${(us / 1000).toFixed(3)} ms` : "";
    this.stdout += `${reply.length} bytes from ${formatIp4(reply.from)}: seq=${reply.seq} ttl=${reply.ttl}${time}${duplicate ? " (DUP!)" : ""}\n`;
  }

  statistics(): string {
    const { sent, received, duplicates, timesUs } = this;
    const more = duplicates > 0 ? `${duplicates} duplicates, ` : "";
    const loss = sent === 0 ? 0 : Math.floor(((sent - received) * 100) / sent);
    let text = `\n--- ${this.args.host} ping statistics ---\n${sent} packets transmitted, ${received} packets received, ${more}${loss}% packet loss\n`;
    if (timesUs.length === 0 || this.args.size < STAMP_BYTES) return text;
    const avg = Math.floor(timesUs.reduce((a, b) => a + b, 0) / timesUs.length);
    const numbers = [Math.min(...timesUs), avg, Math.max(...timesUs)];
    text += `round-trip min/avg/max = ${numbers.map((us) => (us / 1000).toFixed(3)).join("/")} ms\n`;
    return text;
  }
}

/** Sends every interval; after the last one waits for what is missing. */
function* loop(run: PingRun, { print }: ToolContext): Co<void> {
  const { args } = run;
  const end = args.deadlineNs > 0 ? run.now + args.deadlineNs : Number.POSITIVE_INFINITY;
  let next = run.now;
  for (;;) {
    const more = args.count === 0 || run.sent < args.count;
    if (more && run.now >= next) {
      run.send();
      next = run.now + (run.sent === args.count ? args.lingerNs : args.intervalNs);
    }
    run.drain();
    const done = args.count > 0 && run.sent >= args.count;
    if (done && (run.received >= args.count || run.now >= next)) return;
    if (run.now >= end) return;
    // Every line is written when it is there (fflush_all), whoever reads it.
    print(run.stdout);
    run.stdout = "";
    yield* waitFor(run.echo.sk.wq, Math.max(Math.min(next, end) - run.now, 0));
  }
}

function* runPing(args: PingArgs, context: ToolContext): Co<ToolOutput> {
  const addr = yield* busyboxAddress("ping", args.host, context.process);
  const echo = new EchoSocket(context.process);
  echo.sk.recvErr = false;
  if (args.ttl > 0) echo.sk.ttl = args.ttl;
  bindEchoSource(echo, args.source);
  const run = new PingRun(args, echo, addr);
  try {
    yield* untilInterrupted(loop(run, context));
    return {
      stdout: run.stdout + run.statistics(),
      stderr: "",
      status: run.received === 0 ? 1 : 0,
    };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { stdout: run.stdout, stderr: `ping: sendto: ${strerror(error.code)}\n`, status: 1 };
  } finally {
    echo.sk.close();
  }
}

export const busyboxPing: Tool<PingArgs, ToolOutput> = {
  name: "ping",
  parse: (argv) => parse(argv),
  run: runPing,
  render: (output) => output,
};

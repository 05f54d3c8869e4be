/** `hping3` 3.0.0-alpha-2: packets as asked for, without a connection of the kernel's, and what comes back. */
import type { Co, Process } from "../host/process.ts";
import { ResolveError, resolveHost } from "../host/resolver.ts";
import { reverseName } from "../host/reverse-name.ts";
import { closeSocket, openRaw } from "../host/socket.ts";
import { pingGetPort } from "../net/ipv4/ping.ts";
import type { RawPacket, RawSock } from "../net/ipv4/raw-sock.ts";
import { sockOf } from "../net/ipv4/sock.ts";
import { skRouteOutput } from "../net/ipv4/sock-route.ts";
import { SysError, strerror, UsageError } from "../util/errors.ts";
import type { Prng } from "../util/prng.ts";
import { formatIp4 } from "../wire/address.ts";
import { ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_ECHOREPLY, ICMP_TIME_EXCEEDED } from "../wire/icmp.ts";
import {
  IP_DF,
  IP_HLEN,
  IP_MF,
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  l4ChecksumSet,
} from "../wire/ipv4.ts";
import { TCP_HLEN } from "../wire/tcp.ts";
import { FLAG_LETTERS, type HpingArgs, parseHping } from "./hping3-args.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

const FILL = 0x58;
const ASKING = "get hostname...";
/** How long the answers to the last packet are waited for. */
const LINGER_NS = 1_000_000_000;
const UNREACHABLE = [
  "Network Unreachable",
  "Host Unreachable",
  "Protocol Unreachable",
  "Port Unreachable",
  "Fragmentation Needed/DF set",
  "Source Route failed",
];
const PORT_UNREACHABLE = 3;
const FILTERED = 13;

function flagsText(flags: number): string {
  const text = FLAG_LETTERS.filter(([, bit]) => (flags & bit) !== 0)
    .map(([letter]) => letter)
    .join("");
  return text === "" ? "none" : text;
}

class HpingRun {
  readonly args: HpingArgs;
  readonly addr: number;
  readonly answers: RawSock;
  readonly icmp: RawSock;
  stdout: string;
  sent = 0;
  /** Answers of the target, and ICMP errors about what was sent. */
  received = 0;
  readonly rttsNs: number[] = [];
  private readonly process: Process;
  private readonly ident: number;
  /** Where the ids of its packets come from. */
  private readonly ids: Prng;
  private readonly basePort: number;
  /** When the packet of a source port (ICMP: of a sequence number) left, and its number. */
  private readonly sentAt = new Map<number, { atNs: number; number: number }>();

  constructor(args: HpingArgs, addr: number, { process, machine }: ToolContext) {
    this.args = args;
    this.addr = addr;
    this.process = process;
    this.icmp = openRaw(process, IPPROTO_ICMP);
    const protocol = args.mode === "tcp" ? IPPROTO_TCP : args.mode === "udp" ? IPPROTO_UDP : IPPROTO_ICMP;
    this.answers = protocol === IPPROTO_ICMP ? this.icmp : openRaw(process, protocol);
    this.ident = pingGetPort(machine.kernel);
    this.basePort = args.sport || 1024 + sockOf(process.ns).prng.below(2000);
    this.ids = sockOf(process.ns).prng.stream(`hping3/${this.now}`);
    const { dst } = skRouteOutput(this.answers, addr);
    const mode = args.mode === "tcp" ? this.flagsMode() : `${args.mode} mode set`;
    const headers = IP_HLEN + (args.mode === "tcp" ? TCP_HLEN + this.optionBytes : 8);
    this.stdout = `HPING ${args.host} (${dst.dev?.name ?? "lo"} ${formatIp4(addr)}): ${mode}, ${headers} headers + ${args.dataBytes} data bytes\n`;
  }

  get now(): number {
    return this.icmp.ns.kernel.sim.now;
  }

  private get optionBytes(): number {
    return this.args.mss > 0 ? 4 : 0;
  }

  private flagsMode(): string {
    return this.args.flags === 0 ? "NO FLAGS are set" : `${flagsText(this.args.flags)} set`;
  }

  send(): void {
    const { args, answers } = this;
    const number = this.sent++;
    const sport = args.keep ? this.basePort : (this.basePort + number) & 0xffff;
    this.sentAt.set(args.mode === "icmp" ? number : sport, { atNs: this.now, number });
    const payload =
      args.mode === "tcp" ? this.tcp(sport) : args.mode === "udp" ? this.udp(sport) : this.echo(number);
    const { dst, source } = skRouteOutput(answers, this.addr);
    const packet = this.withHeader(payload, source);
    if (packet.length < dst.dev.mtu) answers.sendHeaderIncluded(packet, this.addr);
    else this.sendFragments(packet, dst.dev.mtu - IP_HLEN);
  }

  /** The IP header is its own (sendip.c): neither the socket's counter nor DF. */
  private withHeader(payload: Uint8Array, source: number): Uint8Array {
    const { args } = this;
    const packet = new Uint8Array(IP_HLEN + payload.length);
    packet.set(payload, IP_HLEN);
    const view = new DataView(packet.buffer);
    view.setUint16(0, 0x4500 | args.tos);
    view.setUint16(2, packet.length);
    view.setUint16(4, args.id ?? this.ids.below(65536));
    view.setUint16(6, args.dontFragment ? IP_DF : 0);
    view.setUint16(8, (args.ttl << 8) | this.answers.protocol);
    view.setInt32(12, source);
    view.setInt32(16, this.addr);
    l4ChecksumSet(packet, view, 0);
    return packet;
  }

  /** It cuts by itself what the device does not take (sendip_handler.c): then all pieces have the id of the process. */
  private sendFragments(packet: Uint8Array, room: number): void {
    const step = room & ~7;
    for (let at = IP_HLEN; at < packet.length; at += step) {
      const piece = new Uint8Array(IP_HLEN + Math.min(step, packet.length - at));
      piece.set(packet.subarray(0, IP_HLEN));
      piece.set(packet.subarray(at, at + step), IP_HLEN);
      const view = new DataView(piece.buffer);
      view.setUint16(4, this.args.id ?? this.process.pid & 0xff);
      view.setUint16(6, ((at - IP_HLEN) >> 3) | (at + step < packet.length ? IP_MF : 0));
      this.answers.sendHeaderIncluded(piece, this.addr);
    }
  }

  private tcp(sport: number): Uint8Array {
    const { args } = this;
    const { prng } = sockOf(this.icmp.ns);
    const head = TCP_HLEN + this.optionBytes;
    const packet = new Uint8Array(head + args.dataBytes).fill(FILL, head);
    const view = new DataView(packet.buffer);
    view.setUint16(0, sport);
    view.setUint16(2, args.dport);
    view.setUint32(4, args.seq ?? prng.i32() >>> 0);
    view.setUint32(8, args.ack ?? prng.i32() >>> 0);
    view.setUint16(12, ((head / 4) << 12) | args.flags);
    view.setUint16(14, args.window);
    if (args.mss > 0) view.setUint32(TCP_HLEN, 0x02040000 | args.mss);
    return packet;
  }

  private udp(sport: number): Uint8Array {
    const packet = new Uint8Array(8 + this.args.dataBytes).fill(FILL, 8);
    const view = new DataView(packet.buffer);
    view.setUint16(0, sport);
    view.setUint16(2, this.args.dport);
    view.setUint16(4, packet.length);
    return packet;
  }

  private echo(number: number): Uint8Array {
    const packet = new Uint8Array(8 + this.args.dataBytes).fill(FILL, 8);
    packet.set([ICMP_ECHO, 0, 0, 0, this.ident >> 8, this.ident & 0xff, number >> 8, number & 0xff]);
    return packet;
  }

  /** Takes everything that has arrived. */
  *read(): Co<void> {
    for (let got = this.icmp.receive(); got !== null; got = this.icmp.receive()) yield* this.readIcmp(got);
    if (this.answers === this.icmp) return;
    for (let got = this.answers.receive(); got !== null; got = this.answers.receive()) this.readAnswer(got);
  }

  private readAnswer(got: RawPacket): void {
    const { packet, view } = got;
    const head = (packet[0] & 15) * 4;
    if (view.getInt32(12) !== this.addr || view.getUint16(head) !== this.args.dport) return;
    const sent = this.sentAt.get(view.getUint16(head + 2));
    if (sent === undefined) return;
    const rtt = this.took(got, sent.atNs);
    if (this.args.quiet) return;
    const what =
      this.args.mode === "udp"
        ? `seq=${sent.number}`
        : `sport=${this.args.dport} flags=${flagsText(packet[head + 13])} seq=${sent.number} win=${view.getUint16(head + 14)}`;
    this.stdout += `${headText(got)}${what} rtt=${rtt} ms\n`;
  }

  private *readIcmp(got: RawPacket): Co<void> {
    const { packet, view } = got;
    const icmp = (packet[0] & 15) * 4;
    const from = formatIp4(view.getInt32(12));
    if (packet[icmp] === ICMP_ECHOREPLY) {
      const seq = view.getUint16(icmp + 6);
      const sent = this.sentAt.get(seq);
      if (this.args.mode !== "icmp" || view.getUint16(icmp + 4) !== this.ident || sent === undefined) return;
      const rtt = this.took(got, sent.atNs);
      if (!this.args.quiet) this.stdout += `${headText(got)}icmp_seq=${seq} rtt=${rtt} ms\n`;
      return;
    }
    const known = packet[icmp] === ICMP_TIME_EXCEEDED || packet[icmp] === ICMP_DEST_UNREACH;
    if (!known || packet.length < icmp + 28 || view.getInt32(icmp + 8 + 16) !== this.addr) return;
    this.received++;
    if (this.args.quiet) return;
    const code = packet[icmp + 1];
    const text =
      packet[icmp] === ICMP_TIME_EXCEEDED
        ? `TTL 0 during ${code === 0 ? "transit" : "reassembly"}`
        : `ICMP ${code === FILTERED ? "Packet filtered" : (UNREACHABLE[code] ?? `Unreachable type=${code}`)}`;
    this.stdout += `${text} from ip=${from}${yield* this.named(view.getInt32(12))}\n`;
    if (this.args.mode !== "udp" || packet[icmp] !== ICMP_DEST_UNREACH || code !== PORT_UNREACHABLE) return;
    const sport = view.getUint16(icmp + 8 + (packet[icmp + 8] & 15) * 4);
    const seq = this.sentAt.get(sport)?.number ?? 0;
    this.stdout += `status=0 port=${sport} seq=${seq}\n`;
  }

  /** What it asks for the name is wiped out by what it says then. */
  private *named(addr: number): Co<string> {
    if (this.args.numeric) return "";
    const name = yield* reverseName(this.process, addr);
    const back = "\b".repeat(ASKING.length);
    return ` ${ASKING}${back}${" ".repeat(ASKING.length)}${back}name=${name ?? "UNKNOWN"}`;
  }

  private took({ atNs }: RawPacket, sentNs: number): string {
    this.received++;
    this.rttsNs.push(atNs - sentNs);
    return ((atNs - sentNs) / 1e6).toFixed(1);
  }

  statistics(): string {
    const { sent, received, rttsNs } = this;
    const times = rttsNs.length > 0 ? rttsNs : [0];
    const avg = times.reduce((a, b) => a + b, 0) / times.length;
    const numbers = [Math.min(...times), avg, Math.max(...times)].map((ns) => (ns / 1e6).toFixed(1));
    const loss = sent === 0 ? 0 : Math.round(((sent - received) * 100) / sent);
    return `\n--- ${this.args.host} hping statistic ---\n${sent} packets transmitted, ${received} packets received, ${loss}% packet loss\nround-trip min/avg/max = ${numbers.join("/")} ms\n`;
  }
}

/** `len=44 ip=10.0.0.1 ttl=64 DF id=0 `. */
function headText({ packet, view }: RawPacket): string {
  const df = (packet[6] & 0x40) !== 0 ? "DF " : "";
  return `len=${packet.length} ip=${formatIp4(view.getInt32(12))} ttl=${packet[8]} ${df}id=${view.getUint16(4)} `;
}

function* loop(run: HpingRun): Co<void> {
  const { args } = run;
  let next = run.now;
  for (;;) {
    const more = args.count === 0 || run.sent < args.count;
    if (more && run.now >= next) {
      run.send();
      next = run.now + (run.sent === args.count ? LINGER_NS : args.intervalNs);
    }
    yield* run.read();
    const done = args.count > 0 && run.sent >= args.count;
    if (done && (run.received >= args.count || run.now >= next)) return;
    yield { queues: [run.icmp.wq, run.answers.wq], timeoutNs: Math.max(next - run.now, 0) };
  }
}

function* run(args: HpingArgs, context: ToolContext): Co<ToolOutput> {
  let addr: number;
  try {
    addr = (yield* resolveHost(context.process, args.host))[0];
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    throw new UsageError(`Unable to resolve '${args.host}'`, 1);
  }
  const hping = new HpingRun(args, addr, context);
  try {
    yield* loop(hping);
    return {
      stdout: hping.stdout,
      stderr: hping.statistics(),
      status: hping.received > 0 ? 0 : 1,
    };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { stdout: hping.stdout, stderr: `[send_ip] sendto: ${strerror(error.code)}\n`, status: 1 };
  } finally {
    closeSocket(context.process, hping.icmp);
    if (hping.answers !== hping.icmp) closeSocket(context.process, hping.answers);
  }
}

export const hping3: Tool<HpingArgs, ToolOutput> = {
  name: "hping3",
  parse: parseHping,
  run,
  render: (output) => output,
};

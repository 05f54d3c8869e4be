/** `traceroute` of busybox 1.35 (networking/traceroute.c): one UDP probe at a time, or ICMP echo requests with -I. */
import { type Co, waitFor } from "../../host/process.ts";
import { dnsQuery } from "../../host/resolver.ts";
import { closeSocket, openRaw, openUdp } from "../../host/socket.ts";
import { pingGetPort } from "../../net/ipv4/ping.ts";
import type { RawPacket, RawSock } from "../../net/ipv4/raw-sock.ts";
import type { UdpSock } from "../../net/ipv4/udp-sock.ts";
import { SysError, strerror, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import { DNS_PTR } from "../../wire/dns.ts";
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_FRAG_NEEDED,
  ICMP_HOST_ANO,
  ICMP_HOST_UNREACH,
  ICMP_NET_ANO,
  ICMP_NET_UNREACH,
  ICMP_PKT_FILTERED,
  ICMP_PORT_UNREACH,
  ICMP_PREC_CUTOFF,
  ICMP_PREC_VIOLATION,
  ICMP_PROT_UNREACH,
  ICMP_SR_FAILED,
  ICMP_TIME_EXCEEDED,
} from "../../wire/icmp.ts";
import { IP_HLEN, IPPROTO_ICMP, IPPROTO_UDP } from "../../wire/ipv4.ts";
import { OptionReader } from "../options.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { busyboxAddress, busyboxNumber } from "./lib.ts";

interface TracerouteArgs {
  host: string;
  numeric: boolean;
  icmp: boolean;
  firstTtl: number;
  maxTtl: number;
  probes: number;
  waitNs: number;
  port: number;
  /** IP length of a probe. */
  length: number;
}

const SEC = 1_000_000_000;
const HEADERS = IP_HLEN + 8;
/** Sequence number and time to live in front of the payload. */
const PROBE_DATA = 18;

function parse(argv: readonly string[]): TracerouteArgs {
  const args: TracerouteArgs = {
    host: "",
    numeric: false,
    icmp: false,
    firstTtl: 1,
    maxTtl: 30,
    probes: 3,
    waitNs: 3 * SEC,
    port: 33434,
    length: HEADERS + PROBE_DATA,
  };
  const reader = new OptionReader("traceroute", argv, "46FIlnrvm:p:q:s:w:t:z:f:i:g:d", 1);
  for (const { option, value } of reader.options()) {
    const number = value === "" ? 0 : busyboxNumber("traceroute", value);
    if (option === "n") args.numeric = true;
    else if (option === "I") args.icmp = true;
    else if (option === "f") args.firstTtl = number;
    else if (option === "m") args.maxTtl = number;
    else if (option === "q") args.probes = number;
    else if (option === "w") args.waitNs = number * SEC;
    else if (option === "p") args.port = number;
  }
  if (reader.rest.length === 0 || reader.rest.length > 2)
    throw new UsageError(
      "Usage: traceroute [-46FIlnrv] [-f 1ST_TTL] [-m MAXTTL] [-q PROBES] HOST [BYTES]",
      1,
    );
  args.host = reader.rest[0];
  if (reader.rest.length === 2)
    args.length = Math.max(busyboxNumber("traceroute", reader.rest[1]), HEADERS + PROBE_DATA);
  return args;
}

/** What came back for a probe. */
interface Hit {
  readonly from: number;
  readonly type: number;
  readonly code: number;
  /** Next-hop MTU of "fragmentation needed". */
  readonly info: number;
  readonly ttl: number;
  readonly atNs: number;
}

class Tracer {
  readonly args: TracerouteArgs;
  readonly addr: number;
  private readonly receiver: RawSock;
  private readonly sender: UdpSock | null;
  private readonly ident: number;
  private seq = 0;

  constructor(args: TracerouteArgs, addr: number, { process, machine }: ToolContext) {
    this.args = args;
    this.addr = addr;
    this.receiver = openRaw(process, IPPROTO_ICMP);
    this.sender = args.icmp ? null : openUdp(process);
    this.ident = pingGetPort(machine.kernel);
  }

  get now(): number {
    return this.receiver.ns.kernel.sim.now;
  }

  close({ process }: ToolContext): void {
    closeSocket(process, this.receiver);
    if (this.sender !== null) closeSocket(process, this.sender);
  }

  /** Sends a probe and waits for what comes of it; null: nothing. */
  *probe(ttl: number): Co<Hit | null> {
    const seq = ++this.seq;
    const data = new Uint8Array(this.args.length - HEADERS);
    data[0] = seq & 0xff;
    data[1] = ttl;
    const end = this.now + this.args.waitNs;
    if (this.sender !== null) {
      this.sender.ttl = ttl;
      this.sender.send(data, this.addr, this.args.port + seq);
    } else this.sendEcho(data, seq, ttl);
    for (;;) {
      for (let got = this.receiver.receive(); got !== null; got = this.receiver.receive()) {
        const hit = this.match(got, seq);
        if (hit !== null) return hit;
      }
      if (this.now >= end) return null;
      yield* waitFor(this.receiver.wq, end - this.now);
    }
  }

  private sendEcho(data: Uint8Array, seq: number, ttl: number): void {
    const packet = new Uint8Array(8 + data.length);
    packet[0] = ICMP_ECHO;
    packet[4] = this.ident >> 8;
    packet[5] = this.ident & 0xff;
    packet[6] = seq >> 8;
    packet[7] = seq & 0xff;
    packet.set(data, 8);
    this.receiver.ttl = ttl;
    this.receiver.send(packet, this.addr);
  }

  /** What the ICMP packet says about probe `seq`; null: nothing. */
  private match({ packet, view, atNs }: RawPacket, seq: number): Hit | null {
    const icmp = (packet[0] & 15) * 4;
    const type = packet[icmp];
    const hit = {
      from: view.getInt32(12),
      type,
      code: packet[icmp + 1],
      info: view.getUint16(icmp + 6),
      ttl: packet[8],
      atNs,
    };
    if (this.args.icmp && type === ICMP_ECHOREPLY)
      return view.getUint16(icmp + 4) === this.ident && view.getUint16(icmp + 6) === seq ? hit : null;
    if (type !== ICMP_TIME_EXCEEDED && type !== ICMP_DEST_UNREACH) return null;
    const quoted = icmp + 8;
    const inner = quoted + (packet[quoted] & 15) * 4;
    if (packet.length < inner + 8) return null;
    if (this.sender === null) {
      const ours = packet[quoted + 9] === IPPROTO_ICMP && view.getUint16(inner + 4) === this.ident;
      return ours && view.getUint16(inner + 6) === seq ? hit : null;
    }
    const ours = packet[quoted + 9] === IPPROTO_UDP && view.getUint16(inner) === this.sender.sport;
    return ours && view.getUint16(inner + 2) === this.args.port + seq ? hit : null;
  }
}

/** What an answer says besides the time; `end`: the target is reached, `unreachable`: nothing beyond is. */
function verdict(hit: Hit): { text: string; end: boolean; unreachable: boolean } {
  if (hit.type === ICMP_TIME_EXCEEDED) return { text: "", end: false, unreachable: false };
  if (hit.type === ICMP_ECHOREPLY) return { text: hit.ttl <= 1 ? " !" : "", end: true, unreachable: false };
  const { code } = hit;
  if (code === ICMP_PORT_UNREACH) return { text: hit.ttl <= 1 ? " !" : "", end: true, unreachable: false };
  if (code === ICMP_PROT_UNREACH) return { text: " !P", end: true, unreachable: false };
  const marks = new Map([
    [ICMP_NET_UNREACH, " !N"],
    [ICMP_HOST_UNREACH, " !H"],
    [ICMP_FRAG_NEEDED, ` !F-${hit.info}`],
    [ICMP_SR_FAILED, " !S"],
    [ICMP_PKT_FILTERED, " !A"],
    [ICMP_NET_ANO, " !A"],
    [ICMP_HOST_ANO, " !C"],
    [ICMP_PREC_VIOLATION, " !P"],
    [ICMP_PREC_CUTOFF, " !C"],
  ]);
  return { text: marks.get(code) ?? ` !<${code}>`, end: false, unreachable: true };
}

/** Name and address of a hop, or the address twice when it has no name. */
function* hopText(addr: number, args: TracerouteArgs, context: ToolContext): Co<string> {
  const text = formatIp4(addr);
  if (args.numeric) return `  ${text}`;
  const name = `${text.split(".").reverse().join(".")}.in-addr.arpa.`;
  const messages = yield* dnsQuery(context.process, name, [DNS_PTR]);
  const data = messages?.[0].answers.find(({ type }) => type === DNS_PTR)?.data;
  return `  ${data?.kind === "name" ? data.name.replace(/\.$/, "") : text} (${text})`;
}

function* run(args: TracerouteArgs, context: ToolContext): Co<ToolOutput> {
  const addr = yield* busyboxAddress("traceroute", args.host, context.process);
  const tracer = new Tracer(args, addr, context);
  let stdout = `traceroute to ${args.host} (${formatIp4(addr)}), ${args.maxTtl} hops max, ${args.length} byte packets\n`;
  try {
    for (let ttl = args.firstTtl; ttl <= args.maxTtl; ttl++) {
      stdout += String(ttl).padStart(2);
      let last = 0;
      let end = false;
      let unreachable = 0;
      for (let i = 0; i < args.probes; i++) {
        const sentNs = tracer.now;
        const hit = yield* tracer.probe(ttl);
        if (hit === null) {
          stdout += "  *";
          continue;
        }
        if (hit.from !== last) stdout += yield* hopText(hit.from, args, context);
        last = hit.from;
        const said = verdict(hit);
        stdout += `  ${(Math.floor((hit.atNs - sentNs) / 1000) / 1000).toFixed(3)} ms${said.text}`;
        end ||= said.end;
        if (said.unreachable) unreachable++;
      }
      stdout += "\n";
      if (end || (unreachable > 0 && unreachable >= args.probes - 1)) break;
    }
    return { stdout, stderr: "", status: 0 };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { stdout, stderr: `traceroute: sendto: ${strerror(error.code)}\n`, status: 1 };
  } finally {
    tracer.close(context);
  }
}

export const busyboxTraceroute: Tool<TracerouteArgs, ToolOutput> = {
  name: "traceroute",
  parse: (argv) => parse(argv),
  run,
  render: (output) => output,
};

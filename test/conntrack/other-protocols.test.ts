/**
 * SCTP, DCCP and UDP-Lite in connection tracking, and their translation. What is expected of DCCP, of the log, and of
 * UDP-Lite's checksum is what Linux 6.1.176 did with the same packets.
 */
import { describe, expect, it } from "vitest";
import { NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING } from "../../src/net/core/hooks.ts";
import { ctOf } from "../../src/net/netfilter/conntrack/conntrack.ts";
import { natOf, nfNatSetupInfo } from "../../src/net/netfilter/nat/nat.ts";
import {
  NF_NAT_MANIP_SRC,
  NF_NAT_RANGE_MAP_IPS,
  NF_NAT_RANGE_PROTO_SPECIFIED,
} from "../../src/net/netfilter/nat/nat-range.ts";
import { csumFold, csumPartial, pseudoHeaderSum } from "../../src/wire/checksum.ts";
import { sctpChecksum } from "../../src/wire/crc32c.ts";
import { sctpCheck, setSctpCheck } from "../../src/wire/sctp.ts";
import { ip, ipPacket, type Lab, makeLab, pass, track } from "./packets.ts";
import { run } from "./typed.ts";

const A = "10.0.0.2";
const B = "10.1.0.2";
const SCTP = 132;
const DCCP = 33;
const UDPLITE = 136;

function sctp(
  sport: number,
  dport: number,
  tag: number,
  chunks: readonly number[][],
  bad = false,
): Uint8Array {
  const bytes = Uint8Array.from([...new Array<number>(12).fill(0), ...chunks.flat()]);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint32(4, tag);
  setSctpCheck(view, 0, sctpChecksum(view, 0, bytes.length));
  if (bad) bytes[8] ^= 1;
  return bytes;
}

function chunk(type: number, value: readonly number[] = [], flags = 0): number[] {
  const padding = new Array<number>((4 - (value.length & 3)) & 3).fill(0);
  return [type, flags, 0, 4 + value.length, ...value, ...padding];
}

function init(type: number, tag: number): number[] {
  return chunk(type, [0, 0, 0, tag, ...new Array<number>(12).fill(1)]);
}

function sum(bytes: Uint8Array, src: string, dst: string, proto: number, covered = bytes.length): number {
  const start = pseudoHeaderSum(ip(src), ip(dst), proto, bytes.length);
  return csumFold(csumPartial(new DataView(bytes.buffer), 0, covered, start));
}

interface Dccp {
  readonly sport: number;
  readonly dport: number;
  readonly type: number;
  readonly seq: number;
  readonly ack?: number;
  readonly short?: boolean;
  readonly bad?: boolean;
  readonly doff?: number;
  readonly coverage?: number;
}

const REQUEST = 0;
const RESPONSE = 1;
const DATA = 2;
const ACK = 3;
const CLOSEREQ = 5;
const CLOSE = 6;
const RESET = 7;

function dccp(src: string, dst: string, one: Dccp): Uint8Array {
  const { type, seq, ack, short = false } = one;
  const service = type === REQUEST || ((type === RESPONSE || type === RESET) && ack !== undefined) ? 4 : 0;
  const basic = short ? 12 : 16;
  const bytes = new Uint8Array(basic + (ack === undefined ? 0 : 8) + service);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, one.sport);
  view.setUint16(2, one.dport);
  view.setUint8(4, one.doff ?? bytes.length / 4);
  view.setUint8(5, one.coverage ?? 0);
  view.setUint8(8, (type << 1) | (short ? 0 : 1));
  if (short) view.setUint16(10, seq);
  else view.setUint32(12, seq);
  if (ack !== undefined) view.setUint32(basic + 4, ack);
  view.setUint16(6, sum(bytes, src, dst, DCCP) ^ (one.bad === true ? 1 : 0));
  return bytes;
}

function send(lab: Lab, proto: number, src: string, dst: string, bytes: Uint8Array): void {
  track(lab, ipPacket(lab, proto, src, dst, bytes));
}

/** `conntrack -L` of a protocol, without the seconds. */
function list(lab: Lab, proto: string): string[] {
  const { stdout } = run(lab, `conntrack -L -p ${proto}`);
  return stdout
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "");
}

describe("a connection made by hand", () => {
  const flow = `-s ${A} -d ${B} --sport 1 --dport 2 -t 9`;

  it("has the verification tags that were said", () => {
    const lab = makeLab();
    run(lab, `conntrack -I -p sctp ${flow} --state ESTABLISHED --orig-vtag 5 --reply-vtag 6`);
    send(lab, SCTP, A, B, sctp(1, 2, 6, [chunk(0, [1, 2, 3, 4])]));
    expect(list(lab, "sctp")[0]).toMatch(/^sctp {5}132 9 ESTABLISHED .*UNREPLIED/);
    send(lab, SCTP, A, B, sctp(1, 2, 5, [chunk(0, [1, 2, 3, 4])]));
    send(lab, SCTP, B, A, sctp(2, 1, 6, [chunk(0, [1, 2, 3, 4])]));
    expect(list(lab, "sctp")[0]).toMatch(/^sctp {5}132 210 ESTABLISHED .*dport=2 src/);
  });

  it("has its client where that was said to be", () => {
    const close = dccp(A, B, { sport: 1, dport: 2, type: CLOSEREQ, seq: 9, ack: 1 });
    for (const [role, state] of [
      ["client", "OPEN"],
      ["server", "CLOSEREQ"],
    ]) {
      const lab = makeLab();
      run(lab, `conntrack -I -p dccp ${flow} --state OPEN --role ${role}`);
      send(lab, DCCP, A, B, close);
      expect(list(lab, "dccp")[0]).toContain(` ${state} `);
    }
  });
});

describe("DCCP", () => {
  const tail = "src=10.0.0.2 dst=10.1.0.2 sport=1 dport=2";
  const back = "src=10.1.0.2 dst=10.0.0.2 sport=2 dport=1";
  const client = (lab: Lab, one: Omit<Dccp, "sport" | "dport">): void =>
    send(lab, DCCP, A, B, dccp(A, B, { sport: 1, dport: 2, ...one }));
  const server = (lab: Lab, one: Omit<Dccp, "sport" | "dport">): void =>
    send(lab, DCCP, B, A, dccp(B, A, { sport: 2, dport: 1, ...one }));

  it("goes through its states, and is opened again from the other side", () => {
    const lab = makeLab();
    const expectLine = (state: string, rest = `${tail} ${back} [ASSURED]`): void =>
      expect(list(lab, "dccp")).toEqual([`dccp     33 ${state} ${rest} mark=0 use=1`]);
    client(lab, { type: REQUEST, seq: 100 });
    expectLine("240 REQUEST", `${tail} [UNREPLIED] ${back}`);
    server(lab, { type: RESPONSE, seq: 200, ack: 100 });
    expectLine("480 RESPOND", `${tail} ${back}`);
    client(lab, { type: ACK, seq: 101, ack: 200 });
    expectLine("480 PARTOPEN");
    server(lab, { type: ACK, seq: 201, ack: 101 });
    expectLine("43200 OPEN");
    client(lab, { type: DATA, seq: 102 });
    expectLine("43200 OPEN");
    server(lab, { type: CLOSEREQ, seq: 202, ack: 102 });
    expectLine("64 CLOSEREQ");
    client(lab, { type: CLOSE, seq: 103, ack: 202 });
    expectLine("64 CLOSING");
    server(lab, { type: RESET, seq: 203, ack: 103 });
    expectLine("240 TIMEWAIT");
    client(lab, { type: DATA, seq: 104 });
    expectLine("240 TIMEWAIT");
    server(lab, { type: REQUEST, seq: 300 });
    expectLine("240 REQUEST");
    client(lab, { type: RESPONSE, seq: 301, ack: 300 });
    expectLine("480 RESPOND");
  });

  it("ends with a reset that is the only answer", () => {
    const lab = makeLab();
    client(lab, { type: REQUEST, seq: 100 });
    server(lab, { type: RESET, seq: 1, ack: 100 });
    expect(list(lab, "dccp")).toEqual([]);
  });

  it("refuses what makes no sense, and says why", () => {
    const lab = makeLab();
    lab.kernel.nfLogSyslog = true;
    run(lab, "sysctl -w net.netfilter.nf_conntrack_log_invalid=33");
    client(lab, { type: ACK, seq: 100, ack: 1 });
    client(lab, { type: REQUEST, seq: 100, bad: true });
    client(lab, { type: REQUEST, seq: 100, doff: 2 });
    client(lab, { type: REQUEST, seq: 100, coverage: 9 });
    client(lab, { type: 12, seq: 100 });
    client(lab, { type: REQUEST, seq: 5, short: true });
    client(lab, { type: ACK, seq: 6, ack: 7, short: true });
    expect(track(lab, ipPacket(lab, DCCP, A, B, new Uint8Array(8)))).toBeNull();
    expect(list(lab, "dccp")).toEqual([]);
    expect(run(lab, "conntrack -S").stdout).toContain(" invalid=8 insert=0 insert_failed=0 drop=1 ");
    const why = lab.kernel.log.map(({ text }) => /^nf_ct_proto_33: (.*?) IN=/.exec(text)?.[1]);
    expect(why).toEqual([
      "invalid state transition ",
      "nf_ct_dccp: bad checksum ",
      "nf_ct_dccp: truncated/malformed packet ",
      "nf_ct_dccp: bad checksum coverage ",
      "nf_ct_dccp: reserved packet type ",
      "nf_ct_dccp: type lacks 48bit sequence numbers",
      "invalid state transition ",
    ]);
  });

  it("has lifetimes that can be set", () => {
    const lab = makeLab();
    run(lab, "sysctl -w net.netfilter.nf_conntrack_dccp_timeout_request=7");
    client(lab, { type: REQUEST, seq: 100 });
    expect(list(lab, "dccp")[0]).toContain("dccp     33 7 REQUEST ");
    lab.wait(8);
    expect(list(lab, "dccp")).toEqual([]);
  });
});

describe("SCTP", () => {
  it("goes through an association", () => {
    const lab = makeLab();
    const states: string[] = [];
    const step = (src: string, dst: string, tag: number, chunks: number[][]): void => {
      const [sport, dport] = src === A ? [1, 2] : [2, 1];
      send(lab, SCTP, src, dst, sctp(sport, dport, tag, chunks));
      states.push(list(lab, "sctp")[0].split(/\s+/).slice(2, 4).join(" "));
    };
    step(A, B, 0, [init(1, 5)]);
    step(B, A, 5, [init(2, 7)]);
    step(A, B, 7, [chunk(10, [1, 2, 3, 4])]);
    step(B, A, 5, [chunk(11)]);
    step(A, B, 7, [chunk(0, [1])]);
    step(A, B, 9, [chunk(0, [1])]);
    step(A, B, 7, [chunk(7, [0, 0, 0, 0])]);
    step(B, A, 5, [chunk(8)]);
    step(A, B, 7, [chunk(14)]);
    expect(states).toEqual([
      "10 CLOSED",
      "3 COOKIE_WAIT",
      "3 COOKIE_ECHOED",
      "210 ESTABLISHED",
      "210 ESTABLISHED",
      "210 ESTABLISHED",
      "3 SHUTDOWN_SENT",
      "3 SHUTDOWN_ACK_SENT",
      "10 CLOSED",
    ]);
    expect(run(lab, "conntrack -S").stdout).toContain(" invalid=1 ");
  });

  it("says of bad packets why they are", () => {
    const lab = makeLab();
    lab.kernel.nfLogSyslog = true;
    run(lab, "sysctl -w net.netfilter.nf_conntrack_log_invalid=255");
    send(lab, SCTP, A, B, sctp(1, 2, 0, [init(1, 5)], true));
    send(lab, SCTP, A, B, new Uint8Array(8));
    send(lab, SCTP, A, B, sctp(1, 2, 0, [init(1, 5), chunk(0, [1])]));
    expect(lab.kernel.log.map(({ text }) => /^(.*?)IN=/.exec(text)?.[1])).toEqual([
      "nf_ct_proto_132: nf_ct_sctp: bad CRC  ",
      "nf_ct_proto_132: nf_ct_sctp: short packet  ",
    ]);
    expect(list(lab, "sctp")).toEqual([]);
  });

  it("is translated, and has a right CRC then", () => {
    const lab = makeLab();
    natOf(lab.ns).registerTable(NF_INET_POST_ROUTING, (ns, skb) => {
      const flags = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED;
      const addr = ip("192.0.2.1");
      const range = { flags, minAddr: addr, maxAddr: addr, minPort: 5000, maxPort: 5000 };
      return nfNatSetupInfo(ns, skb, ctOf(skb)!, range, NF_NAT_MANIP_SRC);
    });
    const hooks = [NF_INET_PRE_ROUTING, NF_INET_POST_ROUTING] as const;
    const skb = pass(lab, ipPacket(lab, SCTP, A, B, sctp(1, 2, 0, [init(1, 5)])), hooks)!;
    const off = skb.netOff + 20;
    expect(skb.view.getUint16(off)).toBe(5000);
    expect(sctpCheck(skb.view, off)).toBe(sctpChecksum(skb.view, off, skb.tail));
    skb.consume();
    expect(list(lab, "sctp")[0]).toContain("[UNREPLIED] src=10.1.0.2 dst=192.0.2.1 sport=2 dport=5000 ");
  });
});

describe("UDP-Lite", () => {
  function udplite(coverage: number, proto: number, covered: number): Uint8Array {
    const bytes = new Uint8Array(8 + 5).fill(0x61, 8);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 3);
    view.setUint16(2, 4);
    view.setUint16(4, coverage);
    view.setUint16(6, sum(bytes, A, B, proto, covered));
    return bytes;
  }

  it("is a stream with the first answer, and has a checksum over what it covers, with UDP's number", () => {
    const lab = makeLab();
    lab.kernel.nfLogSyslog = true;
    run(lab, "sysctl -w net.netfilter.nf_conntrack_log_invalid=136");
    send(lab, UDPLITE, A, B, udplite(0, UDPLITE, 13));
    send(lab, UDPLITE, A, B, udplite(4, 17, 13));
    expect(list(lab, "udplite")).toEqual([]);
    send(lab, UDPLITE, A, B, udplite(8, 17, 8));
    expect(list(lab, "udplite")).toEqual([
      "udplite  136 30 src=10.0.0.2 dst=10.1.0.2 sport=3 dport=4 [UNREPLIED] src=10.1.0.2 dst=10.0.0.2 sport=4 dport=3 mark=0 use=1",
    ]);
    expect(lab.kernel.log.map(({ text }) => /^nf_ct_proto_136: (.*?) IN=/.exec(text)?.[1])).toEqual([
      "bad checksum",
      "invalid checksum coverage",
    ]);
  });
});

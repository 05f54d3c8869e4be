/**
 * A download of 120000 bytes that was recorded at a real server: `fixtures/download.txt` has a line a segment, with time (us),
 * direction (> to the server), flags, sequence number, acknowledgement (both from 0), data bytes, window field. Fed with what
 * the client sent and when, our server must send the same segments: where super packets end (PSH) follows from the congestion
 * window and HyStart, the send buffer, small queues and the moments at which the writer goes on.
 */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { sleep } from "../../src/host/process.ts";
import { acceptTcp, listenTcp, recvTcp, sendTcp, shutdownTcp } from "../../src/host/socket.ts";
import { ethTypeTrans, netifReceiveSkb } from "../../src/net/core/dev.ts";
import type { NetDevice } from "../../src/net/core/net-device.ts";
import type { Skb } from "../../src/net/core/skb.ts";
import { addressAdd } from "../../src/net/ctl/address.ts";
import { neighbourAdd } from "../../src/net/ctl/neighbour.ts";
import { ipChecksumSet, l4ChecksumSet } from "../../src/wire/ipv4.ts";
import { TcpOptions, tcpOptionsLen, writeTcpOptions } from "../../src/wire/tcp-options.ts";
import { ip, Lab } from "./lab.ts";

interface Segment {
  readonly atNs: number;
  readonly toServer: boolean;
  readonly flags: string;
  readonly seq: number;
  readonly ack: number;
  readonly len: number;
  readonly window: number;
}

const START_NS = 50_000_000;
const SERVER = ip("10.0.2.3");
const CLIENT = ip("10.0.2.6");
const MTU = 1450;
const ETH = 14;
const FLAGS: Record<string, number> = { F: 1, S: 2, P: 8, ".": 16 };

function recorded(): Segment[] {
  const text = readFileSync(new URL("fixtures/download.txt", import.meta.url), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => line.split(" "))
    .map(([us, direction, flags, seq, ack, len, window]) => ({
      atNs: START_NS + Number(us) * 1000,
      toServer: direction === ">",
      flags,
      seq: Number(seq),
      ack: Number(ack),
      len: Number(len),
      window: Number(window),
    }));
}

/** The server's card: what it sends waits in the backlog of the machine, as on the way out of a container. */
class Card {
  readonly sent: string[] = [];
  readonly dev: NetDevice;
  private iss = 0;
  private tsVal = 0;

  constructor(lab: Lab) {
    const ns = lab.server.hostNs;
    const other = ns.addDevice("other", { kind: "veth", xmit: (skb) => skb.consume() }, 0, MTU);
    other.rxHandler = (skb) => skb.consume();
    const xmit = (skb: Skb): void => {
      this.see(skb);
      skb.scrub();
      ethTypeTrans(skb, other);
      ns.kernel.netifRx(skb);
    };
    this.dev = ns.addDevice("eth1", { kind: "veth", xmit }, 0, MTU);
    this.dev.addrLo = 3;
    for (const dev of [other, this.dev]) ns.setUp(dev);
    addressAdd(this.dev, { local: SERVER, prefixLen: 24, broadcast: 0 });
    neighbourAdd(this.dev, CLIENT, 0, 6);
  }

  private see(skb: Skb): void {
    const { view } = skb;
    const tcp = skb.data + ETH + 20;
    const bits = view.getUint8(tcp + 13);
    if ((bits & 2) !== 0) {
      this.iss = view.getInt32(tcp + 4);
      this.tsVal = view.getInt32(tcp + 28);
    }
    const len = skb.tail - tcp - (view.getUint8(tcp + 12) >> 4) * 4;
    const flags = Object.keys(FLAGS).filter((name) => (bits & FLAGS[name]) !== 0);
    if (len > 0 || (bits & 1) !== 0)
      this.sent.push(`[${flags.join("")}] ${(view.getInt32(tcp + 4) - this.iss) | 0} ${len}`);
  }

  /** One segment of the client arrives. */
  arrive(segment: Segment, first: Segment): void {
    const { kernel } = this.dev.ns;
    const syn = segment.flags.includes("S");
    const options = new TcpOptions();
    if (syn) {
      options.mss = MTU - 40;
      options.wscale = 7;
      options.sackPermitted = true;
    }
    const ms = Math.floor((segment.atNs - first.atNs) / 1e6);
    options.timestamps = true;
    options.tsVal = 1000 + ms;
    options.tsEcr = syn ? 0 : (this.tsVal + ms) | 0;
    const headerLen = 20 + tcpOptionsLen(options);
    const skb = kernel.pool.alloc(ETH + 20 + headerLen + segment.len);
    const { view, data } = skb;
    skb.tail = data + ETH + 20 + headerLen + segment.len;
    skb.bytes.fill(0, data, skb.tail);
    view.setInt32(data + 2, 3);
    view.setUint16(data + 12, 0x0800);
    const off = data + ETH;
    view.setUint8(off, 0x45);
    view.setUint16(off + 2, skb.tail - off);
    view.setUint16(off + 6, 0x4000);
    view.setUint8(off + 8, 64);
    view.setUint8(off + 9, 6);
    view.setInt32(off + 12, CLIENT);
    view.setInt32(off + 16, SERVER);
    ipChecksumSet(view, off);
    const tcp = off + 20;
    const bits = [...segment.flags].reduce((sum, name) => sum | FLAGS[name], 0);
    view.setUint16(tcp, 40000);
    view.setUint16(tcp + 2, 80);
    view.setInt32(tcp + 4, segment.seq);
    view.setInt32(tcp + 8, syn ? 0 : (this.iss + segment.ack) | 0);
    view.setUint16(tcp + 12, (headerLen << 10) | bits);
    view.setUint16(tcp + 14, segment.window);
    writeTcpOptions(view, tcp + 20, options);
    l4ChecksumSet(skb.bytes, view, off);
    kernel.enter();
    ethTypeTrans(skb, this.dev);
    netifReceiveSkb(skb);
    kernel.leave();
  }
}

const segments = recorded();
const answers = segments.filter(
  (segment) => !segment.toServer && (segment.len > 0 || segment.flags.includes("F")),
);
let sent: string[];

beforeAll(() => {
  const lab = new Lab();
  const card = new Card(lab);
  const { sim } = lab;
  const [head, body] = answers;
  const total = answers.reduce((sum, { len }) => sum + len, 0) - head.len;
  lab.server.spawn("web", lab.server.hostNs, function* (process) {
    const sk = yield* acceptTcp(process, listenTcp(process, 0, 80));
    yield* recvTcp(sk);
    yield* sleep(head.atNs - sim.now);
    yield* sendTcp(sk, new Uint8Array(head.len));
    yield* sleep(body.atNs - sim.now);
    yield* sendTcp(sk, new Uint8Array(total));
    yield* sleep(answers[answers.length - 1].atNs - sim.now);
    shutdownTcp(sk);
    while ((yield* recvTcp(sk)).length > 0);
    return 0;
  });
  for (const segment of segments)
    if (segment.toServer) sim.schedule(segment.atNs, { onEvent: () => card.arrive(segment, segments[0]) });
  lab.run(2);
  sent = card.sent;
  expect(lab.pool.outstanding).toBe(0);
});

test("the server sends the segments of the real one, pushed where it pushed", () => {
  expect(sent).toEqual(answers.map(({ flags, seq, len }) => `[${flags}] ${seq} ${len}`));
});

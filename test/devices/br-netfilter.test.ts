/** br_netfilter: which hooks a bridged packet passes, with which devices, and what DNAT does to it. */
import { expect, test } from "vitest";
import {
  type Hook,
  NF_ACCEPT,
  NF_DROP,
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  type Verdict,
} from "../../src/net/core/hooks.ts";
import type { Kernel } from "../../src/net/core/kernel.ts";
import type { NetDevice } from "../../src/net/core/net-device.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { nfBridgeOf } from "../../src/net/core/nf-bridge.ts";
import type { Skb } from "../../src/net/core/skb.ts";
import { addressAdd } from "../../src/net/ctl/address.ts";
import { linkAdd, linkSetMaster, linkSetUp } from "../../src/net/ctl/link.ts";
import { neighbourAdd } from "../../src/net/ctl/neighbour.ts";
import { SEC } from "../../src/sim/sim.ts";
import { inetChecksum } from "../../src/wire/checksum.ts";
import { ipChecksumSet, ipDaddr, ipTtl, setIpDaddr } from "../../src/wire/ipv4.ts";
import { bytes, Recorder, send, World } from "./util.ts";

const NAMES = ["PRE", "IN", "FORWARD", "OUT", "POST"];
const PEER = [0xac120003, 0xac120004, 0xac120005].map((addr) => addr | 0);
const BRIDGE_IP = 0xac120001 | 0;

interface Net {
  readonly world: World;
  readonly kernel: Kernel;
  readonly ns: NetNs;
  readonly br: NetDevice;
  readonly ends: NetDevice[];
  /** `HOOK in out physin physout` of each packet at each hook. */
  readonly log: string[];
  decide: (skb: Skb, hook: Hook) => Verdict;
}

function gwbridge(): Net {
  const world = new World();
  const kernel = world.kernel("m");
  kernel.bridgeNetfilter = true;
  const ns = kernel.initNs;
  linkSetUp(ns.device("lo")!);
  const br = linkAdd(ns, { kind: "bridge", name: "gw", address: { hi: 0x0242, lo: 0x11111111 } });
  linkSetUp(br);
  addressAdd(br, { local: BRIDGE_IP, prefixLen: 16 });
  const ends = PEER.map((addr, i) => {
    const peerNs = kernel.createNs(`c${i}`, "");
    const peerAddress = { hi: 0x0242, lo: addr };
    const port = linkAdd(ns, { kind: "veth", name: `p${i}`, peer: `e${i}`, peerNs, peerAddress });
    linkSetMaster(port, br);
    linkSetUp(port);
    linkSetUp(port.link!);
    return port.link!;
  });
  const net: Net = { world, kernel, ns, br, ends, log: [], decide: () => NF_ACCEPT };
  for (const hook of [0, 1, 2, 3, 4] as const)
    ns.hooks.register({
      name: "test",
      hook,
      priority: -1,
      fn: (_ns, skb, at, inDev, outDev) => {
        const info = nfBridgeOf(skb);
        const names = [inDev, outDev, info?.physIn, info?.physOut].map((dev) => dev?.name ?? "-");
        net.log.push(`${NAMES[at]} ${names.join(" ")}`);
        return net.decide(skb, at);
      },
    });
  return net;
}

/** An UDP datagram from one end to another's MAC address. */
function packet(from: number, dstMac: string, daddr: number): Uint8Array {
  const frame = new Uint8Array(14 + 28);
  const view = new DataView(frame.buffer);
  frame.set(bytes(dstMac), 0);
  view.setUint16(6, 0x0242);
  view.setInt32(8, PEER[from]);
  view.setUint16(12, 0x0800);
  frame.set(bytes("4500001c 00010000 40110000"), 14);
  view.setInt32(26, PEER[from]);
  view.setInt32(30, daddr);
  view.setUint16(34, 4000);
  view.setUint16(36, 5000);
  view.setUint16(38, 8);
  view.setUint16(24, inetChecksum(view, 14, 20));
  return frame;
}

function macOf(i: number): string {
  return `0242${(PEER[i] >>> 0).toString(16)}`;
}

function learn(net: Net): void {
  for (let i = 0; i < 3; i++)
    send(net.world, net.ends[i], bytes(`ffffffffffff${macOf(i)}88b5${"00".repeat(46)}`));
  net.log.length = 0;
}

test("a bridged packet passes PRE_ROUTING, FORWARD and POST_ROUTING as of the bridge, with the ports beside it", () => {
  const net = gwbridge();
  learn(net);
  const recorder = new Recorder();
  recorder.watch(net.br, ...net.ends);
  send(net.world, net.ends[0], packet(0, macOf(1), PEER[1]));
  expect(net.log).toEqual(["PRE gw - p0 -", "FORWARD gw gw p0 p1", "POST - gw p0 p1"]);
  const arrived = recorder.frames.filter((frame) => !frame.out && frame.dev === "e1");
  expect(arrived.map((frame) => frame.hex)).toEqual([
    Buffer.from(packet(0, macOf(1), PEER[1])).toString("hex"),
  ]);
  net.world.run(60 * SEC);
  net.world.done();
});

test("a verdict of FORWARD drops bridged packets; with the switch off no hook is called", () => {
  const net = gwbridge();
  learn(net);
  net.decide = (_skb, hook) => (hook === NF_INET_FORWARD ? NF_DROP : NF_ACCEPT);
  send(net.world, net.ends[0], packet(0, macOf(1), PEER[1]));
  expect(net.log).toEqual(["PRE gw - p0 -", "FORWARD gw gw p0 p1"]);
  net.log.length = 0;
  net.ns.sysctl.set("net.bridge.bridge-nf-call-iptables", "0");
  const before = net.ends[1].rxPackets;
  send(net.world, net.ends[0], packet(0, macOf(1), PEER[1]));
  expect(net.log).toEqual([]);
  expect(net.ends[1].rxPackets).toBe(before + 1);
  net.world.run(60 * SEC);
  net.world.done();
});

test("a packet for the machine passes PRE_ROUTING once, and LOCAL_IN still knows the port", () => {
  const net = gwbridge();
  learn(net);
  send(net.world, net.ends[0], packet(0, "024211111111", BRIDGE_IP));
  expect(net.log.slice(0, 2)).toEqual(["PRE gw - p0 -", "IN gw - p0 -"]);
  expect(net.log.filter((line) => line.startsWith("PRE gw - p0"))).toHaveLength(1);
  net.world.run(60 * SEC);
  net.world.done();
});

test("each copy of a flooded packet has its own way out", () => {
  const net = gwbridge();
  send(net.world, net.ends[0], packet(0, macOf(1), PEER[1]));
  const forwards = net.log.filter((line) => line.startsWith("FORWARD"));
  expect(forwards).toEqual(["FORWARD gw gw p0 p2", "FORWARD gw gw p0 p1"]);
  net.world.run(60 * SEC);
  net.world.done();
});

/** DNAT of what is sent to the bridge's address. */
function dnatTo(net: Net, target: number): void {
  net.decide = (skb, hook) => {
    if (hook === NF_INET_PRE_ROUTING && ipDaddr(skb.view, skb.data) === BRIDGE_IP) {
      setIpDaddr(skb.view, skb.data, target);
      ipChecksumSet(skb.view, skb.data);
    }
    return NF_ACCEPT;
  };
}

test("DNAT to a station of the bridge is bridged with its MAC address: same source, same TTL", () => {
  const net = gwbridge();
  net.ns.sysctl.set("net.ipv4.ip_forward", "1");
  learn(net);
  neighbourAdd(net.br, PEER[1], 0x0242, PEER[1]);
  dnatTo(net, PEER[1]);
  const recorder = new Recorder();
  recorder.watch(net.br, net.ends[1]);
  send(net.world, net.ends[0], packet(0, "024211111111", BRIDGE_IP));
  expect(net.log).toEqual(["PRE gw - p0 -", "FORWARD gw gw p0 p1", "POST - gw p0 p1"]);
  expect(recorder.frames.map((frame) => frame.dev)).toEqual(["e1"]);
  const view = new DataView(bytes(recorder.frames[0].hex).buffer);
  expect(recorder.frames[0].hex.slice(0, 24)).toBe(macOf(1) + macOf(0));
  expect([ipDaddr(view, 14), ipTtl(view, 14)]).toEqual([PEER[1], 64]);
  net.world.run(60 * SEC);
  net.world.done();
});

test("without forwarding a packet that was DNATed to another station is lost", () => {
  const net = gwbridge();
  learn(net);
  neighbourAdd(net.br, PEER[1], 0x0242, PEER[1]);
  dnatTo(net, PEER[1]);
  const before = net.ends[1].rxPackets;
  send(net.world, net.ends[0], packet(0, "024211111111", BRIDGE_IP));
  expect(net.log).toEqual(["PRE gw - p0 -"]);
  expect(net.ends[1].rxPackets).toBe(before);
  net.world.run(60 * SEC);
  net.world.done();
});

test("DNAT to a station whose address is not known yet: ARP first, then the frame with its own source", () => {
  const net = gwbridge();
  net.ns.sysctl.set("net.ipv4.ip_forward", "1");
  learn(net);
  addressAdd(net.ends[1], { local: PEER[1], prefixLen: 16 });
  dnatTo(net, PEER[1]);
  const recorder = new Recorder();
  recorder.watch(net.ends[1]);
  send(net.world, net.ends[0], packet(0, "024211111111", BRIDGE_IP));
  net.world.run(1 * SEC);
  const ip = recorder.frames.filter((frame) => !frame.out && frame.hex.slice(24, 28) === "0800");
  expect(ip.map((frame) => frame.hex.slice(0, 24))).toEqual([macOf(1) + macOf(0)]);
  net.world.run(60 * SEC);
  net.world.done();
});

test("DNAT of a bridged packet to the machine itself brings it up", () => {
  const net = gwbridge();
  learn(net);
  net.decide = (skb, hook) => {
    if (hook === NF_INET_PRE_ROUTING) {
      setIpDaddr(skb.view, skb.data, BRIDGE_IP);
      ipChecksumSet(skb.view, skb.data);
    }
    return NF_ACCEPT;
  };
  send(net.world, net.ends[0], packet(0, macOf(1), PEER[1]));
  expect(net.log.slice(0, 2)).toEqual(["PRE gw - p0 -", "IN gw - p0 -"]);
  expect(NF_INET_LOCAL_IN).toBe(1);
  net.world.run(60 * SEC);
  net.world.done();
});

test("a packet that PRE_ROUTING put together leaves in pieces of the size in which it came", () => {
  const net = gwbridge();
  learn(net);
  net.decide = (skb, hook) => {
    if (hook === NF_INET_POST_ROUTING) skb.fragMaxSize = 44;
    return NF_ACCEPT;
  };
  const recorder = new Recorder();
  recorder.watch(net.ends[1]);
  const long = new Uint8Array(14 + 100);
  long.set(packet(0, macOf(1), PEER[1]));
  const view = new DataView(long.buffer);
  view.setUint16(16, 100);
  view.setUint16(24, 0);
  view.setUint16(24, inetChecksum(view, 14, 20));
  for (let i = 42; i < long.length; i++) long[i] = i;
  send(net.world, net.ends[0], long);
  const pieces = recorder.frames.filter((frame) => !frame.out).map((frame) => bytes(frame.hex));
  expect(pieces.map((piece) => new DataView(piece.buffer).getUint16(20))).toEqual([
    0x2000, 0x2003, 0x2006, 0x0009,
  ]);
  const whole = pieces.flatMap((piece) => [...piece.slice(34)]);
  expect(whole).toEqual([...long.slice(34)]);
  for (const piece of pieces) expect(inetChecksum(new DataView(piece.buffer), 14, 20)).toBe(0);
  net.world.run(60 * SEC);
  net.world.done();
});

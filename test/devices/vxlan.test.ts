/** VXLAN: bytes on the wire, learning, the ARP proxy, path MTU, and two hosts that talk across. */
import { expect, test } from "vitest";
import type { Kernel } from "../../src/net/core/kernel.ts";
import type { NetDevice } from "../../src/net/core/net-device.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { addressAdd } from "../../src/net/ctl/address.ts";
import { fdbAdd, fdbAppend, fdbDel, fdbDump } from "../../src/net/ctl/fdb.ts";
import {
  linkAdd,
  linkDel,
  linkSetDown,
  linkSetMaster,
  linkSetMtu,
  linkSetNetns,
  linkSetUp,
} from "../../src/net/ctl/link.ts";
import { neighbourAdd } from "../../src/net/ctl/neighbour.ts";
import { Segment } from "../../src/net/drivers/cable.ts";
import { nicCreate } from "../../src/net/drivers/nic.ts";
import { vxlanOf } from "../../src/net/drivers/vxlan-private.ts";
import { udpOf } from "../../src/net/ipv4/udp-sock.ts";
import { MS, SEC } from "../../src/sim/sim.ts";
import { Prng } from "../../src/util/prng.ts";
import { inetChecksum, pseudoHeaderSum } from "../../src/wire/checksum.ts";
import { bytes, Recorder, send, World } from "./util.ts";

const HOST1 = 0xc0a8c80b | 0;
const HOST2 = 0xc0a8c80c | 0;
const VNI = 4096;

interface Node {
  readonly kernel: Kernel;
  readonly nic: NetDevice;
  readonly ovl: NetNs;
  readonly vxlan: NetDevice;
  /** The container's end, in a namespace of its own. */
  readonly task: NetDevice;
}

/** A host with an overlay namespace and one container, 10.0.0.`last` with Docker's MAC address. */
function node(world: World, segment: Segment, name: string, hostIp: number, last: number): Node {
  const kernel = world.kernel(name, last);
  const host = kernel.initNs;
  const nic = nicCreate(host, "eth0", 0x5254, hostIp);
  segment.attach(nic);
  linkSetUp(nic);
  addressAdd(nic, { local: hostIp, prefixLen: 24 });
  const ovl = kernel.createNs("ovl", "");
  const br = linkAdd(ovl, { kind: "bridge", name: "br0" });
  linkSetUp(br);
  const vxlan = linkAdd(host, {
    kind: "vxlan",
    name: "vxlan0",
    vni: VNI,
    dstPort: 4789,
    proxy: true,
    l2miss: true,
    l3miss: true,
    mtu: 1450,
  });
  linkSetNetns(vxlan, ovl);
  linkSetMaster(vxlan, br);
  linkSetUp(vxlan);
  const port = linkAdd(ovl, {
    kind: "veth",
    name: "veth0",
    peer: "eth0",
    mtu: 1450,
    peerNs: kernel.createNs("task", ""),
    peerAddress: { hi: 0x0242, lo: 0x0a000000 | last },
  });
  linkSetMaster(port, br);
  linkSetUp(port);
  const task = port.link!;
  linkSetUp(task);
  addressAdd(task, { local: 0x0a000000 | last, prefixLen: 24 });
  return { kernel, nic, ovl, vxlan, task };
}

/** What gossip tells a node of a remote task. */
function peer(at: Node, last: number, hostIp: number): void {
  fdbAdd(at.vxlan, { macHi: 0x0242, macLo: 0x0a000000 | last, dst: hostIp });
  neighbourAdd(at.vxlan, 0x0a000000 | last, 0x0242, 0x0a000000 | last);
}

function twoNodes(): { world: World; segment: Segment; n1: Node; n2: Node } {
  const world = new World();
  const segment = new Segment("lan", world.sim, new Prng(1, "lan"));
  const n1 = node(world, segment, "n1", HOST1, 6);
  const n2 = node(world, segment, "n2", HOST2, 7);
  peer(n1, 7, HOST2);
  peer(n2, 6, HOST1);
  return { world, segment, n1, n2 };
}

/** A ping from task 6 to task 7. */
function echoRequest(size = 8, df = false): Uint8Array {
  const total = 28 + size;
  const frame = new Uint8Array(14 + total);
  frame.set(bytes("02420a000007 02420a000006 0800 4500"));
  const view = new DataView(frame.buffer);
  view.setUint16(16, total);
  view.setUint16(20, df ? 0x4000 : 0);
  frame.set(bytes("4001 0000 0a000006 0a000007 0800 0000 0001 0001"), 22);
  view.setUint16(24, inetChecksum(view, 14, 20));
  view.setUint16(36, inetChecksum(view, 34, total - 20));
  return frame;
}

test("two tasks ping across; ARP is answered by the proxy and never crosses", () => {
  const { world, n1, n2 } = twoNodes();
  n2.task.ns.renameDevice(n2.task, "task");
  const recorder = new Recorder();
  recorder.watch(n1.nic, n2.vxlan, n2.task);
  send(world, n1.task, echoRequest());
  world.run(10 * MS);
  const steps = recorder.frames.map(
    ({ dev, out, hex }) => `${dev} ${out ? "out" : "in"} ${hex.slice(24, 28)}`,
  );
  expect(steps).toEqual([
    "eth0 out 0806",
    "eth0 in 0806",
    "eth0 out 0800",
    "vxlan0 in 0800",
    "task in 0800",
    "task out 0806",
    "vxlan0 out 0806",
    "vxlan0 in 0806",
    "task in 0806",
    "task out 0800",
    "vxlan0 out 0800",
    "eth0 in 0800",
  ]);
  expect(n1.vxlan.rxPackets).toBe(1);
  expect(n2.vxlan.rxPackets).toBe(1);
  world.run(60 * SEC);
  world.done();
});

test("outer headers: 50 bytes, TTL 64, no DF, UDP checksum, I flag, VNI, the inner frame as it was", () => {
  const { world, n1 } = twoNodes();
  const recorder = new Recorder();
  recorder.watch(n1.nic);
  const inner = echoRequest();
  send(world, n1.task, inner);
  world.run(10 * MS);
  const sent = recorder.frames.find((frame) => frame.out && frame.hex.slice(24, 28) === "0800")!;
  const frame = bytes(sent.hex);
  const view = new DataView(frame.buffer);
  expect(frame.length).toBe(inner.length + 50);
  expect(frame.slice(50)).toEqual(inner);
  expect(view.getUint16(16)).toBe(inner.length + 36);
  expect([view.getUint8(15), view.getUint16(20), view.getUint8(22), view.getUint8(23)]).toEqual([
    0, 0, 64, 17,
  ]);
  expect(inetChecksum(view, 14, 20)).toBe(0);
  expect([view.getInt32(26), view.getInt32(30)]).toEqual([HOST1, HOST2]);
  expect(view.getUint16(34)).toBeGreaterThanOrEqual(32768);
  expect(view.getUint16(34)).toBeLessThan(60999);
  expect(view.getUint16(36)).toBe(4789);
  const udpLen = inner.length + 16;
  expect(view.getUint16(38)).toBe(udpLen);
  expect(view.getUint16(40)).not.toBe(0);
  expect(inetChecksum(view, 34, udpLen, pseudoHeaderSum(HOST1, HOST2, 17, udpLen))).toBe(0);
  expect([view.getUint32(42), view.getUint32(46)]).toEqual([0x08000000, VNI << 8]);
  world.run(60 * SEC);
  world.done();
});

test("a frame for an unknown address is dropped and counted; a group frame has no miss", () => {
  const { world, n1 } = twoNodes();
  const data = echoRequest();
  data.set(bytes("02420a000063"), 0);
  send(world, n1.task, data);
  expect(vxlanOf(n1.vxlan)!.l2Misses).toBe(1);
  data.set(bytes("01005e000005"), 0);
  send(world, n1.task, data);
  expect(vxlanOf(n1.vxlan)!.l2Misses).toBe(1);
  expect(n1.vxlan.txDropped).toBe(2);
  world.run(60 * SEC);
  world.done();
});

test("a source with a static entry behind another VTEP is dropped; without entry it is learnt and ages after use", () => {
  const { world, n1, n2 } = twoNodes();
  fdbDel(n2.vxlan, { macHi: 0x0242, macLo: 0x0a000006 });
  fdbAdd(n2.vxlan, { macHi: 0x0242, macLo: 0x0a000006, dst: 0x01020304 });
  send(world, n1.task, echoRequest());
  world.run(10 * MS);
  expect(n2.vxlan.rxPackets).toBe(0);
  expect(n2.vxlan.rxDropped).toBe(0);
  fdbDel(n2.vxlan, { macHi: 0x0242, macLo: 0x0a000006 });
  send(world, n1.task, echoRequest());
  world.run(10 * MS);
  expect(n2.vxlan.rxPackets).toBe(1);
  const learnt = fdbDump(n2.ovl, { dev: n2.vxlan }).filter((entry) => entry.dst !== null);
  expect(learnt.map((entry) => [entry.macLo, entry.dst, entry.state])).toEqual([[0x0a000006, HOST1, ""]]);
  world.run(301 * SEC);
  expect(fdbDump(n2.ovl, { dev: n2.vxlan }).filter((entry) => entry.dst !== null)).toEqual([]);
  world.done();
});

test("unknown VNI, other flags and reserved bits are dropped in silence", () => {
  const { world, n1, n2 } = twoNodes();
  const recorder = new Recorder();
  send(world, n1.task, echoRequest());
  world.run(10 * MS);
  recorder.watch(n1.nic);
  send(world, n1.task, echoRequest());
  world.run(10 * MS);
  const good = recorder.frames.find((frame) => frame.out)!;
  const received = n2.vxlan.rxPackets;
  for (const [at, value] of [
    [42, 0x0c],
    [42, 0],
    [44, 1],
    [47, 1],
    [49, 1],
  ]) {
    const bad = bytes(good.hex);
    bad[at] = value;
    bad[40] = 0;
    bad[41] = 0;
    send(world, n1.nic, bad);
  }
  recorder.clear();
  world.run(10 * MS);
  expect(n2.vxlan.rxPackets).toBe(received);
  expect(recorder.frames.filter((frame) => !frame.out && frame.hex.slice(24, 28) === "0800")).toEqual([]);
  world.run(60 * SEC);
  world.done();
});

test("an underlay that is too small: with DF the sender hears of it from the destination, without it is fragmented", () => {
  const { world, n1 } = twoNodes();
  linkSetMtu(n1.nic, 1400);
  const recorder = new Recorder();
  recorder.watch(n1.task);
  send(world, n1.task, echoRequest(1422, true));
  world.run(10 * MS);
  const heard = recorder.frames.find((frame) => !frame.out && frame.hex.slice(24, 28) === "0800")!;
  const frame = bytes(heard.hex);
  const view = new DataView(frame.buffer);
  expect([view.getInt32(26), view.getInt32(30)]).toEqual([0x0a000007, 0x0a000006]);
  expect([frame[34], frame[35], view.getUint16(40)]).toEqual([3, 4, 1350]);
  expect(view.getUint16(16)).toBe(576);
  expect(inetChecksum(view, 14, 20)).toBe(0);
  expect(inetChecksum(view, 34, 556)).toBe(0);
  recorder.clear();
  send(world, n1.task, echoRequest(1422, false));
  world.run(10 * MS);
  expect(recorder.frames.some((other) => !other.out && other.hex.slice(68, 70) === "00")).toBe(true);
  world.run(60 * SEC);
  world.done();
});

test("the socket is in the namespace where the device was made, shared, and closes with the last device", () => {
  const { world, n1 } = twoNodes();
  const host = n1.kernel.initNs;
  const listens = (): boolean => udpOf(host).lookup(0, 0, HOST1, 4789, null) !== null;
  expect(listens()).toBe(true);
  const other = linkAdd(host, { kind: "vxlan", name: "vx2", vni: 5000, dstPort: 4789 });
  linkSetUp(other);
  linkSetDown(n1.vxlan);
  expect(listens()).toBe(true);
  linkDel(other);
  expect(listens()).toBe(false);
  expect(() => linkAdd(host, { kind: "vxlan", name: "vx3", vni: VNI, dstPort: 4789 })).toThrow(
    "VNI already exists",
  );
  world.run(60 * SEC);
  world.done();
});

test("the default entry may have several remotes: each gets a copy", () => {
  const { world, segment, n1, n2 } = twoNodes();
  const n3 = node(world, segment, "n3", 0xc0a8c80d | 0, 8);
  fdbAdd(n1.vxlan, { macHi: 0, macLo: 0, dst: HOST2 });
  fdbAppend(n1.vxlan, { macHi: 0, macLo: 0, dst: 0xc0a8c80d | 0 });
  const data = echoRequest();
  data.set(bytes("01005e000005"), 0);
  send(world, n1.task, data);
  world.run(10 * MS);
  expect([n2.vxlan.rxPackets, n3.vxlan.rxPackets]).toEqual([1, 1]);
  world.run(60 * SEC);
  world.done();
});

test("congestion marks: ECN bits are copied out, a mark on the outer header comes in", () => {
  const { world, n1, n2 } = twoNodes();
  send(world, n1.task, echoRequest());
  world.run(10 * MS);
  const recorder = new Recorder();
  recorder.watch(n1.nic, n2.vxlan);
  const data = echoRequest();
  data[15] = 0x2a;
  new DataView(data.buffer).setUint16(24, 0);
  new DataView(data.buffer).setUint16(24, inetChecksum(new DataView(data.buffer), 14, 20));
  send(world, n1.task, data);
  const outer = bytes(recorder.frames.find((frame) => frame.dev === "eth0" && frame.out)!.hex);
  expect(outer[15]).toBe(0x02);
  world.run(10 * MS);
  recorder.clear();
  outer[15] = 0x03;
  const view = new DataView(outer.buffer);
  view.setUint16(24, 0);
  view.setUint16(24, inetChecksum(view, 14, 20));
  send(world, n1.nic, outer);
  world.run(10 * MS);
  const inner = bytes(recorder.frames.find((frame) => frame.dev === "vxlan0" && !frame.out)!.hex);
  expect(inner[15]).toBe(0x2b);
  expect(inetChecksum(new DataView(inner.buffer), 14, 20)).toBe(0);
  world.run(60 * SEC);
  world.done();
});

test("deleting the namespace of an overlay takes its devices, the socket, and frees its number", () => {
  const { world, n1, n2 } = twoNodes();
  send(world, n1.task, echoRequest());
  world.run(10 * MS);
  const host = n1.kernel.initNs;
  const id = host.netnsId(n1.ovl);
  n1.kernel.deleteNs(n1.ovl);
  expect(udpOf(host).lookup(0, 0, HOST1, 4789, null)).toBe(null);
  expect(n1.task.ns.device("eth0")).toBe(undefined);
  expect(host.netnsId(n1.kernel.createNs("next", ""))).toBe(id);
  send(world, n2.task, echoRequest());
  world.run(60 * SEC);
  world.done();
});

test("a bridge with addresses and ports is deleted while traffic waits", () => {
  const { world, n1 } = twoNodes();
  const br = n1.ovl.device("br0")!;
  addressAdd(br, { local: 0x0a000001, prefixLen: 24 });
  send(world, n1.task, echoRequest());
  linkDel(br);
  expect(n1.vxlan.master).toBe(null);
  world.run(60 * SEC);
  world.done();
});

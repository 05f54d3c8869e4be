/** Segments: time, queues, loss, cuts, the switch; veth and loopback. */
import { expect, test } from "vitest";
import { DROP } from "../../src/net/core/drop-reason.ts";
import { operStateOf } from "../../src/net/core/link-watch.ts";
import type { NetDevice } from "../../src/net/core/net-device.ts";
import { linkAdd, linkSetMtu, linkSetNetns, linkSetUp } from "../../src/net/ctl/link.ts";
import { Segment, type SegmentOptions } from "../../src/net/drivers/cable.ts";
import { nicCreate } from "../../src/net/drivers/nic.ts";
import { Prng } from "../../src/util/prng.ts";
import { formatMac } from "../../src/wire/address.ts";
import { frame, Recorder, send, World } from "./util.ts";

const ALL = "ff:ff:ff:ff:ff:ff";

function lan(count: number, options: Partial<SegmentOptions> = {}) {
  const world = new World();
  const segment = new Segment("lan", world.sim, new Prng(7, "lan"), options);
  const nics: NetDevice[] = [];
  for (let i = 0; i < count; i++) {
    const dev = nicCreate(world.plainKernel(`m${i}`).initNs, `eth${i}`, 0x0200, i + 1);
    segment.attach(dev);
    linkSetUp(dev);
    nics.push(dev);
  }
  const recorder = new Recorder();
  recorder.watch(...nics);
  return { world, segment, nics, recorder };
}

function mac(dev: NetDevice): string {
  return formatMac(dev.addrHi, dev.addrLo);
}

test("a frame arrives after its serialisation and the latency, to the nanosecond", () => {
  const { world, nics, recorder } = lan(2, { latencyNs: 1000, bitsPerSecond: 1e9 });
  send(world, nics[0], frame(mac(nics[1]), mac(nics[0]), "00".repeat(1000)));
  const takes = (1014 + 24) * 8 + 1000;
  world.run(takes - 1);
  expect(recorder.names(false)).toEqual([]);
  world.run(1);
  expect(recorder.names(false)).toEqual(["eth1"]);
  world.done();
});

test("frames queue behind each other, and two senders share the receiver's line", () => {
  const { world, nics } = lan(3, { latencyNs: 0, bitsPerSecond: 8e9 });
  const size = 1000 + 14 + 24;
  const data = frame(mac(nics[2]), mac(nics[0]), "00".repeat(1000));
  send(world, nics[0], data);
  send(world, nics[0], data);
  send(world, nics[1], data);
  world.run(2 * size);
  expect(nics[2].rxPackets).toBe(2);
  world.run(size);
  expect(nics[2].rxPackets).toBe(3);
  world.done();
});

test("what does not fit into the queue is dropped", () => {
  const { world, nics } = lan(2, { queueBytes: 5000 });
  for (let i = 0; i < 20; i++) send(world, nics[0], frame(mac(nics[1]), mac(nics[0]), "00".repeat(1000)));
  world.run(1e9);
  expect(nics[1].rxPackets).toBe(5);
  expect(world.pool.drops[DROP.CABLE_QUEUE_FULL]).toBe(15);
  world.done();
});

test("unknown addresses go to everybody, where the card drops them; learnt ones to one, promiscuous cards see all", () => {
  const { world, nics, recorder } = lan(3);
  nics[2].promiscuity++;
  send(world, nics[0], frame(mac(nics[1]), mac(nics[0])));
  world.run(1e9);
  expect(recorder.names(false)).toEqual(["eth1", "eth2"]);
  recorder.clear();
  send(world, nics[1], frame(mac(nics[0]), mac(nics[1])));
  world.run(1e9);
  expect(recorder.names(false)).toEqual(["eth0"]);
  recorder.clear();
  send(world, nics[0], frame(ALL, mac(nics[0])));
  world.run(1e9);
  expect(recorder.names(false)).toEqual(["eth1", "eth2"]);
  world.done();
});

test("a cut cable takes the carrier away and loses frames on the way; a healed one works again", () => {
  const { world, segment, nics } = lan(2);
  const port = segment.portOf(nics[1])!;
  expect(operStateOf(nics[1])).toBe("UNKNOWN");
  send(world, nics[0], frame(ALL, mac(nics[0])));
  segment.cut(port);
  expect(operStateOf(nics[1])).toBe("DOWN");
  send(world, nics[0], frame(ALL, mac(nics[0])));
  send(world, nics[1], frame(ALL, mac(nics[1])));
  world.run(1e9);
  expect([nics[0].rxPackets, nics[1].rxPackets]).toEqual([0, 0]);
  segment.heal(port);
  expect(operStateOf(nics[1])).toBe("UP");
  send(world, nics[0], frame(ALL, mac(nics[0])));
  world.run(1e9);
  expect(nics[1].rxPackets).toBe(1);
  world.done();
});

test("a partition separates the groups and leaves the carriers", () => {
  const { world, segment, nics } = lan(4);
  const ports = nics.map((dev) => segment.portOf(dev)!);
  for (const dev of nics) send(world, dev, frame(ALL, mac(dev)));
  world.run(1e9);
  segment.partition([
    [ports[0], ports[1]],
    [ports[2], ports[3]],
  ]);
  const before = nics.map((dev) => dev.rxPackets);
  send(world, nics[0], frame(ALL, mac(nics[0])));
  send(world, nics[0], frame(mac(nics[2]), mac(nics[0])));
  world.run(1e9);
  expect(nics.map((dev, i) => dev.rxPackets - before[i])).toEqual([0, 1, 0, 0]);
  segment.partition([]);
  send(world, nics[0], frame(mac(nics[2]), mac(nics[0])));
  world.run(1e9);
  expect(nics[2].rxPackets - before[2]).toBe(1);
  world.done();
});

test("loss takes its share, jitter keeps the order, reordering does not; the same seed gives the same run", () => {
  const run = (options: Partial<SegmentOptions>): string[] => {
    const { world, nics, recorder } = lan(2, options);
    for (let i = 0; i < 200; i++)
      send(world, nics[0], frame(ALL, mac(nics[0]), i.toString(16).padStart(4, "0")));
    world.run(1e9);
    world.done();
    return recorder.frames.filter((one) => !one.out).map((one) => one.hex.slice(28));
  };
  const lossy = run({ loss: 0.3 });
  expect(lossy.length).toBeGreaterThan(110);
  expect(lossy.length).toBeLessThan(170);
  expect(run({ loss: 0.3 })).toEqual(lossy);
  const jittery = run({ jitterNs: 100_000 });
  expect(jittery).toEqual([...jittery].sort());
  const mixed = run({ reorder: 0.2 });
  expect(mixed.length).toBe(200);
  expect(mixed).not.toEqual([...mixed].sort());
});

test("veth takes the mark off between namespaces only, and drops what is too long or finds the other end down", () => {
  const world = new World();
  const kernel = world.plainKernel("m");
  const dev = linkAdd(kernel.initNs, { kind: "veth", name: "a", peer: "b" });
  const peer = dev.link!;
  linkSetUp(dev);
  send(world, dev, frame(ALL, mac(dev)));
  expect([dev.txDropped, peer.rxDropped, dev.txPackets]).toEqual([1, 1, 0]);
  linkSetUp(peer);
  const marks: number[] = [];
  peer.rxHandler = (skb) => {
    marks.push(skb.mark);
    skb.consume();
  };
  const sendMarked = (): void => {
    const skb = world.pool.from(frame(ALL, mac(dev)));
    skb.mark = 7;
    skb.dev = dev;
    kernel.enter();
    dev.ops.xmit(skb, dev);
    kernel.leave();
  };
  sendMarked();
  linkSetNetns(peer, kernel.createNs("other", ""));
  linkSetUp(peer);
  sendMarked();
  expect(marks).toEqual([7, 0]);
  linkSetMtu(peer, 100);
  send(world, dev, frame(ALL, mac(dev), "00".repeat(104)));
  send(world, dev, frame(ALL, mac(dev), "00".repeat(105)));
  expect(marks.length).toBe(3);
  expect(peer.rxBytes).toBe(60 + 60 + 118);
  world.done();
});

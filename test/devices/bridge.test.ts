/** The bridge: learning, flooding, its own frames, addresses, MTU and states. */
import { expect, test } from "vitest";
import { bridgeOf } from "../../src/net/bridge/br-private.ts";
import { operStateOf } from "../../src/net/core/link-watch.ts";
import type { NetDevice } from "../../src/net/core/net-device.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { fdbAdd, fdbDump } from "../../src/net/ctl/fdb.ts";
import {
  linkAdd,
  linkDel,
  linkSetAddress,
  linkSetDown,
  linkSetMaster,
  linkSetMtu,
  linkSetNetns,
  linkSetUp,
} from "../../src/net/ctl/link.ts";
import { linkSetBridge, linkSetBrport } from "../../src/net/ctl/link-bridge.ts";
import { SEC } from "../../src/sim/sim.ts";
import { formatMac } from "../../src/wire/address.ts";
import { frame, Recorder, send, World } from "./util.ts";

const A = "02:00:00:00:00:0a";
const B = "02:00:00:00:00:0b";
const ALL = "ff:ff:ff:ff:ff:ff";

interface Net {
  readonly world: World;
  readonly ns: NetNs;
  readonly br: NetDevice;
  /** Ends in a namespace of their own; `ports` are the ends on the bridge. */
  readonly ends: NetDevice[];
  readonly ports: NetDevice[];
  readonly recorder: Recorder;
}

function bridgeWith(count: number): Net {
  const world = new World();
  const kernel = world.plainKernel("m");
  const ns = kernel.initNs;
  const br = linkAdd(ns, { kind: "bridge", name: "br0" });
  linkSetUp(br);
  const ends: NetDevice[] = [];
  const ports: NetDevice[] = [];
  for (let i = 0; i < count; i++) {
    const peerNs = kernel.createNs(`c${i}`, "");
    const port = linkAdd(ns, { kind: "veth", name: `port${i}`, peer: `end${i}`, peerNs });
    ports.push(port);
    ends.push(port.link!);
    linkSetMaster(port, br);
    linkSetUp(port);
    linkSetUp(port.link!);
  }
  const recorder = new Recorder();
  recorder.watch(br, ...ends);
  return { world, ns, br, ends, ports, recorder };
}

function received(net: Net): string[] {
  const names = net.recorder.names(false);
  net.recorder.clear();
  return names;
}

test("an unknown unicast frame goes to all other ports, the newest first, and not to the bridge itself", () => {
  const net = bridgeWith(4);
  send(net.world, net.ends[1], frame(B, A));
  expect(received(net)).toEqual(["end3", "end2", "end0"]);
  net.world.done();
});

test("a broadcast also goes up to the bridge itself", () => {
  const net = bridgeWith(3);
  send(net.world, net.ends[0], frame(ALL, A));
  expect(received(net)).toEqual(["br0", "end2", "end1"]);
  expect(net.br.rxBytes).toBe(46);
  net.world.done();
});

test("a learnt address gets its frames alone, until it has been silent for the ageing time", () => {
  const net = bridgeWith(3);
  send(net.world, net.ends[0], frame(ALL, A));
  net.recorder.clear();
  send(net.world, net.ends[1], frame(A, B));
  expect(received(net)).toEqual(["end0"]);
  net.world.run(299 * SEC);
  send(net.world, net.ends[1], frame(A, B));
  expect(received(net)).toEqual(["end0"]);
  net.world.run(1 * SEC);
  send(net.world, net.ends[1], frame(A, B));
  expect(received(net)).toEqual(["end2", "end0"]);
  net.world.done();
});

test("a station that moves is found at its new port, and a frame is not sent back to where it came from", () => {
  const net = bridgeWith(3);
  send(net.world, net.ends[0], frame(ALL, A));
  send(net.world, net.ends[2], frame(ALL, A));
  net.recorder.clear();
  send(net.world, net.ends[1], frame(A, B));
  expect(received(net)).toEqual(["end2"]);
  send(net.world, net.ends[2], frame(A, B));
  expect(received(net)).toEqual([]);
  linkSetBrport(net.ports[2], { hairpin: true });
  send(net.world, net.ends[2], frame(A, B));
  expect(received(net)).toEqual(["end2"]);
  net.world.done();
});

test("frames for the bridge's address go up only; a promiscuous bridge also sees what passes", () => {
  const net = bridgeWith(2);
  send(net.world, net.ends[0], frame(formatMac(net.br.addrHi, net.br.addrLo), A));
  expect(received(net)).toEqual(["br0"]);
  send(net.world, net.ends[1], frame(A, B));
  expect(received(net)).toEqual(["end0"]);
  net.br.promiscuity++;
  send(net.world, net.ends[1], frame(A, B));
  expect(received(net)).toEqual(["br0", "end0"]);
  net.world.done();
});

test("a port that does not flood gets no unknown unicast but broadcasts; isolated ports do not talk", () => {
  const net = bridgeWith(3);
  linkSetBrport(net.ports[1], { flood: false });
  send(net.world, net.ends[0], frame(B, A));
  expect(received(net)).toEqual(["end2"]);
  send(net.world, net.ends[0], frame(ALL, A));
  expect(received(net)).toEqual(["br0", "end2", "end1"]);
  linkSetBrport(net.ports[0], { isolated: true });
  linkSetBrport(net.ports[2], { isolated: true });
  send(net.world, net.ends[0], frame(ALL, A));
  expect(received(net)).toEqual(["br0", "end1"]);
  net.world.done();
});

test("pause frames and LLDP stay on their link, STP frames pass a bridge without STP", () => {
  const net = bridgeWith(2);
  send(net.world, net.ends[0], frame("01:80:c2:00:00:01", A));
  send(net.world, net.ends[0], frame("01:80:c2:00:00:0e", A));
  expect(received(net)).toEqual([]);
  send(net.world, net.ends[0], frame("01:80:c2:00:00:00", A));
  expect(received(net)).toEqual(["br0", "end1"]);
  net.world.done();
});

test("what the machine sends goes to the learnt port or to all", () => {
  const net = bridgeWith(3);
  send(net.world, net.br, frame(A, B));
  expect(received(net)).toEqual(["end2", "end1", "end0"]);
  send(net.world, net.ends[0], frame(ALL, A));
  net.recorder.clear();
  send(net.world, net.br, frame(A, B));
  expect(received(net)).toEqual(["end0"]);
  net.world.done();
});

test("a frame that is longer than the outgoing port's MTU is lost without a trace", () => {
  const net = bridgeWith(2);
  linkSetMtu(net.ports[1], 1000);
  linkSetMtu(net.ends[1], 1500);
  send(net.world, net.ends[0], frame(B, A, "00".repeat(1004)));
  expect(received(net)).toEqual(["end1"]);
  send(net.world, net.ends[0], frame(B, A, "00".repeat(1005)));
  expect(received(net)).toEqual([]);
  net.world.done();
});

test("the bridge has the lowest address of its ports until one is set", () => {
  const net = bridgeWith(2);
  linkSetAddress(net.ports[0], 0x0250, 1);
  linkSetAddress(net.ports[1], 0x0240, 7);
  expect(formatMac(net.br.addrHi, net.br.addrLo)).toBe("02:40:00:00:00:07");
  linkSetMaster(net.ports[1], null);
  expect(formatMac(net.br.addrHi, net.br.addrLo)).toBe("02:50:00:00:00:01");
  linkSetAddress(net.br, 0x0242, 9);
  linkSetMaster(net.ports[1], net.br);
  expect(formatMac(net.br.addrHi, net.br.addrLo)).toBe("02:42:00:00:00:09");
  net.world.done();
});

test("the bridge has the smallest MTU of its ports until one is set", () => {
  const net = bridgeWith(2);
  linkSetMtu(net.ports[0], 1450);
  expect(net.br.mtu).toBe(1450);
  linkSetMtu(net.ports[1], 1400);
  expect(net.br.mtu).toBe(1400);
  linkDel(net.ports[1]);
  expect(net.br.mtu).toBe(1450);
  linkSetMtu(net.br, 9000);
  linkSetMtu(net.ports[0], 1300);
  expect(net.br.mtu).toBe(9000);
  net.world.done();
});

test("carrier and state follow the ports; what was learnt behind a lost port is forgotten", () => {
  const net = bridgeWith(2);
  expect(operStateOf(net.br)).toBe("UP");
  send(net.world, net.ends[0], frame(ALL, A));
  linkSetDown(net.ends[0]);
  expect(operStateOf(net.ports[0])).toBe("LOWERLAYERDOWN");
  expect(operStateOf(net.br)).toBe("UP");
  const learnt = fdbDump(net.ns, { br: net.br }).filter((entry) => entry.state === "");
  expect(learnt).toEqual([]);
  linkSetDown(net.ports[1]);
  expect(operStateOf(net.br)).toBe("DOWN");
  linkSetUp(net.ends[0]);
  expect(operStateOf(net.br)).toBe("UP");
  net.world.done();
});

test("a port that moves to another namespace or is deleted leaves the bridge", () => {
  const net = bridgeWith(3);
  linkSetNetns(net.ports[0], net.ns.kernel.createNs("elsewhere", ""));
  linkDel(net.ends[1]);
  expect(bridgeOf(net.br)!.ports.map((port) => port.dev.name)).toEqual(["port2"]);
  expect(net.ports[0].promiscuity).toBe(0);
  linkSetMaster(linkAdd(net.ns, { kind: "dummy", name: "d0" }), net.br);
  expect(bridgeOf(net.br)!.ports.map((port) => port.portNo)).toEqual([1, 3]);
  linkDel(net.br);
  expect(net.ports[2].bridgePort).toBe(null);
  net.world.done();
});

test("static entries neither age nor are they overridden by a port that goes down and comes back", () => {
  const net = bridgeWith(2);
  fdbAdd(net.ports[0], { macHi: 0x0200, macLo: 0x0a, master: true, state: "static" });
  net.world.run(1000 * SEC);
  linkSetDown(net.ports[0]);
  linkSetUp(net.ports[0]);
  send(net.world, net.ends[1], frame(A, B));
  expect(received(net)).toEqual(["end0"]);
  net.world.done();
});

test("refused: a bridge in a bridge, loopback, a second master's port, unknown kinds of master", () => {
  const net = bridgeWith(1);
  const other = linkAdd(net.ns, { kind: "bridge", name: "br1" });
  expect(() => linkSetMaster(other, net.br)).toThrow("Too many levels");
  expect(() => linkSetMaster(net.ns.device("lo")!, net.br)).toThrow("Invalid argument");
  expect(() => linkSetMaster(other, net.ports[0])).toThrow("Operation not supported");
  expect(() => linkSetNetns(net.br, net.ns.kernel.createNs("x", ""))).toThrow("netns is immutable");
  expect(() => linkSetBridge(net.ports[0], { ageingSec: 1 })).toThrow("Operation not supported");
  linkSetMaster(net.ports[0], other);
  expect(bridgeOf(net.br)!.ports).toEqual([]);
  net.world.done();
});

test("with an ageing time of 0 nothing is learnt", () => {
  const net = bridgeWith(3);
  linkSetBridge(net.br, { ageingSec: 0 });
  send(net.world, net.ends[0], frame(ALL, A));
  net.recorder.clear();
  send(net.world, net.ends[1], frame(A, B));
  expect(received(net)).toEqual(["end2", "end0"]);
  net.world.done();
});

/**
 * What `ip` and `bridge` print of an overlay namespace and of a host, against the words of a real node, built through the
 * door to the kernel as Docker builds them.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Machine } from "../../src/host/machine.ts";
import type { Process } from "../../src/host/process.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { addressAdd } from "../../src/net/ctl/address.ts";
import { fdbAdd, fdbReplace } from "../../src/net/ctl/fdb.ts";
import {
  linkAdd,
  linkSetAddress,
  linkSetMaster,
  linkSetMtu,
  linkSetName,
  linkSetNetns,
  linkSetUp,
} from "../../src/net/ctl/link.ts";
import { linkSetBridge } from "../../src/net/ctl/link-bridge.ts";
import { nicCreate, nicPlug } from "../../src/net/drivers/nic.ts";
import { bridge as bridgeTool } from "../../src/tools/bridge.ts";
import { ipAddr } from "../../src/tools/ip/ip-addr.ts";
import { ipLink } from "../../src/tools/ip/ip-link.ts";
import type { IpOptions } from "../../src/tools/ip/ip-options.ts";
import type { ToolContext } from "../../src/tools/tool.ts";
import { parseIp4, parseMac } from "../../src/wire/address.ts";
import { World } from "./util.ts";

const PLAIN: IpOptions = {
  details: false,
  stats: false,
  brief: false,
  oneline: false,
  json: false,
  family: 0,
};
const DETAILS: IpOptions = { ...PLAIN, details: true };

/** Golden text, without IPv6 and with the collector's running timer masked. */
function golden(name: string): string {
  const text = readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8");
  return masked(text)
    .replace(/^33:33:.*\n/gm, "")
    .replace(/^ {4}inet6 .*\n {7}valid_lft.*\n/gm, "");
}

function masked(text: string): string {
  return text.replace(/gc_timer +[0-9.]+/g, "gc_timer T").replace(/"gc_timer":[0-9.]+/g, '"gc_timer":T');
}

function mac(text: string): { hi: number; lo: number } {
  return parseMac(text)!;
}

function ip(text: string): number {
  return parseIp4(text)!;
}

interface Overlay {
  readonly world: World;
  readonly machine: Machine;
  readonly host: NetNs;
  readonly ovl: NetNs;
}

function context(machine: Machine, ns: NetNs): ToolContext {
  const process = null as unknown as Process;
  return { machine, ns, process, stdin: "", files: new Map(), print: () => {}, exec: null as never };
}

/** The ingress network's namespace of a node with one task, as Docker's network drivers make it. */
function overlay(): Overlay {
  const world = new World();
  const kernel = world.kernel("manager");
  const machine = new Machine("manager", kernel);
  const host = kernel.initNs;
  // The host's cards and bridges take indexes 2 to 4.
  for (const name of ["eth0", "docker0", "b4"]) linkAdd(host, { kind: "dummy", name });
  const ovl = kernel.createNs("ovl-ingress", "");
  linkSetUp(ovl.device("lo")!);
  const br = linkAdd(ovl, { kind: "bridge", name: "br0", txQueueLen: 0 });
  linkSetBridge(br, { defaultPvid: 0 });
  addressAdd(br, { local: ip("10.0.0.1"), prefixLen: 24, broadcast: ip("10.0.0.255") });
  linkSetUp(br);
  const vxlan = linkAdd(host, {
    kind: "vxlan",
    name: "vx-001000-abcde",
    vni: 4096,
    dstPort: 4789,
    proxy: true,
    l2miss: true,
    l3miss: true,
    mtu: 1450,
    txQueueLen: 0,
    address: mac("9a:d4:dc:bd:da:6b"),
  });
  linkSetNetns(vxlan, ovl);
  linkSetName(vxlan, "vxlan0");
  linkSetMaster(vxlan, br);
  linkSetUp(vxlan);
  addPort(host, ovl, "veth0", "d2:f7:84:79:b8:d3", "ingress_sbox");
  for (let i = 0; i < 3; i++) linkAdd(host, { kind: "veth", name: `x${i}`, peer: `y${i}` });
  addPort(host, ovl, "veth1", "d6:b6:00:6a:a9:6c", "ctr-web.2");
  return { world, machine, host, ovl };
}

function addPort(host: NetNs, ovl: NetNs, name: string, address: string, sandbox: string): void {
  const dev = linkAdd(host, {
    kind: "veth",
    name: "vethaaaaaaa",
    peer: "vethbbbbbbb",
    mtu: 1450,
    txQueueLen: 0,
  });
  const peer = dev.link!;
  const { hi, lo } = mac(address);
  linkSetAddress(dev, hi, lo);
  linkSetMtu(peer, 1450);
  linkSetNetns(dev, ovl);
  linkSetName(dev, name);
  linkSetMaster(dev, ovl.device("br0")!);
  linkSetUp(dev);
  const sbox = host.kernel.createNs(sandbox, "");
  linkSetNetns(peer, sbox);
  linkSetName(peer, "eth0");
  linkSetUp(peer);
}

test("ip -d addr of an overlay namespace", () => {
  const { machine, ovl } = overlay();
  const { stdout } = ipAddr([], DETAILS, context(machine, ovl));
  expect(masked(stdout)).toBe(golden("ovl-ingress.ip-d-addr.txt"));
});

test("ip -j -d addr and link of an overlay namespace", () => {
  const { machine, ovl } = overlay();
  const options = { ...DETAILS, json: true };
  const addr = ipAddr(["show"], options, context(machine, ovl)).stdout;
  expect(masked(addr)).toBe(golden("ovl-ingress.ip-j-d-addr.txt"));
  const link = ipLink(["show"], options, context(machine, ovl)).stdout;
  expect(masked(link)).toBe(golden("ovl-ingress.ip-j-d-link.txt"));
});

function bridge(argv: readonly string[], ctx: ToolContext): string {
  const args = bridgeTool.parse(argv, ctx);
  return bridgeTool.render(bridgeTool.run(args, ctx) as never, args, ctx).stdout;
}

/** Remote tasks as gossip brings them, and the learnt addresses behind the ports. */
function populate({ ovl }: Overlay): void {
  const vxlan = ovl.device("vxlan0")!;
  const remote: [string, string][] = [
    ["02:42:0a:00:00:03", "192.168.200.11"],
    ["02:42:0a:00:00:04", "192.168.200.12"],
    ["02:42:0a:00:00:06", "192.168.200.11"],
  ];
  for (const [address, dst] of remote)
    fdbReplace(vxlan, { macHi: mac(address).hi, macLo: mac(address).lo, dst: ip(dst) });
  const learnt: [string, string][] = [
    ["veth0", "02:42:0a:00:00:02"],
    ["vxlan0", "02:42:0a:00:00:06"],
    ["vxlan0", "02:42:0a:00:00:03"],
    ["vxlan0", "02:42:0a:00:00:04"],
    ["veth1", "02:42:0a:00:00:07"],
  ];
  for (const [dev, address] of learnt)
    fdbAdd(ovl.device(dev)!, {
      macHi: mac(address).hi,
      macLo: mac(address).lo,
      master: true,
      state: "dynamic",
    });
}

test("bridge -d fdb of an overlay namespace: the bridge newest first, vxlan in the order of its buckets", () => {
  const net = overlay();
  populate(net);
  expect(bridge(["-d", "fdb"], context(net.machine, net.ovl))).toBe(golden("ovl-ingress.bridge-d-fdb.txt"));
});

test("bridge -j fdb of an overlay namespace", () => {
  const net = overlay();
  populate(net);
  const real: { mac: string }[] = JSON.parse(golden("ovl-ingress.bridge-j-fdb.txt"));
  const shown = JSON.parse(bridge(["-j", "fdb"], context(net.machine, net.ovl)));
  expect(shown).toEqual(real.filter((entry) => !entry.mac.startsWith("33:33")));
});

test("bridge fdb of one device leaves its name out", () => {
  const net = overlay();
  populate(net);
  const text = bridge(["fdb", "show", "dev", "vxlan0"], context(net.machine, net.ovl));
  expect(text.split("\n")[0]).toBe("02:42:0a:00:00:04 master br0 ");
  expect(text).toContain("02:42:0a:00:00:03 dst 192.168.200.11 link-netnsid 0 self permanent\n");
});

/** docker0, docker_gwbridge and its ports on a node. */
function host(): { machine: Machine; ns: NetNs } {
  const world = new World();
  const kernel = world.kernel("manager");
  const ns = kernel.initNs;
  linkSetUp(ns.device("lo")!);
  const card = mac("52:54:00:c8:00:0a");
  const nic = nicCreate(ns, "eth0", card.hi, card.lo, { parentBus: "platform", parentDev: "uml-vector.0" });
  nicPlug(nic, { transmit: (skb) => skb.consume() });
  linkSetUp(nic);
  addressAdd(nic, { local: ip("192.168.200.10"), prefixLen: 24, broadcast: ip("192.168.200.255") });
  addBridge(ns, "docker0", 3, "02:42:fc:80:43:9c", "172.17.0.1");
  addBridge(ns, "docker_gwbridge", 8, "02:42:79:44:57:41", "172.18.0.1");
  const sandboxes = ["ovl", "sbox", "lb", "ovl2", "ctr"].map((name) => kernel.createNs(name, ""));
  for (const sandbox of sandboxes) ns.netnsId(sandbox);
  addVeth(ns, "vethd5c1763", 9, "4a:65:a1:9e:a1:5c", sandboxes[1]);
  addVeth(ns, "veth0a96470", 16, "12:9a:ad:b5:e7:1a", sandboxes[4]);
  const gw = ns.device("docker_gwbridge")!;
  for (const name of ["vethd5c1763", "veth0a96470"]) linkSetMaster(ns.device(name)!, gw);
  return { machine: new Machine("manager", kernel), ns };
}

function addBridge(ns: NetNs, name: string, ifindex: number, address: string, local: string): void {
  const dev = linkAdd(ns, { kind: "bridge", name, ifindex, address: mac(address), txQueueLen: 0 });
  addressAdd(dev, { local: ip(local), prefixLen: 16, broadcast: ip(local) | 0xffff });
  linkSetUp(dev);
}

/** The end in the sandbox has the lower index, as the kernel registers the peer first. */
function addVeth(ns: NetNs, name: string, peerIndex: number, address: string, sandbox: NetNs): void {
  for (let i = 1; i < peerIndex; i++)
    if (ns.deviceByIndex(i) === undefined) linkAdd(ns, { kind: "dummy", name: `fill${i}` });
  const dev = linkAdd(ns, { kind: "veth", name, peer: "tmp", address: mac(address), txQueueLen: 0 });
  const peer = dev.link!;
  linkSetNetns(peer, sandbox);
  linkSetUp(peer);
  linkSetUp(dev);
}

function withoutFillers(text: string): string {
  return text.replace(/^.*: fill.*\n(?: {4}.*\n)*/gm, "").replace(/^.* dev fill.*\n/gm, "");
}

test("ip -d addr of a host with Docker's bridges", () => {
  const { machine, ns } = host();
  const { stdout } = ipAddr(["show"], DETAILS, context(machine, ns));
  expect(withoutFillers(masked(stdout))).toBe(golden("host.ip-d-addr.txt"));
});

test("bridge -d fdb of a host: addresses of bridges and ports with the VLAN that ports get", () => {
  const { machine, ns } = host();
  const text = withoutFillers(bridge(["-d", "fdb"], context(machine, ns)));
  const real = golden("host.bridge-d-fdb.txt").replace(/^02:42:ac.*\n/gm, "");
  expect(text).toBe(real);
});

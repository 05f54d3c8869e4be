/** Recording devices: order, directions, windows, promiscuity, comments, and what tcpdump prints of them. */
import { expect, test } from "vitest";
import { traceText } from "../../src/capture/comment.ts";
import { compileFilter } from "../../src/capture/filter.ts";
import { interfaceLabel, mergePcapng } from "../../src/capture/merge.ts";
import { readPcap } from "../../src/capture/pcap.ts";
import { readPcapng } from "../../src/capture/pcapng.ts";
import { Recorder } from "../../src/capture/recorder.ts";
import { Machine } from "../../src/host/machine.ts";
import { devQueueXmit, ETH_P_ARP, ethTypeTrans, netifReceiveSkb } from "../../src/net/core/dev.ts";
import { DROP } from "../../src/net/core/drop-reason.ts";
import { Kernel } from "../../src/net/core/kernel.ts";
import { type DeviceOps, IFF_BROADCAST, type NetDevice } from "../../src/net/core/net-device.ts";
import { SkbPool } from "../../src/net/core/skb.ts";
import {
  TRACE_DROP,
  TRACE_FORWARD,
  TRACE_POLICY,
  TRACE_RULE,
  TRACE_VXLAN_ENCAP,
} from "../../src/net/core/trace.ts";
import { Sim } from "../../src/sim/sim.ts";
import { EPOCH_SECONDS } from "../../src/sim/wall-clock.ts";
import { runTool } from "../../src/tools/run-tool.ts";
import { tcpdump } from "../../src/tools/tcpdump.ts";
import type { Tool, ToolContext, ToolOutput } from "../../src/tools/tool.ts";
import { Prng } from "../../src/util/prng.ts";
import { arpWrite } from "../../src/wire/arp.ts";
import { setEthDst, setEthSrc, setEthType } from "../../src/wire/ethernet.ts";

const SINK: DeviceOps = {
  kind: "dummy",
  xmit: (skb) => {
    if (skb.trace !== null) skb.trace.add(TRACE_FORWARD, 63, 0, null);
    skb.consume();
  },
};

interface Bench {
  readonly sim: Sim;
  readonly pool: SkbPool;
  readonly machine: Machine;
  readonly a: NetDevice;
  readonly b: NetDevice;
}

function bench(): Bench {
  const sim = new Sim();
  const pool = new SkbPool();
  const kernel = new Kernel("n1", sim, pool, new Prng(1, "test"), []);
  const make = (name: string, lo: number): NetDevice => {
    const dev = kernel.initNs.addDevice(name, SINK, IFF_BROADCAST, 1500);
    dev.addrHi = 0x0242;
    dev.addrLo = lo;
    kernel.initNs.setUp(dev);
    return dev;
  };
  return { sim, pool, machine: new Machine("n1", kernel), a: make("eth0", 1), b: make("eth1", 2) };
}

/** An ARP request from `lo` for 10.0.0.`target`, sent or received. */
function arp({ pool }: Bench, dev: NetDevice, target: number, outgoing: boolean): void {
  const skb = pool.alloc(42);
  const off = skb.put(42);
  setEthDst(skb.view, off, 0xffff, -1);
  setEthSrc(skb.view, off, 0x0242, outgoing ? dev.addrLo : 9);
  setEthType(skb.view, off, ETH_P_ARP);
  arpWrite(skb.view, off + 14, 1, 0x0242, 9, 0x0a000009, 0, 0, 0x0a000000 | target);
  skb.dev = dev;
  if (outgoing) {
    devQueueXmit(skb);
    return;
  }
  ethTypeTrans(skb, dev);
  netifReceiveSkb(skb);
}

test("one recorder serves many devices, in the order of time", () => {
  const lab = bench();
  const recorder = new Recorder(lab.sim);
  expect([recorder.attach(lab.a, "n1", "host"), recorder.attach(lab.b, "n1", "host")]).toEqual([0, 1]);
  arp(lab, lab.a, 1, true);
  lab.sim.runUntil(1_500_000_123);
  arp(lab, lab.b, 2, false);
  arp(lab, lab.a, 3, false);
  recorder.stop();
  arp(lab, lab.a, 4, true);
  expect(recorder.frameCount).toBe(3);
  const first = readPcap(recorder.pcap(0), "a").frames;
  expect(first.map(({ sec, nsec, bytes }) => [sec - EPOCH_SECONDS, nsec, bytes.length, bytes[41]])).toEqual([
    [0, 0, 42, 1],
    [1, 500_000_123, 42, 3],
  ]);
  const merged = readPcapng(mergePcapng([recorder]), "all");
  expect(merged.interfaces.map(({ name }) => name)).toEqual(["n1/host/eth0", "n1/host/eth1"]);
  expect(merged.frames.map(({ interfaceId, bytes }) => [interfaceId, bytes[41]])).toEqual([
    [0, 1],
    [1, 2],
    [0, 3],
  ]);
  expect(interfaceLabel(recorder.interfaces[1])).toBe("n1/host/eth1");
  expect(lab.a.tap).toBeNull();
  expect(lab.pool.outstanding).toBe(0);
});

test("several recorders on one device see the same, and go one by one", () => {
  const lab = bench();
  const recorders = [0, 1, 2].map(() => new Recorder(lab.sim));
  for (const recorder of recorders) recorder.attach(lab.a, "n1", "host");
  for (const recorder of recorders) {
    arp(lab, lab.a, 1, true);
    recorder.stop();
  }
  expect(recorders.map((recorder) => recorder.frameCount)).toEqual([1, 2, 3]);
  expect(lab.a.tap).toBeNull();
});

test("merging two recorders keeps time order and, at equal times, their order", () => {
  const lab = bench();
  const one = new Recorder(lab.sim);
  const two = new Recorder(lab.sim);
  one.attach(lab.a, "n1", "host");
  two.attach(lab.b, "n1", "host");
  arp(lab, lab.b, 1, true);
  arp(lab, lab.a, 2, true);
  lab.sim.runUntil(5);
  arp(lab, lab.b, 3, true);
  arp(lab, lab.a, 4, true);
  const frames = readPcapng(mergePcapng([one, two]), "all").frames;
  expect(frames.map(({ bytes }) => bytes[41])).toEqual([2, 1, 4, 3]);
});

test("a filter decides before anything is stored", () => {
  const lab = bench();
  const recorder = new Recorder(lab.sim, { filter: compileFilter("dst host 10.0.0.2") });
  recorder.attach(lab.a, "n1", "host");
  for (const target of [1, 2, 3]) arp(lab, lab.a, target, true);
  expect(recorder.frameCount).toBe(1);
  expect(recorder.frameBytes(0)[41]).toBe(2);
});

test("the buffers grow without losing a byte", () => {
  const lab = bench();
  const recorder = new Recorder(lab.sim);
  recorder.attach(lab.a, "n1", "host");
  for (let i = 0; i < 2000; i++) arp(lab, lab.a, i & 255, true);
  expect(recorder.frameCount).toBe(2000);
  for (let i = 0; i < 2000; i++) expect(recorder.frameBytes(i)[41]).toBe(i & 255);
});

test("a promiscuous window counts promiscuity up and down, and the kernel says so", () => {
  const lab = bench();
  const recorders = [0, 1].map(() => new Recorder(lab.sim, { promiscuous: true }));
  for (const recorder of recorders) recorder.attach(lab.a, "n1", "host");
  expect(lab.a.promiscuity).toBe(2);
  for (const recorder of recorders) recorder.stop();
  expect(lab.a.promiscuity).toBe(0);
  expect(lab.machine.kernel.log.map(({ text }) => text)).toEqual([
    "device eth0 entered promiscuous mode",
    "device eth0 left promiscuous mode",
  ]);
});

test("traces are made only while somebody wants them, and become comments", () => {
  const lab = bench();
  const recorder = new Recorder(lab.sim, { traces: true });
  recorder.attach(lab.a, "n1", "host");
  arp(lab, lab.a, 1, true);
  arp(lab, lab.a, 2, false);
  recorder.stop();
  const frames = readPcapng(mergePcapng([recorder]), "all").frames;
  expect(frames.map(({ comment }) => comment)).toEqual(["forward, ttl 63", "drop UNHANDLED_PROTO"]);
  expect(lab.pool.alloc(1).trace).toBeNull();
});

test("the words of a trace", () => {
  const table = { name: "nat" };
  const rule = (name: string, text: string): unknown => ({ chain: { name, table }, text });
  const record = (kind: number, a: number, b: number, ref: unknown) => ({ kind, a, b, ref });
  const jump = rule("PREROUTING", "-m addrtype --dst-type LOCAL -j DOCKER-INGRESS");
  const dnat = rule("DOCKER-INGRESS", "-p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:8080");
  const mark = rule("INPUT", "-d 10.0.0.5/32 -j MARK --set-xmark 0x100/0xffffffff");
  expect(
    traceText([
      record(TRACE_RULE, 1, 0, jump),
      record(TRACE_RULE, 1, 0, dnat),
      record(TRACE_RULE, 2, 0, mark),
      record(TRACE_POLICY, 0, 0, { name: "FORWARD", table: { name: "filter" } }),
      record(TRACE_VXLAN_ENCAP, 0x0a000007, 4096, null),
      record(TRACE_DROP, DROP.TTL_EXPIRED, 0, null),
    ]).split("\n"),
  ).toEqual([
    "nat PREROUTING -> DOCKER-INGRESS #1 DNAT to 172.18.0.2:8080",
    "nat INPUT #2 MARK set 0x100",
    "filter FORWARD policy DROP",
    "vxlan encap vni 4096 to 10.0.0.7",
    "drop TTL_EXPIRED",
  ]);
});

/** Runs `tcpdump ARGV` on the bench while `meanwhile` happens; kills it when it has not ended. */
function dump(
  lab: Bench,
  argv: string,
  meanwhile: () => void,
  files = new Map<string, string>(),
): ToolOutput {
  let output: ToolOutput | null = null;
  const printed = { stdout: "", stderr: "" };
  const ns = lab.machine.hostNs;
  const process = lab.machine.spawn("tcpdump", ns, function* (self) {
    const own = {
      print: (text: string) => (printed.stdout += text),
      printError: (text: string) => (printed.stderr += text),
    };
    const place = { machine: lab.machine, ns, process: self, stdin: "", files };
    output = yield* runTool(tcpdump as Tool, argv.split(" "), { ...place, ...own } as unknown as ToolContext);
    return output.status;
  });
  while (lab.sim.step());
  meanwhile();
  while (lab.sim.step());
  process.kill(2);
  expect(output).not.toBeNull();
  const { stdout, stderr, status } = output! as ToolOutput;
  return { stdout: printed.stdout + stdout, stderr: printed.stderr + stderr, status };
}

const HEAD =
  "tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n" +
  "listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n";
const LINE = (n: number): string =>
  `04:00:00.000000 ARP, Request who-has 10.0.0.${n} tell 10.0.0.9, length 28\n`;

test("tcpdump -c ends after that many frames", () => {
  const lab = bench();
  const out = dump(lab, "-nn -i eth0 -c 2 arp", () => {
    for (const target of [1, 2]) arp(lab, lab.a, target, true);
  });
  expect(out).toEqual({
    stdout: LINE(1) + LINE(2),
    stderr: `${HEAD}2 packets captured\n2 packets received by filter\n0 packets dropped by kernel\n`,
    status: 0,
  });
  expect(lab.a.tap).toBeNull();
});

test("tcpdump that is interrupted prints what it has and a line break", () => {
  const lab = bench();
  const out = dump(lab, "-nni eth0", () => arp(lab, lab.a, 1, true));
  expect(out.stdout).toBe(`${LINE(1)}\n`);
  expect(out.stderr).toBe(
    `${HEAD}1 packet captured\n1 packet received by filter\n0 packets dropped by kernel\n`,
  );
});

test("tcpdump -i any names the device and the direction", () => {
  const lab = bench();
  const both = (): void => {
    arp(lab, lab.a, 1, true);
    arp(lab, lab.b, 2, false);
  };
  expect(dump(lab, "-nn -t -i any -c 2", both).stdout).toBe(
    "eth0  Out ARP, Request who-has 10.0.0.1 tell 10.0.0.9, length 28\n" +
      "eth1  B   ARP, Request who-has 10.0.0.2 tell 10.0.0.9, length 28\n",
  );
  expect(dump(lab, "-nnte -i any -c 2", both).stdout).toBe(
    "eth0  Out ifindex 1 02:42:00:00:00:01 ethertype ARP (0x0806), length 48: Request who-has 10.0.0.1 tell 10.0.0.9, length 28\n" +
      "eth1  B   ifindex 2 02:42:00:00:00:09 ethertype ARP (0x0806), length 48: Request who-has 10.0.0.2 tell 10.0.0.9, length 28\n",
  );
});

test("tcpdump -w writes a file that -r reads", () => {
  const lab = bench();
  const files = new Map<string, string>();
  const written = dump(
    lab,
    "-i eth0 -c 2 -w x.pcap",
    () => {
      arp(lab, lab.a, 1, true);
      arp(lab, lab.a, 2, true);
    },
    files,
  );
  expect(written.stdout).toBe("");
  const read = dump(lab, "-nn -r x.pcap dst host 10.0.0.2", () => undefined, files);
  expect(read.stdout).toBe(LINE(2));
  expect(read.stderr).toBe("reading from file x.pcap, link-type EN10MB (Ethernet), snapshot length 262144\n");
});

test("tcpdump refuses with the real words", () => {
  const refusal = (argv: string): string => dump(bench(), argv, () => undefined).stderr;
  expect(refusal("-i eth9")).toBe("tcpdump: eth9: No such device exists\n(No such device exists)\n");
  expect(refusal("-i eth0 host foo")).toBe("tcpdump: unknown host 'foo'\n");
  expect(refusal("-c 0")).toBe("tcpdump: invalid packet count 0\n");
  expect(refusal("-r none")).toBe("tcpdump: none: No such file or directory\n");
});

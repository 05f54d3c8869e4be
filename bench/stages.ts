/**
 * Single stages on the state of the running lab: the real rule sets, tables and connections of its namespaces. Each call
 * leaves everything as it was, so that the next one finds the same.
 */
import { brFdbFind } from "../src/net/bridge/br-fdb-local.ts";
import { bridgeOf } from "../src/net/bridge/br-private.ts";
import { ETH_HLEN, ethTypeTrans } from "../src/net/core/dev.ts";
import { NF_INET_FORWARD, type NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING } from "../src/net/core/hooks.ts";
import type { NetDevice } from "../src/net/core/net-device.ts";
import type { NetNs } from "../src/net/core/net-ns.ts";
import { IP_CT_NEW, type Skb } from "../src/net/core/skb.ts";
import { nicOf, nicReceive } from "../src/net/drivers/nic.ts";
import { RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL } from "../src/net/ipv4/fib.ts";
import { ipv4Of } from "../src/net/ipv4/ipv4-net.ts";
import { neighLookup } from "../src/net/ipv4/neighbour.ts";
import { ipRouteInput } from "../src/net/ipv4/route.ts";
import { udpOf } from "../src/net/ipv4/udp-sock.ts";
import { ipvsOf } from "../src/net/ipvs/ip-vs.ts";
import { conntrackOf, ctOf } from "../src/net/netfilter/conntrack/conntrack.ts";
import { nfConntrackIn } from "../src/net/netfilter/conntrack/conntrack-core.ts";
import { iptDoTable } from "../src/net/netfilter/ip-tables.ts";
import { nfNatPacket } from "../src/net/netfilter/nat/nat-packet.ts";
import { NF_NAT_MANIP_DST } from "../src/net/netfilter/nat/nat-range.ts";
import { type TableName, xtOf } from "../src/net/netfilter/x-tables.ts";
import { type EventSink, MS } from "../src/sim/sim.ts";
import { inetChecksum } from "../src/wire/checksum.ts";
import { ipDaddr, ipProtocol, ipSaddr, ipTotLen } from "../src/wire/ipv4.ts";
import type { IngressLab } from "./ingress-lab.ts";
import { cpuNs, median, perCall, type Row } from "./measure.ts";

const PORT = 10_000;
const LEG_PACKETS = 20_000;
const LEG_ROUNDS = 5;

/** Where results go, so that no call can be left out. */
let blackHole = 0;

/** The packets that the stages work on. */
const packets: Skb[] = [];

/** A packet of the first flow as `dev` would hand it to IP. */
function packetAt(lab: IngressLab, dev: NetDevice, frame: Uint8Array): Skb {
  const skb = lab.lab.pool.from(frame);
  ethTypeTrans(skb, dev);
  skb.netOff = skb.data;
  skb.transOff = skb.data + 20;
  packets.push(skb);
  return skb;
}

interface Stage {
  readonly name: string;
  readonly run: () => void;
  readonly note?: string;
}

function wireStages(lab: IngressLab, dev: NetDevice): Stage[] {
  const [small] = lab.frames(1, 60);
  const [large] = lab.frames(1, 1400);
  const skb = packetAt(lab, dev, small);
  const big = packetAt(lab, dev, large);
  const { pool } = lab.lab;
  const { view, data } = skb;
  return [
    {
      name: "read addresses, ports, protocol, length",
      run: () => {
        blackHole +=
          ipSaddr(view, data) ^ ipDaddr(view, data) ^ ipProtocol(view, data) ^ ipTotLen(view, data);
        blackHole += view.getUint16(data + 20) ^ view.getUint16(data + 22);
      },
    },
    {
      name: "checksum",
      note: "20 B",
      run: () => {
        blackHole += inetChecksum(view, data, 20);
      },
    },
    {
      name: "checksum",
      note: "1386 B",
      run: () => {
        blackHole += inetChecksum(big.view, big.data, 1386);
      },
    },
    { name: "skb from the pool and back", run: () => pool.alloc(60).consume() },
  ];
}

function routeStages(lab: IngressLab, dev: NetDevice): Stage[] {
  const skb = packetAt(lab, dev, lab.frames(1, 60)[0]);
  const { ns } = dev;
  const net = ipv4Of(ns);
  const daddr = ipDaddr(skb.view, skb.data);
  return [
    {
      name: "FIB lookup",
      note: "table local",
      run: () => {
        if (net.rules.index(RT_TABLE_LOCAL).lookup(daddr, 0, 0, RT_SCOPE_UNIVERSE) === null) blackHole++;
      },
    },
    {
      name: "route of a received packet",
      note: "known",
      run: () => {
        blackHole += ipRouteInput(ns, skb, dev);
      },
    },
    {
      name: "neighbour lookup",
      run: () => {
        if (neighLookup(ns, dev, ipSaddr(skb.view, skb.data)) === null) blackHole++;
      },
    },
  ];
}

/** Connection tracking and NAT of the manager's host namespace. */
function trackStages(lab: IngressLab, dev: NetDevice): Stage[] {
  const skb = packetAt(lab, dev, lab.frames(1, 60, PORT)[0]);
  const { ns } = dev;
  const ct = conntrackOf(ns);
  const restore = lab.frames(1, 60, PORT)[0].subarray(ETH_HLEN, ETH_HLEN + 28);
  return [
    {
      name: "conntrack, known connection",
      run: () => {
        skb.ct = null;
        skb.ctInfo = IP_CT_NEW;
        blackHole += nfConntrackIn(ct, skb, NF_INET_PRE_ROUTING);
      },
    },
    {
      name: "DNAT of a packet (and undo)",
      run: () => {
        if (nfNatPacket(skb, ctOf(skb)!, NF_NAT_MANIP_DST)) skb.bytes.set(restore, skb.data);
      },
    },
  ];
}

/** A table of real rules, walked by a packet of the flow. */
function tableStage(
  lab: IngressLab,
  ns: NetNs,
  table: TableName,
  hook: typeof NF_INET_FORWARD | typeof NF_INET_PRE_ROUTING | typeof NF_INET_LOCAL_IN,
  name: string,
): Stage[] {
  const found = xtOf(ns).find(table);
  const dev = ns.device("eth0");
  if (found === undefined || dev === undefined) return [];
  const skb = packetAt(lab, dev, lab.frames(1, 60, PORT)[0]);
  const rules = found.chains.reduce((sum, chain) => sum + chain.rules.length, 0);
  return [
    {
      name,
      note: `${rules} rules`,
      run: () => {
        blackHole += iptDoTable(ns, skb, hook, dev, dev, found);
      },
    },
  ];
}

function lookupStages(lab: IngressLab, sbox: NetNs): Stage[] {
  const [conn] = ipvsOf(sbox).conns.list();
  const { conns } = ipvsOf(sbox);
  const br = bridgeOf(lab.lab.machine("manager").netns("ovl-ingress").device("br0")!)!;
  const { addrHi, addrLo } = sbox.device("eth0")!;
  const udp = udpOf(lab.taskNs);
  return [
    {
      name: "IPVS connection lookup",
      note: `${conns.size} entries`,
      run: () => {
        if (conns.findIn(conn.protocol, conn.caddr, conn.cport, conn.vaddr, conn.vport) === null) blackHole++;
      },
    },
    {
      name: "bridge FDB lookup",
      note: `${br.fdb.size} entries`,
      run: () => {
        if (brFdbFind(br, addrHi, addrLo, 0) === null) blackHole++;
      },
    },
    {
      name: "UDP socket lookup",
      run: () => {
        if (udp.lookup(conn.caddr, conn.cport, conn.daddr, 9000, null) === null) blackHole++;
      },
    },
  ];
}

const NO_EVENT: EventSink = {
  onEvent: () => {
    blackHole++;
  },
};

function eventStage(lab: IngressLab): Stage {
  const { sim } = lab.lab;
  return {
    name: "event: queue and run",
    run: () => {
      sim.schedule(sim.now, NO_EVENT);
      sim.step();
    },
  };
}

/** CPU ns a packet of a part of the way. `inject` lets a frame in, `arrived` counts what came out so far. */
function leg(
  name: string,
  frames: readonly Uint8Array[],
  inject: (frame: Uint8Array) => void,
  arrived: () => number,
): Row {
  const results: number[] = [];
  for (let round = 0; round <= LEG_ROUNDS; round++) {
    const before = arrived();
    const start = cpuNs();
    for (let i = 0; i < LEG_PACKETS; i++) {
      inject(frames[i % frames.length]);
      if (i % 64 === 63) arrived();
    }
    if (round > 0) results.push((cpuNs() - start) / LEG_PACKETS);
    if (arrived() - before < LEG_PACKETS) throw new Error(`${name}: packets were lost`);
  }
  return { group: "leg", name, ns: median(results), note: "" };
}

/** Copies of the frames of that length that arrive at a device while `work` runs. */
function framesAt(dev: NetDevice, lenBytes: number, work: () => void): Uint8Array[] {
  const seen: Uint8Array[] = [];
  dev.tap = {
    frame: (_dev, skb, off, outgoing) => {
      if (!outgoing && skb.tail - off === lenBytes) seen.push(skb.bytes.slice(off, skb.tail));
    },
  };
  work();
  dev.tap = null;
  return seen;
}

/** Parts of the way, each alone: what the manager sends is caught at its card and is the worker's input. */
export function legRows(lab: IngressLab): Row[] {
  const { pool } = lab.lab;
  const manager = lab.lab.cardOn("lan", "manager")!;
  const worker = lab.lab.cardOn("lan", "worker")!;
  const port = lab.lab.machine("manager").netns("ovl-ingress").device("veth0")!;
  const frames = lab.frames(64, 60, PORT);
  const inner = framesAt(port, 60, () => lab.send(frames, 64));
  const wrapped = framesAt(worker, 110, () => lab.send(frames, 64));
  const nic = nicOf(manager)!;
  const cable = nic.port;
  let caught = 0;
  nic.port = {
    transmit: (skb) => {
      caught++;
      skb.consume();
    },
  };
  const receive = (dev: NetDevice) => (frame: Uint8Array) => nicReceive(dev, pool.from(frame));
  const rows = [
    leg("manager: card to card", frames, receive(manager), () => caught),
    leg("of that: overlay bridge, VXLAN, card", inner, receive(port), () => caught),
  ];
  nic.port = cable;
  rows.push(leg("worker: card to socket", wrapped, receive(worker), () => lab.drain()));
  lab.lab.wait(MS);
  return rows;
}

export function stageRows(lab: IngressLab): Row[] {
  lab.send(lab.frames(64, 60, PORT), 64);
  const dev = lab.lab.cardOn("lan", "manager")!;
  const sbox = lab.lab.machine("manager").netns("ingress_sbox");
  const stages: Stage[] = [
    ...wireStages(lab, dev),
    ...routeStages(lab, dev),
    ...trackStages(lab, dev),
    ...tableStage(lab, dev.ns, "filter", NF_INET_FORWARD, "iptables filter FORWARD, host"),
    ...tableStage(lab, dev.ns, "nat", NF_INET_PRE_ROUTING, "iptables nat PREROUTING, host"),
    ...tableStage(lab, sbox, "mangle", NF_INET_PRE_ROUTING, "iptables mangle, ingress_sbox"),
    ...lookupStages(lab, sbox),
    eventStage(lab),
  ];
  const loopNs = perCall(() => {
    blackHole++;
  });
  const rows = stages.map(({ name, run, note }) => ({
    group: "stage",
    name,
    ns: Math.max(0, perCall(run) - loopNs),
    note: note ?? "",
  }));
  for (const skb of packets.splice(0)) skb.consume();
  if (Number.isNaN(blackHole)) throw new Error("a stage gave no number");
  return [...rows, ...legRows(lab)];
}

/** What grows: rules in a chain, flows, memory. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ethTypeTrans } from "../src/net/core/dev.ts";
import { NF_INET_LOCAL_IN } from "../src/net/core/hooks.ts";
import { Conn } from "../src/net/netfilter/conntrack/conn.ts";
import { ConnTable } from "../src/net/netfilter/conntrack/conn-table.ts";
import { iptDoTable } from "../src/net/netfilter/ip-tables.ts";
import { xtOf } from "../src/net/netfilter/x-tables.ts";
import { IPPROTO_UDP } from "../src/wire/ipv4.ts";
import { IngressLab } from "./ingress-lab.ts";
import { perCall, perUnit, type Row } from "./measure.ts";

const CHAINS = [1, 10, 100, 1000, 10_000];
const FLOWS = [1000, 10_000, 50_000];
const TABLE_ENTRIES = [1000, 10_000, 100_000, 1_000_000];

/** A chain of rules of which none matches, in the client's INPUT. */
function chainRow(lab: IngressLab, rules: number): Row {
  const lines = Array.from(
    { length: rules },
    (_, i) => `-A INPUT -s 10.0.${i >> 8}.${i & 255}/32 -p udp -m udp --dport 7 -j DROP`,
  );
  lab.live
    .filesOf("client")
    .set("rules", ["*filter", ":INPUT ACCEPT [0:0]", ...lines, "COMMIT", ""].join("\n"));
  const { status, text } = lab.live.shell("client", "iptables-restore < rules");
  if (status !== 0) throw new Error(`iptables-restore: ${text}`);
  const { ns } = lab.card;
  const table = xtOf(ns).table("filter");
  const skb = lab.lab.pool.from(lab.frames(1, 60)[0]);
  ethTypeTrans(skb, lab.card);
  skb.netOff = skb.data;
  const ns1 = perCall(() => {
    if (iptDoTable(ns, skb, NF_INET_LOCAL_IN, lab.card, null, table) !== 1) throw new Error("a rule matched");
  });
  skb.consume();
  return { group: "rules", name: `chain of ${rules}`, ns: ns1, note: `${(ns1 / rules).toFixed(1)} ns/rule` };
}

let collect: (() => void) | null = null;

/** Bytes in use after a full collection. */
function usedBytes(): number {
  if (collect === null) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  // Twice: what the first collection finds unreachable may hold memory outside the heap.
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Known flows in turn, so that each packet needs entries that nobody touched for a whole round. */
function flowRow(flows: number): Row {
  const lab = new IngressLab();
  const frames = lab.frames(flows, 60, 10_000);
  lab.send(frames, 64);
  const before = usedBytes();
  lab.send(frames, flows);
  const bytes = (usedBytes() - before) / flows;
  const ns = perUnit(3, () => {
    lab.send(frames, Math.max(flows, 20_000));
    return Math.max(flows, 20_000);
  });
  return {
    group: "flows",
    name: `end to end, ${flows} flows in turn`,
    ns,
    note: `${bytes.toFixed(0)} B/flow`,
  };
}

/** Connection tracking alone, beyond what one client address has ports for. */
function tableRow(entries: number): Row {
  const before = usedBytes();
  const table = new ConnTable(12345);
  for (let i = 0; i < entries; i++) {
    const conn = new Conn(IPPROTO_UDP, i, 0x0a000001, 1024 + (i & 0x7fff), 53);
    conn.replSrc = 0x0a000002;
    conn.replDst = i;
    conn.replSport = 53;
    conn.replDport = conn.origSport;
    table.insert(conn, false);
  }
  const bytes = (usedBytes() - before) / entries;
  let at = 0;
  const ns = perUnit(3, () => {
    for (let i = 0; i < 200_000; i++) {
      at = (at + 7919) % entries;
      if (table.find(at, 0x0a000001, 1024 + (at & 0x7fff), 53, IPPROTO_UDP) === null) throw new Error("lost");
    }
    return 200_000;
  });
  return {
    group: "flows",
    name: `conntrack lookup, ${entries} entries`,
    ns,
    note: `${bytes.toFixed(0)} B/entry`,
  };
}

export function scaleRows(lab: IngressLab): Row[] {
  const chains = CHAINS.map((rules) => chainRow(lab, rules));
  return [...chains, ...FLOWS.map(flowRow), ...TABLE_ENTRIES.map(tableRow)];
}

/**
 * The arithmetic of the limit match: which packets of a stream ten rates let through, as counted on a 6.1 kernel with 100
 * ticks a second. Rates that do not divide the tick, bursts that a 32-bit number cuts short, days and hours. Two more rates
 * were left out for which a packet came within a tick of its turn.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { NF_INET_LOCAL_IN } from "../../src/net/core/hooks.ts";
import { iptChain } from "../../src/net/ctl/iptables.ts";
import { iptDoTable } from "../../src/net/netfilter/ip-tables.ts";
import { xtOf } from "../../src/net/netfilter/x-tables.ts";
import { MS } from "../../src/sim/sim.ts";
import { iptables, makeBox, ok, packet, udp } from "./lab.ts";

interface Recorded {
  /** When the packets came. */
  readonly timesMs: readonly number[];
  /** `RATE BURST`, a rule each. */
  readonly rules: readonly string[];
  /** Packets of each rule after each packet of the stream. */
  readonly counts: readonly (readonly number[])[];
}

const RECORDED = JSON.parse(
  readFileSync(new URL("./fixtures/limit-counts.json", import.meta.url), "utf8"),
) as Recorded;

test("every rate counts as on the real kernel, packet by packet", () => {
  const { ns, sim, pool } = makeBox();
  for (const rule of RECORDED.rules) {
    const [rate, burst] = rule.split(" ");
    ok(ns, `-A INPUT -p udp -m limit --limit ${rate} --limit-burst ${burst}`);
  }
  const seen = RECORDED.counts.map((_, i) => {
    sim.runUntil(RECORDED.timesMs[i] * MS);
    const skb = packet(pool, { proto: 17, l4: udp(1, 9) });
    iptDoTable(ns, skb, NF_INET_LOCAL_IN, null, null, xtOf(ns).table("filter"));
    skb.consume();
    return iptChain(ns, "filter", "INPUT").rules.map((rule) => rule.packets);
  });
  expect(seen).toEqual(RECORDED.counts);
});

test.each([
  "1/day",
  "1/hour --limit-burst 47",
])("a burst whose cost does not fit in 32 bits is refused: %s", (words) => {
  const { ns } = makeBox();
  expect(iptables(ns, `-A INPUT -m limit --limit ${words}`)).toMatchObject({
    status: 1,
    stderr: "iptables: Numerical result out of range.\n",
  });
});

/** The walk through a table against a plain interpreter of the rules as written. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Hook,
  NF_ACCEPT,
  NF_DROP,
  NF_INET_FORWARD,
  NF_INET_LOCAL_OUT,
} from "../../src/net/core/hooks.ts";
import type { DeviceOps, NetDevice } from "../../src/net/core/net-device.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import type { Skb } from "../../src/net/core/skb.ts";
import { PacketTrace, TRACE_JUMP, TRACE_POLICY, TRACE_RULE } from "../../src/net/core/trace.ts";
import { iptChains } from "../../src/net/ctl/iptables.ts";
import { iptDoTable } from "../../src/net/netfilter/ip-tables.ts";
import { type Rule, type TableName, xtOf } from "../../src/net/netfilter/x-tables.ts";
import { iptables, makeBox, ok, type PacketFields, packet, tcp, udp } from "./lab.ts";

const OPS: DeviceOps = { kind: "dummy", xmit: (skb) => skb.consume() };

function device(ns: NetNs, name: string): NetDevice {
  return ns.device(name) ?? ns.addDevice(name, OPS, 0, 1500);
}

function walk(
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
  table: TableName,
): number {
  const verdict = iptDoTable(ns, skb, hook, inDev, outDev, xtOf(ns).table(table));
  skb.consume();
  return verdict;
}

interface Tried {
  readonly fields: PacketFields;
  readonly inName: string;
  readonly outName: string;
}

/** What the words of a rule mean, read word by word. Only the words that {@link ruleWords} makes. */
function meant(words: readonly string[], tried: Tried): boolean {
  const { fields } = tried;
  const view = new DataView(fields.l4.buffer);
  let invert = false;
  for (let i = 0; i < words.length; i++) {
    const value = words[i + 1];
    let fits: boolean;
    if (words[i] === "!") {
      invert = true;
      continue;
    }
    if (words[i] === "-s") fits = inPrefix(fields.src!, value);
    else if (words[i] === "-d") fits = inPrefix(fields.dst!, value);
    else if (words[i] === "-i") fits = wildcard(value, tried.inName);
    else if (words[i] === "-o") fits = wildcard(value, tried.outName);
    else if (words[i] === "-p") fits = fields.proto === (value === "tcp" ? 6 : 17);
    else if (words[i] === "--dport") fits = inRange(view.getUint16(2), value);
    else if (words[i] === "--sport") fits = inRange(view.getUint16(0), value);
    else throw new Error(`word ${words[i]}`);
    if (fits === invert) return false;
    invert = false;
    i++;
  }
  return true;
}

const bits = (addr: string): string =>
  addr
    .split(".")
    .map((part) => Number(part).toString(2).padStart(8, "0"))
    .join("");

function inPrefix(addr: string, prefix: string): boolean {
  const [net, len] = prefix.split("/");
  return bits(addr).slice(0, Number(len)) === bits(net).slice(0, Number(len));
}

function wildcard(pattern: string, name: string): boolean {
  return pattern.endsWith("+") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}

function inRange(port: number, text: string): boolean {
  const [low, high] = text.split(":");
  return port >= Number(low) && port <= Number(high ?? low);
}

interface Written {
  readonly words: readonly string[];
  readonly jump: readonly string[];
}

/** Walks the rules as written; counts a hit in `hits` under `CHAIN number`, the policy under `FORWARD policy`. */
function interpret(
  chains: Record<string, Written[]>,
  policy: string,
  tried: Tried,
  hits: Map<string, number>,
): string {
  const hit = (key: string): void => void hits.set(key, (hits.get(key) ?? 0) + 1);
  const enter = (name: string): string => {
    for (const [i, rule] of chains[name].entries()) {
      if (!meant(rule.words, tried)) continue;
      hit(`${name} ${i + 1}`);
      const [how, where] = rule.jump;
      if (how === undefined) continue;
      if (where === "RETURN") return "RETURN";
      if (where === "ACCEPT" || where === "DROP") return where;
      const result = enter(where);
      if (result !== "RETURN" || how === "-g") return result;
    }
    return "RETURN";
  };
  const result = enter("FORWARD");
  if (result !== "RETURN") return result;
  hit("FORWARD policy");
  return policy;
}

const addrs = fc.constantFrom("10.0.0.1", "10.0.0.129", "10.1.0.1", "192.168.0.1", "255.1.2.3");
const ports = fc.constantFrom(1, 79, 80, 81, 443, 65535);
const not = fc.constantFrom([], [], ["!"]);
const option = (name: string, values: readonly string[]): fc.Arbitrary<string[]> =>
  fc
    .option(fc.tuple(not, fc.constantFrom(...values)))
    .map((found) => (found === null ? [] : [...found[0], name, found[1]]));

const portWords = fc.oneof(
  fc.constant<string[]>([]),
  fc
    .tuple(
      fc.constantFrom("tcp", "udp"),
      option("--sport", ["80", "1:80", "443"]),
      option("--dport", ["80", "80:443", "65535"]),
    )
    .map(([proto, sport, dport]) => ["-p", proto, ...sport, ...dport]),
  option("-p", ["tcp", "udp"]),
);

const ruleWords = fc
  .tuple(
    option("-s", ["10.0.0.0/24", "10.0.0.0/8", "192.168.0.1/32", "128.0.0.0/1"]),
    option("-d", ["10.0.0.128/25", "10.0.0.1/32"]),
    option("-i", ["eth0", "eth+", "veth1"]),
    option("-o", ["eth1", "v+"]),
    portWords,
  )
  .map((parts) => parts.flat());

/** Chains only jump to later ones, so that there is no loop. */
function ruleOf(later: readonly string[]): fc.Arbitrary<Written> {
  const jumps: string[][] = [[], ["-j", "ACCEPT"], ["-j", "DROP"], ["-j", "RETURN"]];
  for (const name of later) jumps.push(["-j", name], ["-j", name], ["-g", name]);
  return fc.record({ words: ruleWords, jump: fc.constantFrom(...jumps) });
}

const chainsOf = fc.record({
  FORWARD: fc.array(ruleOf(["A", "B", "C"]), { maxLength: 8 }),
  A: fc.array(ruleOf(["B", "C"]), { maxLength: 5 }),
  B: fc.array(ruleOf(["C"]), { maxLength: 5 }),
  C: fc.array(ruleOf([]), { maxLength: 5 }),
});

const packets = fc.array(
  fc.record({
    src: addrs,
    dst: addrs,
    proto: fc.constantFrom(6, 17),
    sport: ports,
    dport: ports,
    inName: fc.constantFrom("eth0", "eth1", "veth1"),
    outName: fc.constantFrom("eth1", "veth1", "docker0"),
  }),
  { minLength: 1, maxLength: 12 },
);

describe("iptDoTable", () => {
  test("decides and counts as the rules say", () => {
    fc.assert(
      fc.property(chainsOf, packets, fc.constantFrom("ACCEPT", "DROP"), (chains, sent, policy) => {
        const { ns, pool } = makeBox();
        for (const name of ["A", "B", "C"]) ok(ns, `-N ${name}`);
        for (const [name, rules] of Object.entries(chains))
          for (const rule of rules) ok(ns, ["-A", name, ...rule.words, ...rule.jump]);
        ok(ns, `-P FORWARD ${policy}`);
        const hits = new Map<string, number>();
        for (const one of sent) {
          const l4 = one.proto === 6 ? tcp(one.sport, one.dport, 2) : udp(one.sport, one.dport);
          const tried = { fields: { ...one, l4 }, inName: one.inName, outName: one.outName };
          const wanted = interpret(chains, policy, tried, hits);
          const verdict = walk(
            ns,
            packet(pool, tried.fields),
            NF_INET_FORWARD,
            device(ns, one.inName),
            device(ns, one.outName),
            "filter",
          );
          expect(verdict).toBe(wanted === "DROP" ? NF_DROP : NF_ACCEPT);
        }
        for (const chain of iptChains(ns, "filter")) {
          if (chain.name === "FORWARD") expect(chain.packets).toBe(hits.get("FORWARD policy") ?? 0);
          for (const [i, rule] of chain.rules.entries())
            expect(rule.packets).toBe(hits.get(`${chain.name} ${i + 1}`) ?? 0);
        }
        expect(pool.outstanding).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  test("counters are bytes of the IP packet and survive changes of other rules", () => {
    const { ns, pool } = makeBox();
    ok(ns, "-A FORWARD -p udp -j ACCEPT");
    const send = (): number =>
      walk(ns, packet(pool, { proto: 17, l4: udp(1, 2, [1, 2, 3]) }), NF_INET_FORWARD, null, null, "filter");
    send();
    ok(ns, "-I FORWARD -s 9.9.9.9 -j DROP");
    send();
    const [, rule] = iptChains(ns, "filter").find((chain) => chain.name === "FORWARD")!.rules;
    expect([rule.packets, rule.bytes]).toEqual([2, 62]);
    ok(ns, "-Z FORWARD 2");
    expect([rule.packets, rule.bytes]).toEqual([0, 0]);
  });

  test("a renamed device fits other patterns from then on", () => {
    const { ns, pool } = makeBox();
    const dev = device(ns, "eth0");
    ok(ns, "-A FORWARD -i veth+ -j DROP");
    const send = (): number =>
      walk(ns, packet(pool, { l4: tcp(1, 2, 2) }), NF_INET_FORWARD, dev, null, "filter");
    expect(send()).toBe(NF_ACCEPT);
    ns.renameDevice(dev, "veth7");
    expect(send()).toBe(NF_DROP);
  });

  test("a rule that is refused leaves the table as it was", () => {
    const { ns } = makeBox();
    ok(ns, "-A INPUT -j ACCEPT");
    const before = ok(ns, "-S");
    expect(iptables(ns, "-A INPUT -j SNAT --to-source 1.2.3.4").status).toBe(1);
    expect(iptables(ns, "-R INPUT 1 -p udp -j REJECT --reject-with tcp-reset").status).toBe(1);
    expect(ok(ns, "-S")).toBe(before);
  });

  test("a watched packet tells the rule that decided, and the policy", () => {
    const { ns, pool } = makeBox();
    ok(ns, "-N UC");
    ok(ns, "-A UC -s 10.0.0.1 -j DROP");
    ok(ns, "-A FORWARD -j UC");
    const skb = packet(pool, { l4: tcp(1, 2, 2) });
    const trace = new PacketTrace();
    skb.trace = trace;
    walk(ns, skb, NF_INET_FORWARD, null, null, "filter");
    const other = packet(pool, { src: "10.0.0.9", l4: tcp(1, 2, 2) });
    other.trace = trace;
    walk(ns, other, NF_INET_FORWARD, null, null, "filter");
    const [jump, rule, , policy] = trace.records;
    expect([jump.kind, jump.a, jump.b]).toEqual([TRACE_RULE, 1, TRACE_JUMP]);
    expect([rule.kind, rule.a, rule.b, (rule.ref as Rule).chain.name]).toEqual([
      TRACE_RULE,
      1,
      NF_DROP,
      "UC",
    ]);
    expect([policy.kind, policy.a]).toEqual([TRACE_POLICY, NF_ACCEPT]);
  });

  test("MARK changes the bits of its mask and goes on", () => {
    const { ns, pool } = makeBox();
    ok(ns, "-t mangle -A OUTPUT -j MARK --set-mark 0x10/0xf0");
    ok(ns, "-t mangle -A OUTPUT -j MARK --or-mark 0x1");
    const skb = packet(pool, { l4: tcp(1, 2, 2) });
    skb.mark = 0xabc;
    iptDoTable(ns, skb, NF_INET_LOCAL_OUT, null, null, xtOf(ns).table("mangle"));
    expect(skb.mark).toBe(0xa1d);
    skb.consume();
    expect(pool.outstanding).toBe(0);
  });
});

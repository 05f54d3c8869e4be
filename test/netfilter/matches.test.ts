/** Single matches and targets on packets. */
import { describe, expect, test } from "vitest";
import { NF_ACCEPT, NF_DROP, NF_INET_LOCAL_OUT } from "../../src/net/core/hooks.ts";
import { IP_CT_UNTRACKED } from "../../src/net/core/skb.ts";
import { iptDoTable } from "../../src/net/netfilter/ip-tables.ts";
import { type TableName, xtOf } from "../../src/net/netfilter/x-tables.ts";
import { SEC } from "../../src/sim/sim.ts";
import { ipChecksumOk, l4ChecksumOk } from "../../src/wire/ipv4.ts";
import { type Box, icmp, makeBox, ok, type PacketFields, packet, tcp, udp } from "./lab.ts";

/** Whether a packet is dropped by `-j DROP` behind the words. */
function drops(words: string, fields: PacketFields, box: Box = makeBox()): boolean {
  ok(box.ns, "-F OUTPUT");
  ok(box.ns, `-A OUTPUT ${words} -j DROP`);
  return verdict(box, fields) === NF_DROP;
}

function verdict(box: Box, fields: PacketFields, table: TableName = "filter"): number {
  const skb = packet(box.pool, fields);
  const result = iptDoTable(box.ns, skb, NF_INET_LOCAL_OUT, null, null, xtOf(box.ns).table(table));
  skb.consume();
  expect(box.pool.outstanding).toBe(0);
  return result;
}

const MSS = [2, 4, 0x05, 0xb4];
const SYN = { l4: tcp(1000, 80, 2, { options: MSS }) };

describe("matches", () => {
  test.each([
    ["-p tcp --syn", SYN, true],
    ["-p tcp --syn", { l4: tcp(1000, 80, 0x12) }, false],
    ["-p tcp ! --syn", { l4: tcp(1000, 80, 0x12) }, true],
    ["-p tcp --tcp-flags SYN,ACK ACK", { l4: tcp(1, 2, 0x11) }, true],
    ["-p tcp --tcp-option 2", SYN, true],
    ["-p tcp --tcp-option 8", SYN, false],
    ["-p tcp ! --dport 80", SYN, false],
    ["-p tcp -m tcpmss --mss 1400:1460", SYN, true],
    ["-p tcp -m tcpmss ! --mss 1400:1459", SYN, true],
    ["-p tcp -m tcpmss --mss 1", { l4: tcp(1, 2, 2) }, false],
    ["-p tcp -m multiport --dports 22,79:81", SYN, true],
    ["-p tcp -m multiport --sports 80", SYN, false],
    ["-p tcp -m multiport --ports 80", SYN, true],
    ["-p icmp --icmp-type 3/4", { proto: 1, l4: icmp(3, 4) }, true],
    ["-p icmp --icmp-type 3/4", { proto: 1, l4: icmp(3, 3) }, false],
    ["-p icmp ! --icmp-type 8", { proto: 1, l4: icmp(0, 0) }, true],
    ["-m ttl --ttl-lt 5", { ...SYN, ttl: 4 }, true],
    ["-m ttl --ttl-gt 5", { ...SYN, ttl: 5 }, false],
    ["-m length --length 44", SYN, true],
    ["-m length ! --length 0:43", SYN, true],
    ["-m iprange --src-range 10.0.0.0-10.0.0.5", SYN, true],
    ["-m iprange --dst-range 200.0.0.0-255.0.0.0", { ...SYN, dst: "128.0.0.1" }, false],
    ["-m addrtype --src-type UNICAST", SYN, true],
    ["-m addrtype ! --dst-type LOCAL", SYN, true],
    ["-m mark --mark 0", SYN, true],
    ["-m state --state INVALID", SYN, true],
    ["-m conntrack ! --ctstate NEW,INVALID", SYN, false],
    ["-m physdev ! --physdev-is-bridged", SYN, true],
    ["-m physdev --physdev-is-bridged", SYN, false],
    ["-m policy --dir out --pol none", SYN, true],
    ["-m comment --comment x", SYN, true],
    ["-f", { ...SYN, frag: 0x0002 }, true],
    ["! -f", { ...SYN, frag: 0x2000 }, true],
    ["-p tcp --dport 80", { ...SYN, frag: 0x0002 }, false],
  ] as const)("%s", (words, fields, wanted) => {
    expect(drops(words, fields)).toBe(wanted);
  });

  test("a second fragment inside the TCP header, or a short header, is dropped by any tcp match", () => {
    expect(drops("-p tcp --dport 9", { ...SYN, frag: 0x0001 })).toBe(true);
    expect(drops("-p tcp --dport 9", { l4: new Uint8Array(12), frag: 0x2000 })).toBe(true);
  });

  test("u32 finds the VNI of a VXLAN packet behind options of any length", () => {
    const words = "-p udp --dport 4789 -m u32 --u32 0x0>>0x16&0x3c@0xc&0xffffff00=0x100300";
    const vxlan = (vni: number): PacketFields => ({
      proto: 17,
      l4: udp(1, 4789, [8, 0, 0, 0, 0, vni >> 8, vni & 0xff, 0]),
    });
    expect(drops(words, vxlan(0x1003))).toBe(true);
    expect(drops(words, vxlan(0x1002))).toBe(false);
    expect(drops(words, { proto: 17, l4: udp(1, 4789, [8, 0]) })).toBe(false);
  });

  test("statistic nth drops the first, then every other", () => {
    const box = makeBox();
    ok(box.ns, "-A OUTPUT -m statistic --mode nth --every 2 --packet 0 -j DROP");
    expect([1, 2, 3, 4, 5].map(() => verdict(box, SYN))).toEqual([0, 1, 0, 1, 0]);
    ok(box.ns, "-R OUTPUT 1 -m statistic --mode nth --every 3 --packet 2 -j DROP");
    expect([1, 2, 3, 4, 5, 6].map(() => verdict(box, SYN))).toEqual([1, 1, 0, 1, 1, 0]);
  });

  test("statistic random takes about its share, the same with the same seed", () => {
    const share = (): number[] => {
      const box = makeBox(7);
      ok(box.ns, "-A OUTPUT -m statistic --mode random --probability 0.25 -j DROP");
      return Array.from({ length: 1000 }, () => verdict(box, SYN));
    };
    const first = share();
    expect(first).toEqual(share());
    expect(first.filter((one) => one === NF_DROP).length).toBeGreaterThan(200);
    expect(first.filter((one) => one === NF_DROP).length).toBeLessThan(300);
  });

  test("limit lets its burst through at once and then its rate", () => {
    const box = makeBox();
    ok(box.ns, "-A OUTPUT -m limit --limit 1/s --limit-burst 3 -j ACCEPT");
    ok(box.ns, "-P OUTPUT DROP");
    expect([1, 2, 3, 4].map(() => verdict(box, SYN))).toEqual([1, 1, 1, 0]);
    box.sim.runUntil(SEC);
    expect([1, 2].map(() => verdict(box, SYN))).toEqual([1, 0]);
    box.sim.runUntil(100 * SEC);
    expect([1, 2, 3, 4].map(() => verdict(box, SYN))).toEqual([1, 1, 1, 0]);
  });
});

describe("targets", () => {
  /** The packet behind one rule of a table. */
  function through(
    table: TableName,
    rule: string,
    fields: PacketFields,
  ): { box: Box; skb: ReturnType<typeof packet> } {
    const box = makeBox();
    ok(box.ns, `-t ${table} -A OUTPUT ${rule}`);
    const skb = packet(box.pool, fields);
    expect(iptDoTable(box.ns, skb, NF_INET_LOCAL_OUT, null, null, xtOf(box.ns).table(table))).toBe(NF_ACCEPT);
    expect(ipChecksumOk(skb.view, skb.data)).toBe(true);
    expect(l4ChecksumOk(skb.bytes, skb.view, skb.data, skb.data + 20, skb.tail - skb.data - 20)).toBe(true);
    return { box, skb };
  }

  test.each([
    ["--set-mss 1400", [1, ...MSS, 1, 1, 1], 1400, 25],
    ["--set-mss 1400", MSS, 1400, 24],
    ["--set-mss 1461", MSS, 1460, 24],
    ["--set-mss 1400", [], 536, 24],
  ] as const)("TCPMSS %s on options %j", (how, options, mss, at) => {
    const fields = { l4: tcp(1000, 80, 2, { options, seq: 7 }) };
    const { skb } = through("mangle", `-p tcp --syn -j TCPMSS ${how}`, fields);
    const where = skb.data + 20 + at - 4 + 2;
    expect(
      skb.view.getUint16(
        options.length === 0 ? skb.data + 42 : options[0] === 1 ? skb.data + 43 : where - 2 + 2,
      ),
    ).toBe(mss);
    expect(skb.view.getUint16(skb.data + 2)).toBe(skb.tail - skb.data);
    skb.consume();
  });

  test.each([
    ["--ttl-set 9", 9],
    ["--ttl-inc 250", 255],
    ["--ttl-dec 3", 61],
    ["--ttl-dec 200", 0],
  ])("TTL %s", (how, ttl) => {
    const { skb } = through("mangle", `-j TTL ${how}`, SYN);
    expect(skb.view.getUint8(skb.data + 8)).toBe(ttl);
    skb.consume();
  });

  test("NOTRACK leaves the packet without a connection", () => {
    const { skb } = through("raw", "-j NOTRACK", SYN);
    expect([skb.ct, skb.ctInfo]).toEqual([null, IP_CT_UNTRACKED]);
    skb.consume();
  });
});

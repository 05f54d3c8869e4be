/**
 * IP options through a lab: what `ping -R` and `ping -T` say (texts of iputils 20221126 in three namespaces of a real
 * kernel), connections whose SYN had options, and what any bytes in the place of options do to a router.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLab } from "../../src/index.ts";
import { IpOptions, IpOptionsData } from "../../src/net/core/ip-options.ts";
import { ipOptionsBuild, ipOptionsEcho } from "../../src/net/ipv4/ip-options.ts";
import { ipOptionsCompile, ipOptionsGet } from "../../src/net/ipv4/ip-options-compile.ts";
import { OptionsText } from "../../src/tools/ping-options.ts";
import { parseIp4 } from "../../src/wire/address.ts";
import { ipChecksumOk, ipDaddr } from "../../src/wire/ipv4.ts";
import { World } from "./topology.ts";

const SOURCE = `---
segments:
  near: { subnet: 10.0.0.0/24, latency: 1ms }
  far: { subnet: 10.1.0.0/24, latency: 1ms }
machines:
  a: { near: 10.0.0.2, gateway: 10.0.0.1 }
  r: { near: 10.0.0.1, far: 10.1.0.1, forward: true, gateway: none }
  b: { far: 10.1.0.2, gateway: 10.1.0.1 }
---
`;

function routedLab() {
  const lab = createLab({ source: SOURCE, seed: 1 });
  return (machine: string, command: string) => lab.shell(machine, command);
}

/** The lines of an answer without its times. */
function answers(text: string): string[] {
  return text
    .slice(0, text.indexOf("\n---"))
    .split("\n")
    .slice(1, -1)
    .map((line) => line.replace(/time=\S+ ms/, "time=T").replace(/\d+ absolute/, "T absolute"));
}

describe("ping", () => {
  it("records the route there and back, and says when it is the same again", () => {
    const { stdout } = routedLab()("a", "ping -c 2 -R 10.1.0.2");
    expect(stdout).toMatch(/^PING 10\.1\.0\.2 \(10\.1\.0\.2\) 56\(124\) bytes of data\.\n/);
    expect(answers(stdout)).toEqual([
      "64 bytes from 10.1.0.2: icmp_seq=1 ttl=63 time=T",
      "RR: \t10.0.0.2",
      "\t10.1.0.1",
      "\t10.1.0.2",
      "\t10.1.0.2",
      "\t10.0.0.1",
      "\t10.0.0.2",
      "",
      "64 bytes from 10.1.0.2: icmp_seq=2 ttl=63 time=T\t(same route)",
    ]);
  });

  it("collects times, of all, of all with their names, of named ones", () => {
    const sh = routedLab();
    sh("a", "ping -c 1 10.1.0.2");
    expect(answers(sh("a", "ping -c 1 -T tsonly 10.1.0.2").stdout).slice(1)).toEqual([
      "TS: \tT absolute",
      "\t1",
      "\t1",
      "\t0",
      "\t1",
      "\t1",
      "",
    ]);
    expect(answers(sh("a", "ping -c 1 -T tsandaddr 10.1.0.2").stdout).slice(1)).toEqual([
      "TS: \t10.0.0.2\tT absolute",
      "\t10.0.0.1\t1",
      "\t10.1.0.2\t1",
      "\t10.1.0.2\t0",
      "Unrecorded hops: 2",
      "",
    ]);
    expect(answers(sh("a", "ping -c 1 -T tsprespec 10.0.0.1 10.1.0.2").stdout).slice(1)).toEqual([
      "TS: \t10.0.0.1\tT absolute",
      "",
    ]);
  });

  it("goes over the stations that it is told, where they let it", () => {
    const sh = routedLab();
    expect(sh("a", "ping -c 1 -W 1 10.0.0.1 10.1.0.2").status).toBe(1);
    sh("r", "sysctl -w net.ipv4.conf.all.accept_source_route=1");
    for (const dev of ["near", "far"]) sh("r", `sysctl -w net.ipv4.conf.${dev}.accept_source_route=1`);
    for (const dev of ["all", "far"]) sh("b", `sysctl -w net.ipv4.conf.${dev}.accept_source_route=1`);
    for (const dev of ["all", "near"]) sh("a", `sysctl -w net.ipv4.conf.${dev}.accept_source_route=1`);
    const { stdout } = sh("a", "ping -c 1 -W 1 10.0.0.1 10.1.0.2");
    expect(stdout).toContain("64 bytes from 10.1.0.2: icmp_seq=1 ttl=63");
    expect(stdout).toContain("\nLSRR: \t8.10.0.0\n\n");
  });

  it.each([
    ["01830b0c0a0000010a000103", "\nNOP\nLSRR: \t12.10.0.0\n\t1.10.0.1\n"],
    ["8907080a000001", "\nSSRR: \t8.10.0.0\n"],
    ["630412ff", "\nunknown option 63"],
    [
      "4410111000000005800000648000006e00000009",
      "\nTS: \t5 absolute\n\t100 absolute not-standard\n\t10 not-standard\nUnrecorded hops: 1\n",
    ],
    ["000708040102", ""],
  ])("prints the options %s", (hex, text) => {
    expect(new OptionsText().text(Uint8Array.from(Buffer.from(hex, "hex")))).toBe(text);
  });

  it("refuses with the words of the real one", () => {
    const sh = routedLab();
    expect(sh("a", "ping -c 1 -T foo 10.1.0.2").stderr).toBe("ping: invalid timestamp type: foo\n");
    expect(sh("a", "ping -R -T tsonly 10.1.0.2").stderr).toBe("ping: only one of -T or -R may be used\n");
    expect(sh("a", "ping -c 1 -R -s 1472 -M do 10.1.0.2").stderr).toBe(
      "ping: local error: message too long, mtu=1460\n",
    );
  });

  it("is told of a station that it does not reach", () => {
    const { stdout } = routedLab()("a", "ping -c 1 -t 1 -R 10.1.0.2");
    expect(stdout).toContain("\nFrom 10.0.0.1 icmp_seq=1 Time to live exceeded\n");
  });

  it("may be longer than the cable takes", () => {
    expect(routedLab()("a", "ping -c 1 -R -s 3000 10.1.0.2").stdout).toContain("3008 bytes from 10.1.0.2");
  });
});

describe("options of a socket", () => {
  const ns = new World().ns("host");

  it("begin with the first station, which the packet is sent to", () => {
    const opt = ipOptionsGet(ns, Uint8Array.of(1, 131, 11, 4, 10, 0, 0, 1, 10, 1, 0, 1))!;
    expect(opt.faddr).toBe(parseIp4("10.0.0.1"));
    expect([...opt.data.subarray(0, 12)]).toEqual([1, 131, 11, 4, 10, 1, 0, 1, 10, 1, 0, 1]);
  });

  it.each([
    ["a length that is too long", [7, 40, 4]],
    ["a pointer behind the first station", [131, 7, 8, 10, 0, 0, 1]],
    ["two records", [7, 3, 4, 7, 3, 4]],
    ["more than fits", Array.from({ length: 41 }, () => 1)],
  ])("are refused: %s", (_what, bytes) => {
    expect(ipOptionsGet(ns, Uint8Array.from(bytes))).toBeNull();
  });
});

describe("any bytes", () => {
  const ns = new World().ns("host");
  const bytes = fc.uint8Array({ minLength: 40, maxLength: 40 });
  const kinds = fc.constantFrom(0, 1, 7, 68, 130, 131, 134, 137, 148);
  const likely = fc
    .array(fc.tuple(kinds, fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 21 }), bytes), {
      maxLength: 6,
    })
    .map((options) =>
      options.flatMap(([kind, length, pointer, rest]) => [kind, length, pointer, ...rest.slice(3, length)]),
    );

  it("are read within their header, and make an answer that fits and has a right checksum", () => {
    fc.assert(
      fc.property(likely, bytes, (front, rest) => {
        const skb = ns.kernel.pool.alloc(60);
        const off = skb.put(60);
        skb.netOff = off;
        skb.bytes.set([...front, ...rest].slice(0, 40), off + 20);
        skb.view.setUint16(off, 0x4f00);
        skb.bytes[off + 60] = 0xaa;
        const opt = new IpOptions();
        opt.optlen = 40;
        const wrong = ipOptionsCompile(ns, skb.view, off, opt, skb);
        expect(wrong === 0 || (wrong >= 20 && wrong < 60)).toBe(true);
        expect(skb.bytes[off + 60]).toBe(0xaa);
        const answer = new IpOptionsData();
        if (wrong === 0 && ipOptionsEcho(ns, answer, skb, opt)) {
          expect(answer.optlen % 4).toBe(0);
          expect(answer.optlen).toBeLessThanOrEqual(40);
          const reply = ns.kernel.pool.alloc(60);
          reply.netOff = reply.put(20 + answer.optlen);
          reply.view.setUint16(reply.netOff, (0x45 + answer.optlen / 4) << 8);
          ipOptionsBuild(ns, reply, answer, 0x0a000002);
          expect(ipChecksumOk(reply.view, reply.netOff)).toBe(true);
          if (answer.srr !== 0) expect(ipDaddr(reply.view, reply.netOff)).toBe(answer.faddr);
          reply.consume();
        }
        skb.consume();
      }),
      { numRuns: 2000 },
    );
    expect(ns.kernel.pool.outstanding).toBe(0);
  });
});

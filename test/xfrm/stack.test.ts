/** Policies and states in the path of packets: a (10.0.0.1) - b (10.0.0.2), set up with `ip xfrm`. */
import { describe, expect, test } from "vitest";
import { DROP } from "../../src/net/core/drop-reason.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { ipv4Of } from "../../src/net/ipv4/ipv4-net.ts";
import { ipIn, ipText } from "../ipv4/ip-command.ts";
import { addr, Eye, ip, ping, World } from "../ipv4/topology.ts";

const KEY = "0x000102030405060708090a0b0c0d0e0f10111213";
const AEAD = `aead rfc4106(gcm(aes)) ${KEY}`;

function pair() {
  const world = new World();
  const a = world.ns("a");
  const b = world.ns("b");
  const [a0, b0] = world.join(a, "eth0", b, "eth0", 0x10);
  addr(a0, "10.0.0.1/24");
  addr(b0, "10.0.0.2/24");
  ping(a, ip("10.0.0.2"));
  world.run(1);
  return { world, a, b, wire: new Eye(world.sim, b0) };
}

/** States of both directions on both sides. */
function associate(a: NetNs, b: NetNs, more = "128"): void {
  for (const ns of [a, b]) {
    ipText(ns, `xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 mode transport ${AEAD} ${more}`);
    ipText(ns, `xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 mode transport ${AEAD} ${more}`);
  }
}

function protect(ns: NetNs, from: string, to: string, more = ""): void {
  ipText(ns, `xfrm policy add src ${from} dst ${to} dir out${more} tmpl proto esp mode transport`);
}

function count(ns: NetNs, spi: string): string {
  const text = ipText(ns, `-s xfrm state list spi ${spi}`);
  return /(\d+\(bytes\), \d+\(packets\))\n\t {2}add/.exec(text)![1];
}

function failures(ns: NetNs, spi: string): string {
  return /stats:\n\t {2}(.*)/.exec(ipText(ns, `-s xfrm state list spi ${spi}`))![1];
}

describe("a policy for leaving packets", () => {
  test("turns them into ESP, and the other side answers as its own policy says", () => {
    const { world, a, b, wire } = pair();
    associate(a, b);
    protect(a, "10.0.0.1", "10.0.0.2");
    ping(a, ip("10.0.0.2"), 57, 2);
    world.run(1);
    // 65 bytes of ICMP and the trailer fill 68; 8 of ESP, 8 of IV, 16 of ICV.
    expect(wire.ip(50).map((frame) => frame.length - 14)).toEqual([20 + 8 + 8 + 68 + 16]);
    expect(wire.ip(1).length).toBe(1);
    expect(count(a, "0x100")).toBe("65(bytes), 1(packets)");
    expect(count(b, "0x100")).toBe("65(bytes), 1(packets)");
    expect(world.pool.outstanding).toBe(0);
  });

  test("without a state the packet is dropped; with level use it goes in the clear", () => {
    const { world, a, wire } = pair();
    protect(a, "10.0.0.1", "10.0.0.2");
    ping(a, ip("10.0.0.2"));
    world.run(1);
    expect(wire.ip(1).length).toBe(0);
    expect(world.pool.drops[DROP.XFRM_STATE]).toBe(1);
    ipText(a, "xfrm policy update src 10.0.0.1 dst 10.0.0.2 dir out tmpl proto esp mode transport level use");
    ping(a, ip("10.0.0.2"));
    world.run(1);
    expect(wire.ip(1).length).toBe(2);
    expect(world.pool.outstanding).toBe(0);
  });

  test("looks at mark, protocol and type; the one with the lower priority number wins", () => {
    const { world, a, b, wire } = pair();
    associate(a, b);
    ipText(a, "xfrm policy add src 0.0.0.0/0 dst 10.0.0.0/24 dir out priority 2 action block mark 7");
    ipText(
      a,
      "xfrm policy add dst 10.0.0.2 proto icmp type 8 dir out priority 1 mark 7 mask 6 tmpl proto esp",
    );
    ping(a, ip("10.0.0.2"), 56, 1, 0, 1);
    ping(a, ip("10.0.0.2"), 56, 1, 0, 7);
    world.run(1);
    expect(
      wire.frames.filter((f) => !f.out && f.hex.slice(24, 28) === "0800").map((f) => f.bytes[23]),
    ).toEqual([1]);
    expect(world.pool.drops[DROP.XFRM_POLICY]).toBe(1);
    ipText(
      a,
      "xfrm policy update dst 10.0.0.2 proto icmp type 8 dir out priority 1 mark 6 mask 6 tmpl proto esp",
    );
    ping(a, ip("10.0.0.2"), 56, 1, 0, 7);
    world.run(1);
    expect(wire.ip(50).length).toBe(1);
    expect(world.pool.outstanding).toBe(0);
  });

  test("a packet that ESP makes too long for the link leaves in fragments, and arrives", () => {
    const { world, a, b, wire } = pair();
    associate(a, b, "64");
    protect(a, "10.0.0.1", "10.0.0.2");
    ping(a, ip("10.0.0.2"), 1470, 2);
    world.run(1);
    expect(wire.ip(50).length).toBe(2);
    expect(wire.frames.filter((f) => f.out && f.bytes[23] === 1).length).toBe(1);
    expect(world.pool.outstanding).toBe(0);
  });

  test("goes away with its last deletion: nothing is looked up any more", () => {
    const { a } = pair();
    protect(a, "10.0.0.1", "10.0.0.2");
    expect(ipv4Of(a).xfrmOutput).not.toBeNull();
    ipText(a, "xfrm policy delete src 10.0.0.1 dst 10.0.0.2 dir out");
    expect(ipv4Of(a).xfrmOutput).toBeNull();
  });
});

describe("a policy for arriving packets", () => {
  test("takes only those that came protected", () => {
    const { world, a, b, wire } = pair();
    associate(a, b);
    ipText(b, "xfrm policy add src 10.0.0.1 dst 10.0.0.2 dir in tmpl proto esp mode transport");
    ping(a, ip("10.0.0.2"));
    world.run(1);
    expect(wire.frames.filter((f) => f.out).length).toBe(0);
    expect(world.pool.drops[DROP.XFRM_POLICY]).toBe(1);
    protect(a, "10.0.0.1", "10.0.0.2");
    ping(a, ip("10.0.0.2"));
    world.run(1);
    expect(wire.frames.filter((f) => f.out && f.bytes[23] === 1).length).toBe(1);
    expect(world.pool.outstanding).toBe(0);
  });
});

describe("a received ESP packet", () => {
  test("without the module gets an ICMP error, with it silence when the SPI is unknown", () => {
    const { world, a, b, wire } = pair();
    ipText(a, `xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 ${AEAD} 96`);
    // One kernel for both: take the handler away as if b were another machine.
    const { protocols } = ipv4Of(b);
    const handler = protocols[50];
    protocols[50] = null;
    protect(a, "10.0.0.1", "10.0.0.2");
    ping(a, ip("10.0.0.2"));
    world.run(1);
    const errors = (): number => wire.frames.filter((f) => f.out && f.bytes[23] === 1).length;
    expect(errors()).toBe(1);
    ipText(b, `xfrm state add src 9.9.9.9 dst 10.0.0.2 proto esp spi 0x999 ${AEAD} 96`);
    protocols[50] = handler;
    ping(a, ip("10.0.0.2"));
    world.run(1);
    expect(errors()).toBe(1);
    expect(world.pool.outstanding).toBe(0);
  });

  test("under another key is counted as failed", () => {
    const { world, a, b } = pair();
    ipText(a, `xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 ${AEAD} 128`);
    ipText(
      b,
      `xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 ${AEAD.replace("0x00", "0xff")} 128`,
    );
    expect(failures(b, "0x100")).toBe("replay-window 0 replay 0 failed 0");
    protect(a, "10.0.0.1", "10.0.0.2");
    ping(a, ip("10.0.0.2"));
    world.run(1);
    expect(failures(b, "0x100")).toBe("replay-window 0 replay 0 failed 1");
    expect(count(b, "0x100")).toBe("0(bytes), 0(packets)");
    expect(world.pool.outstanding).toBe(0);
  });

  test("that comes twice is refused where there is a replay window", () => {
    const { world, a, b, wire } = pair();
    associate(a, b, "128 replay-window 32");
    protect(a, "10.0.0.1", "10.0.0.2");
    for (let seq = 1; seq <= 40; seq++) ping(a, ip("10.0.0.2"), 56, seq);
    world.run(1);
    const [first, ...rest] = wire.frames.filter((f) => !f.out && f.bytes[23] === 50).map((f) => f.bytes);
    const dev = b.device("eth0")!;
    for (const frame of [first, rest.at(-1)!]) {
      const skb = world.pool.from(frame);
      skb.dev = dev;
      skb.macOff = skb.data;
      skb.data += 14;
      skb.protocol = 0x0800;
      world.kernel.netifRx(skb);
    }
    world.run(1);
    expect(failures(b, "0x100")).toBe("replay-window 1 replay 1 failed 0");
    expect(ipText(b, "xfrm state list spi 0x100")).toContain("seq 0x28, oseq 0x0, bitmap 0xffffffff");
    expect(world.pool.outstanding).toBe(0);
  });
});

test("a hard limit ends a state", () => {
  const { world, a, b, wire } = pair();
  associate(a, b, "128 limit packet-hard 2");
  protect(a, "10.0.0.1", "10.0.0.2");
  for (let seq = 1; seq <= 4; seq++) ping(a, ip("10.0.0.2"), 56, seq);
  world.run(1);
  expect(wire.ip(50).length).toBe(2);
  expect(world.pool.drops[DROP.XFRM_STATE]).toBe(2);
  expect(world.pool.outstanding).toBe(0);
});

test("a state whose destination and SPI are taken is refused", () => {
  const { a } = pair();
  const add = `xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 ${AEAD} 128`;
  ipText(a, add);
  expect(ipIn(a, add)).toMatchObject({ stdout: "", stderr: "RTNETLINK answers: File exists\n", status: 2 });
});

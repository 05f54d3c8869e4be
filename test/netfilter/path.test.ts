/** Rules on the path of real frames: a (10.0.1.2) - r (10.0.1.1, 10.0.2.1) - b (10.0.2.2). */
import { describe, expect, test } from "vitest";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { PacketTrace } from "../../src/net/core/trace.ts";
import { routeAdd } from "../../src/net/ctl/route.ts";
import { vethNewlink } from "../../src/net/drivers/veth.ts";
import { ipLocalOut } from "../../src/net/ipv4/ip-output.ts";
import { ipRouteOutput, skbSetRoute } from "../../src/net/ipv4/route.ts";
import { SEC } from "../../src/sim/sim.ts";
import { addr, Eye } from "../ipv4/topology.ts";
import { type Box, ip, makeBox, ok, type PacketFields, packet, tcp, udp } from "./lab.ts";

function line() {
  const box = makeBox();
  const [a, r, b] = ["a", "r", "b"].map((name) => {
    const ns = box.kernel.createNs(name, `/run/netns/${name}`);
    ns.setUp(ns.device("lo")!);
    return ns;
  });
  r.sysctl.set("net.ipv4.ip_forward", "1");
  const join = (one: NetNs, oneName: string, two: NetNs, twoName: string, mac: number) => {
    const dev = vethNewlink(one, oneName, two, twoName);
    const peer = dev.link!;
    [dev.addrHi, peer.addrHi, dev.addrLo, peer.addrLo] = [0x0200, 0x0200, mac, mac + 1];
    one.setUp(dev);
    two.setUp(peer);
    return [dev, peer];
  };
  const [a0, r0] = join(a, "eth0", r, "eth0", 0x10);
  const [b0, r1] = join(b, "eth0", r, "eth1", 0x20);
  addr(a0, "10.0.1.2/24");
  addr(r0, "10.0.1.1/24");
  addr(r1, "10.0.2.1/24");
  addr(b0, "10.0.2.2/24");
  routeAdd(a, { dst: 0, dstLen: 0, gateway: ip("10.0.1.1") });
  routeAdd(b, { dst: 0, dstLen: 0, gateway: ip("10.0.2.1") });
  return { box, a, r, b, a0, b0, r0, r1 };
}

function send(box: Box, ns: NetNs, fields: PacketFields): void {
  const skb = packet(box.pool, fields);
  const daddr = ip(fields.dst!);
  skbSetRoute(skb, ipRouteOutput(ns, daddr, ip(fields.src!), 0, 0)!, daddr);
  box.kernel.enter();
  ipLocalOut(ns, skb);
  box.kernel.leave();
  box.sim.runUntil(box.sim.now + SEC);
}

/** IP packets that a device was seen to receive or send, in hexadecimal. */
function ipFrames(eye: Eye, out: boolean): string[] {
  return eye.frames
    .filter((f) => f.out === out && f.hex.slice(24, 28) === "0800")
    .map((f) => f.hex.slice(28));
}

const OPTIONS = [2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
const SYN: PacketFields = {
  src: "10.0.1.2",
  dst: "10.0.2.2",
  frag: 0x4000,
  id: 0x1234,
  l4: tcp(40000, 8080, 2, { seq: 1000, options: OPTIONS }),
};

describe("REJECT", () => {
  test("admin-prohibited quotes the packet with its lowered TTL: 88 bytes, TTL 64, TOS 0xc0", () => {
    const { box, a, r, a0 } = line();
    ok(r, "-A FORWARD -p tcp --dport 8080 -j REJECT --reject-with icmp-admin-prohibited");
    const eye = new Eye(box.sim, a0);
    send(box, a, SYN);
    const [answer] = ipFrames(eye, false);
    expect(answer.slice(0, 8)).toBe("45c00058");
    expect(answer.slice(16, 20)).toBe("4001");
    expect(answer.slice(24, 40)).toBe("0a0001010a000102");
    expect(answer.slice(40, 44)).toBe("030d");
    const quoted = answer.slice(56);
    expect(quoted.slice(0, 20)).toBe("4500003c123440003f06");
    expect(quoted.slice(24, 48)).toBe("0a0001020a0002029c401f90");
    expect(box.pool.outstanding).toBe(0);
  });

  test("tcp-reset is the RST of a closed port: TTL 64, id 0, DF, seq 0, the SYN acknowledged", () => {
    const { box, a, r, a0 } = line();
    ok(r, "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset");
    const eye = new Eye(box.sim, a0);
    send(box, a, SYN);
    const [answer] = ipFrames(eye, false);
    expect(answer.slice(0, 20)).toBe("45000028000040004006");
    expect(answer.slice(24, 40)).toBe("0a0002020a000102");
    expect(answer.slice(40, 72)).toBe("1f909c4000000000000003e950140000");
    expect(box.pool.outstanding).toBe(0);
  });

  test("tcp-reset answers an ACK with its own sequence number, and a RST with nothing", () => {
    const { box, a, r, a0 } = line();
    ok(r, "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset");
    const eye = new Eye(box.sim, a0);
    send(box, a, { ...SYN, l4: tcp(40000, 8080, 0x18, { seq: 5, ack: 0x77, payload: 3 }) });
    send(box, a, { ...SYN, l4: tcp(40000, 8080, 0x04) });
    const answers = ipFrames(eye, false);
    expect(answers.map((answer) => answer.slice(48, 72))).toEqual(["000000770000000050040000"]);
  });
});

describe("NAT rules", () => {
  test("DNAT is asked once a flow; the packets arrive at the new destination", () => {
    const { box, a, r, b0 } = line();
    ok(r, "-t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination 10.0.2.2:5353");
    const eye = new Eye(box.sim, b0);
    const query = { src: "10.0.1.2", dst: "10.0.1.1", proto: 17, l4: udp(9999, 53, [1, 2]) };
    send(box, a, query);
    send(box, a, query);
    const arrived = ipFrames(eye, false);
    expect(arrived.length).toBe(2);
    for (const frame of arrived) {
      expect(frame.slice(24, 40)).toBe("0a0001020a000202");
      expect(frame.slice(40, 48)).toBe("270f14e9");
    }
    expect(ok(r, "-t nat -nvxL PREROUTING").split("\n")[2]).toMatch(/^ {7}1 {7}30 DNAT /);
    box.sim.runUntil(box.sim.now + 60 * SEC);
    expect(box.pool.outstanding).toBe(0);
  });

  test("MASQUERADE takes the address of the device that the packet leaves by", () => {
    const { box, a, r, b0 } = line();
    ok(r, "-t nat -A POSTROUTING -s 10.0.1.0/24 ! -o eth0 -j MASQUERADE");
    const eye = new Eye(box.sim, b0);
    send(box, a, SYN);
    expect(ipFrames(eye, false)[0].slice(24, 40)).toBe("0a0002010a000202");
  });

  test("conntrack sees nothing before a rule needs it", () => {
    const { box, a, r } = line();
    ok(r, "-A FORWARD -p tcp -j ACCEPT");
    send(box, a, SYN);
    expect(ok(r, "-nvxL FORWARD").split("\n")[2]).toMatch(/^ {7}1 {7}60 /);
    expect(r.hooks.list(0).map((entry) => entry.name)).toEqual([]);
    ok(r, "-A FORWARD -m state --state NEW -j ACCEPT");
    expect(r.hooks.list(0).length).toBeGreaterThan(0);
  });
});

describe("LOG and TRACE", () => {
  test("LOG writes the packet as the kernel does", () => {
    const { box, a, r } = line();
    box.kernel.nfLogAllNetns = 1;
    ok(r, ["-A", "FORWARD", "-j", "LOG", "--log-prefix", "fw: ", "--log-tcp-sequence", "--log-tcp-options"]);
    send(box, a, SYN);
    const mac = "02:00:00:00:00:11:02:00:00:00:00:10:08:00";
    expect(box.kernel.log.map((entry) => entry.text).slice(0, 1)).toEqual([
      `fw: IN=eth0 OUT=eth1 MAC=${mac} SRC=10.0.1.2 DST=10.0.2.2 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=4660 DF ` +
        "PROTO=TCP SPT=40000 DPT=8080 SEQ=1000 ACK=0 WINDOW=64240 RES=0x00 SYN URGP=0 " +
        "OPT (020405B40402080A000000010000000001030307) ",
    ]);
  });

  test("a namespace that is not the first logs only when all may", () => {
    const { box, a, r } = line();
    ok(r, "-A FORWARD -j LOG");
    send(box, a, SYN);
    expect(box.kernel.log).toEqual([]);
  });

  test("TRACE tells every rule that the packet matches, to the policy", () => {
    const { box, a, r } = line();
    box.kernel.nfLogAllNetns = 1;
    ok(r, "-t raw -A PREROUTING -p udp -j TRACE");
    ok(r, "-N UC");
    ok(r, "-A UC -s 10.0.1.2");
    ok(r, "-A UC -j RETURN");
    ok(r, "-A FORWARD -j UC");
    ok(r, "-A FORWARD -p udp -j ACCEPT");
    send(box, a, { src: "10.0.1.2", dst: "10.0.2.2", proto: 17, l4: udp(1, 2) });
    expect(box.kernel.log.map((entry) => entry.text.split(" IN=")[0]).slice(0, 5)).toEqual([
      "TRACE: raw:PREROUTING:policy:2",
      "TRACE: filter:FORWARD:rule:1",
      "TRACE: filter:UC:rule:1",
      "TRACE: filter:UC:return:2",
      "TRACE: filter:FORWARD:rule:2",
    ]);
  });
});

test("a packet that a trace follows may pass every table", () => {
  const { box, a, r } = line();
  for (const table of ["raw", "mangle", "nat", "filter"]) ok(r, `-t ${table} -S`);
  const skb = packet(box.pool, SYN);
  skb.trace = new PacketTrace();
  skbSetRoute(skb, ipRouteOutput(a, ip("10.0.2.2"), 0, 0, 0)!, ip("10.0.2.2"));
  ipLocalOut(a, skb);
  box.sim.runUntil(60 * SEC);
  expect(box.pool.outstanding).toBe(0);
});

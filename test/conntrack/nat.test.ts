import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { type Hook, NF_ACCEPT, NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING } from "../../src/net/core/hooks.ts";
import type { NetDevice } from "../../src/net/core/net-device.ts";
import { IP_CT_RELATED_REPLY, type Skb } from "../../src/net/core/skb.ts";
import { addressAdd } from "../../src/net/ctl/address.ts";
import { ipv4Init } from "../../src/net/ipv4/ipv4-init.ts";
import { type Conn, IPS_DST_NAT, IPS_SRC_NAT } from "../../src/net/netfilter/conntrack/conn.ts";
import { ctOf } from "../../src/net/netfilter/conntrack/conntrack.ts";
import {
  natMasquerade,
  natNetmap,
  natOf,
  natRedirect,
  nfNatSetupInfo,
} from "../../src/net/netfilter/nat/nat.ts";
import {
  type NatManip,
  type NatRange,
  NF_NAT_RANGE_MAP_IPS,
  NF_NAT_RANGE_PERSISTENT,
  NF_NAT_RANGE_PROTO_RANDOM_FULLY,
  NF_NAT_RANGE_PROTO_SPECIFIED,
} from "../../src/net/netfilter/nat/nat-range.ts";
import { formatIp4 } from "../../src/wire/address.ts";
import { ipDecreaseTtl } from "../../src/wire/ipv4.ts";
import {
  expectGoodChecksums,
  icmpBytes,
  ip,
  ipPacket,
  type Lab,
  makeLab,
  pass,
  SYN,
  tcpBytes,
  track,
  udpBytes,
} from "./packets.ts";

let lab: Lab;

afterEach(() => expect(lab.pool.outstanding).toBe(0));

function range(flags: number, min: string, max = min, minPort = 0, maxPort = minPort): NatRange {
  return { flags, minAddr: ip(min), maxAddr: ip(max), minPort, maxPort };
}

/** A rule: translates every first packet of a flow on that hook. */
function rule(hook: Hook, manip: NatManip, to: NatRange, when: (conn: Conn) => boolean = () => true): void {
  natOf(lab.ns).registerTable(hook, (ns, skb) => {
    const conn = ctOf(skb)!;
    return when(conn) ? nfNatSetupInfo(ns, skb, conn, to, manip) : NF_ACCEPT;
  });
}

function snat(to: NatRange): void {
  rule(NF_INET_POST_ROUTING, 0, to);
}

function dnat(to: NatRange): void {
  rule(NF_INET_PRE_ROUTING, 1, to);
}

function bytesOf(skb: Skb): Uint8Array {
  return skb.bytes.slice(skb.data, skb.tail);
}

function udp(src: string, sport: number, dst: string, dport: number, payload = new Uint8Array(4)): Skb {
  return ipPacket(lab, 17, src, dst, udpBytes(sport, dport, payload));
}

/** Sends a UDP packet out; its source port afterwards. */
function mappedPort(src: string, sport: number, dst = "10.0.0.15", dport = 80): number {
  const skb = pass(lab, udp(src, sport, dst, dport))!;
  const port = skb.view.getUint16(skb.netOff + 20);
  expectGoodChecksums(skb);
  skb.consume();
  return port;
}

describe("translation of a published port, against captured packets", () => {
  const golden = JSON.parse(readFileSync(new URL("./fixtures/host-dnat.json", import.meta.url), "utf8"));

  /** What the node forwards for a captured packet, hexadecimal. */
  function forward(hex: string): string {
    const skb = lab.pool.from(Uint8Array.from(Buffer.from(hex, "hex")));
    skb.netOff = skb.data;
    expect(pass(lab, skb, [NF_INET_PRE_ROUTING])).not.toBeNull();
    ipDecreaseTtl(skb.view, skb.netOff);
    expect(pass(lab, skb, [NF_INET_POST_ROUTING])).not.toBeNull();
    const out = Buffer.from(bytesOf(skb)).toString("hex");
    skb.consume();
    return out;
  }

  it("is equal byte for byte over a whole HTTP exchange", () => {
    lab = makeLab();
    dnat(range(NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED, "172.18.0.2", "172.18.0.2", 8080));
    for (const { arrives, leaves } of golden.curl) expect(forward(arrives)).toBe(leaves);
    expect(lab.ct.head!.tcpState).toBe(7);
  });

  it("is equal for an ICMP error and the packet that it quotes", () => {
    lab = makeLab();
    dnat(range(NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED, "172.18.0.2", "172.18.0.2", 5353));
    for (const { arrives, leaves } of golden.fragNeeded) expect(forward(arrives)).toBe(leaves);
  });
});

describe("ICMP errors", () => {
  it("quote the packet as it was sent, when they are about one that was dropped before it was confirmed", () => {
    lab = makeLab();
    dnat(range(NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED, "172.18.0.2", "172.18.0.2", 8080));
    const syn = ipPacket(lab, 6, "192.168.200.1", "192.168.200.10", tcpBytes(40000, 8080, { flags: SYN }), 1);
    const original = bytesOf(syn);
    pass(lab, syn, [NF_INET_PRE_ROUTING]);
    const error = ipPacket(lab, 1, "192.168.200.10", "192.168.200.1", icmpBytes(11, 0, 0, bytesOf(syn)));
    error.ct = syn.ct;
    error.ctInfo = IP_CT_RELATED_REPLY;
    expect(pass(lab, error, [NF_INET_POST_ROUTING])).not.toBeNull();
    expect(bytesOf(error).slice(28)).toEqual(original);
    expect(formatIp4(error.view.getInt32(error.netOff + 12))).toBe("192.168.200.10");
    expectGoodChecksums(error);
    expect(lab.ct.count).toBe(0);
    syn.consume();
    error.consume();
  });

  it("that redirect a translated flow are dropped", () => {
    lab = makeLab();
    snat(range(NF_NAT_RANGE_MAP_IPS, "203.0.113.20"));
    const out = pass(lab, udp("10.99.0.10", 5000, "192.168.200.1", 53))!;
    const redirect = ipPacket(
      lab,
      1,
      "203.0.113.1",
      "203.0.113.20",
      icmpBytes(5, 1, ip("203.0.113.2"), bytesOf(out)),
    );
    expect(pass(lab, redirect)).toBeNull();
    out.consume();
  });
});

describe("the search for a port", () => {
  it("keeps the source port while it is free and takes one above 1023 when it is not", () => {
    lab = makeLab();
    snat(range(NF_NAT_RANGE_MAP_IPS, "10.0.0.2"));
    expect(mappedPort("192.168.200.1", 45001)).toBe(45001);
    const second = mappedPort("192.168.200.2", 45001);
    expect(second).not.toBe(45001);
    expect(second).toBeGreaterThanOrEqual(1024);
    expect(mappedPort("192.168.200.3", 45001, "10.0.0.16")).toBe(45001);
  });

  it.each([
    [400, 1, 511],
    [512, 600, 1023],
    [1023, 600, 1023],
    [1024, 1024, 65535],
  ])("finds a port for %i between %i and %i", (sport, min, max) => {
    lab = makeLab();
    snat(range(NF_NAT_RANGE_MAP_IPS, "10.0.0.2"));
    mappedPort("192.168.200.1", sport);
    for (let i = 2; i < 40; i++) {
      const port = mappedPort(`192.168.200.${i}`, sport);
      expect(port).toBeGreaterThanOrEqual(min);
      expect(port).toBeLessThanOrEqual(max);
    }
  });

  it("gives two flows never the same tuple, and the same ports to the same seed", () => {
    const run = (seed: number): number[] => {
      lab = makeLab(seed);
      snat(range(NF_NAT_RANGE_MAP_IPS, "10.0.0.2"));
      return Array.from({ length: 200 }, (_, i) => mappedPort(`192.168.${i}.1`, 7000));
    };
    const ports = run(5);
    expect(new Set(ports).size).toBe(200);
    expect(run(5)).toEqual(ports);
    expect(run(6)).not.toEqual(ports);
  });

  it("uses a given range to the last port and then lets the clash drop the packet", () => {
    lab = makeLab();
    const flags = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED;
    snat(range(flags, "10.0.0.2", "10.0.0.2", 5000, 5003));
    const ports = [1, 2, 3, 4].map((i) => mappedPort(`192.168.200.${i}`, 40000));
    expect(ports.toSorted()).toEqual([5000, 5001, 5002, 5003]);
    const last = ipPacket(lab, 6, "192.168.200.5", "10.0.0.15", tcpBytes(40000, 80, { flags: SYN }));
    expect(track(lab, last)).not.toBeNull();
    expect(pass(lab, udp("192.168.200.6", 40000, "10.0.0.15", 80))).toBeNull();
    expect(lab.ct.stats.insertFailed).toBe(1);
  });

  it("reuses the mapping that the same source has towards another destination", () => {
    lab = makeLab();
    snat(range(NF_NAT_RANGE_MAP_IPS, "10.0.0.2"));
    mappedPort("192.168.200.1", 45001);
    const port = mappedPort("192.168.200.2", 45001);
    expect(mappedPort("192.168.200.2", 45001, "10.0.0.16")).toBe(port);
  });

  it("draws a port for every flow with --random-fully", () => {
    lab = makeLab();
    snat(range(NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_RANDOM_FULLY, "10.0.0.2"));
    const ports = Array.from({ length: 20 }, (_, i) => mappedPort("192.168.200.1", 40000 + i));
    expect(ports.filter((port, i) => port === 40000 + i)).toEqual([]);
  });

  it("spreads flows over an address range, by source alone when persistent", () => {
    const addresses = (flags: number): string[] => {
      lab = makeLab();
      snat(range(NF_NAT_RANGE_MAP_IPS | flags, "203.0.113.8", "203.0.113.15"));
      return Array.from({ length: 30 }, (_, i) => {
        const skb = pass(lab, udp("10.99.0.10", 40000 + i, `192.168.200.${i + 1}`, 53))!;
        const addr = formatIp4(skb.view.getInt32(skb.netOff + 12));
        skb.consume();
        return addr;
      });
    };
    const spread = new Set(addresses(0));
    expect(spread.size).toBeGreaterThan(3);
    for (const addr of spread) expect(addr).toMatch(/^203\.0\.113\.(8|9|1[0-5])$/);
    expect(new Set(addresses(NF_NAT_RANGE_PERSISTENT)).size).toBe(1);
  });

  it("moves an untranslated flow to another port when a translated one has its tuple", () => {
    lab = makeLab();
    rule(
      NF_INET_POST_ROUTING,
      0,
      range(NF_NAT_RANGE_MAP_IPS, "10.0.0.2"),
      (conn) => conn.origSrc === ip("192.168.200.1"),
    );
    expect(mappedPort("192.168.200.1", 7946)).toBe(7946);
    const own = mappedPort("10.0.0.2", 7946);
    expect(own).not.toBe(7946);
  });
});

describe("a translated packet", () => {
  const port = fc.integer({ min: 1, max: 65535 });
  const host = fc.integer({ min: 1, max: 250 });

  it("has right checksums, and its answer comes back as if to the sender", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(6, 17, 1),
        host,
        port,
        port,
        fc.uint8Array({ maxLength: 64 }),
        (proto, h, sport, dport, data) => {
          lab = makeLab(h);
          dnat(range(NF_NAT_RANGE_MAP_IPS, "172.18.0.2"));
          snat(range(NF_NAT_RANGE_MAP_IPS, "10.0.0.2"));
          const make = (a: number, b: number, reply: boolean): Uint8Array => {
            if (proto === 6) return tcpBytes(a, b, reply ? { flags: 18, seq: 9, ack: 1 } : { flags: SYN });
            if (proto === 17) return udpBytes(a, b, data);
            return icmpBytes(reply ? 0 : 8, 0, (sport << 16) | 7, data);
          };
          const out = pass(
            lab,
            ipPacket(lab, proto, `192.168.200.${h}`, "192.168.100.10", make(sport, dport, false)),
          )!;
          expectGoodChecksums(out);
          expect(formatIp4(out.view.getInt32(out.netOff + 12))).toBe("10.0.0.2");
          expect(formatIp4(out.view.getInt32(out.netOff + 16))).toBe("172.18.0.2");
          const back = pass(lab, ipPacket(lab, proto, "172.18.0.2", "10.0.0.2", make(dport, sport, true)))!;
          expectGoodChecksums(back);
          expect(formatIp4(back.view.getInt32(back.netOff + 12))).toBe("192.168.100.10");
          expect(formatIp4(back.view.getInt32(back.netOff + 16))).toBe(`192.168.200.${h}`);
          out.consume();
          back.consume();
        },
      ),
    );
  });

  it("keeps a UDP checksum of none", () => {
    lab = makeLab();
    snat(range(NF_NAT_RANGE_MAP_IPS, "10.0.0.2"));
    const skb = udp("192.168.200.1", 5000, "10.0.0.15", 53);
    skb.view.setUint16(skb.netOff + 26, 0);
    pass(lab, skb);
    expect(skb.view.getUint16(skb.netOff + 26)).toBe(0);
    skb.consume();
  });

  it("writes a UDP checksum that comes out as 0 as 0xffff", () => {
    lab = makeLab();
    snat(range(NF_NAT_RANGE_MAP_IPS, "10.0.0.2"));
    for (let value = 0; value < 65536; value += 1) {
      const payload = Uint8Array.of(value >> 8, value & 0xff);
      const probe = udp("10.0.0.2", 5000, "10.0.0.15", 53, payload);
      const sum = probe.view.getUint16(probe.netOff + 26);
      probe.consume();
      if (sum !== 0xffff) continue;
      const skb = pass(lab, udp("192.168.200.1", 5000, "10.0.0.15", 53, payload))!;
      expect(skb.view.getUint16(skb.netOff + 26)).toBe(0xffff);
      skb.consume();
      return;
    }
    expect.unreachable("no payload has that checksum");
  });
});

describe("targets that find their address themselves", () => {
  /** A device with one address. */
  function device(name: string, addr: string): NetDevice {
    const dev = lab.ns.addDevice(name, { kind: "dummy", xmit: (skb) => skb.consume() }, 0, 1500);
    addressAdd(dev, { local: ip(addr), prefixLen: 24 });
    lab.ns.setUp(dev);
    return dev;
  }

  it("MASQUERADE takes the device's address and ends its flows with the device", () => {
    lab = makeLab(1, [ipv4Init]);
    const dev = device("eth0", "192.168.200.12");
    natOf(lab.ns).registerTable(NF_INET_POST_ROUTING, (ns, skb) =>
      natMasquerade(ns, skb, dev, range(0, "0.0.0.0")),
    );
    const skb = udp("172.18.0.4", 5000, "192.168.200.1", 53);
    skb.nextHop = ip("192.168.200.1");
    pass(lab, skb);
    expect(formatIp4(skb.view.getInt32(skb.netOff + 12))).toBe("192.168.200.12");
    skb.consume();
    expect(lab.ct.head!.masqIndex).toBe(dev.ifindex);
    expect(lab.ct.head!.status & IPS_SRC_NAT).not.toBe(0);
    lab.ns.setDown(dev);
    expect(lab.ct.count).toBe(0);
  });

  it("REDIRECT takes the first address of the device it came in by, with the given port", () => {
    lab = makeLab(1, [ipv4Init]);
    const dev = device("eth0", "10.0.0.7");
    natOf(lab.ns).registerTable(NF_INET_PRE_ROUTING, (ns, skb, hook) =>
      natRedirect(ns, skb, hook, dev, range(NF_NAT_RANGE_PROTO_SPECIFIED, "0.0.0.0", "0.0.0.0", 80)),
    );
    const skb = pass(lab, ipPacket(lab, 6, "10.0.0.2", "10.0.0.7", tcpBytes(40000, 8080, { flags: SYN })))!;
    expect(skb.view.getUint16(skb.netOff + 22)).toBe(80);
    expect(lab.ct.head!.status & IPS_DST_NAT).not.toBe(0);
    skb.consume();
  });

  it("NETMAP exchanges the network and keeps the host", () => {
    lab = makeLab();
    natOf(lab.ns).registerTable(NF_INET_PRE_ROUTING, (ns, skb, hook) =>
      natNetmap(ns, skb, hook, range(NF_NAT_RANGE_MAP_IPS, "10.5.0.0", "10.5.255.255")),
    );
    const skb = pass(lab, udp("10.0.0.2", 5, "192.168.7.9", 6))!;
    expect(formatIp4(skb.view.getInt32(skb.netOff + 16))).toBe("10.5.7.9");
    skb.consume();
  });
});

it("walks the rules for the first packet of a flow only", () => {
  lab = makeLab();
  let walks = 0;
  natOf(lab.ns).registerTable(NF_INET_POST_ROUTING, () => {
    walks++;
    return NF_ACCEPT;
  });
  for (let i = 0; i < 5; i++) track(lab, udp("10.0.0.2", 5000, "10.0.0.15", 53));
  track(lab, udp("10.0.0.15", 53, "10.0.0.2", 5000));
  expect(walks).toBe(1);
});

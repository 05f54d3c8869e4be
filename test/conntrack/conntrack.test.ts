import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { NF_INET_PRE_ROUTING } from "../../src/net/core/hooks.ts";
import {
  IP_CT_ESTABLISHED,
  IP_CT_NEW,
  IP_CT_RELATED_REPLY,
  IP_CT_UNTRACKED,
  type Skb,
} from "../../src/net/core/skb.ts";
import { conntrackDelete, conntrackList, conntrackUpdate } from "../../src/net/ctl/conntrack.ts";
import { ipv4Init } from "../../src/net/ipv4/ipv4-init.ts";
import { Conn, IPS_ASSURED } from "../../src/net/netfilter/conntrack/conn.ts";
import { ConnTable } from "../../src/net/netfilter/conntrack/conn-table.ts";
import { SysError } from "../../src/util/errors.ts";
import { ipChecksumSet } from "../../src/wire/ipv4.ts";
import {
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

const ASK = new Uint8Array(4);

function udp(src: string, sport: number, dst: string, dport: number, hooks?: 0[]) {
  return track(lab, ipPacket(lab, 17, src, dst, udpBytes(sport, dport, ASK)), hooks);
}

describe("UDP", () => {
  afterEach(() => expect(lab.pool.outstanding).toBe(0));

  it("is a stream only when it goes both ways after two seconds", () => {
    lab = makeLab();
    const left = (): number => conntrackList(lab.ns)[0].expiresS;
    udp("10.0.0.2", 5000, "10.0.0.9", 53);
    expect([left(), conntrackList(lab.ns)[0].seenReply]).toEqual([30, false]);
    udp("10.0.0.9", 53, "10.0.0.2", 5000);
    udp("10.0.0.2", 5000, "10.0.0.9", 53);
    expect([left(), conntrackList(lab.ns)[0].assured]).toEqual([30, false]);
    lab.wait(2);
    udp("10.0.0.2", 5000, "10.0.0.9", 53);
    expect(left()).toBe(30);
    lab.wait(1);
    udp("10.0.0.2", 5000, "10.0.0.9", 53);
    expect([left(), conntrackList(lab.ns)[0].assured]).toEqual([120, true]);
  });

  it("disappears when its time is over, and the count follows", () => {
    lab = makeLab();
    udp("10.0.0.2", 5000, "10.0.0.9", 53);
    expect(lab.ns.sysctl.get("net.netfilter.nf_conntrack_count")).toBe("1");
    lab.wait(31);
    expect(lab.ns.sysctl.get("net.netfilter.nf_conntrack_count")).toBe("0");
    expect(lab.sim.nextNs()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("ICMP", () => {
  afterEach(() => expect(lab.pool.outstanding).toBe(0));

  it("makes a flow of echo request and reply", () => {
    lab = makeLab();
    const id = 0x1234;
    track(lab, ipPacket(lab, 1, "10.0.0.2", "10.0.0.9", icmpBytes(8, 0, (id << 16) | 1, ASK)));
    const reply = track(lab, ipPacket(lab, 1, "10.0.0.9", "10.0.0.2", icmpBytes(0, 0, (id << 16) | 1, ASK)));
    expect(reply!.conn).toBe(lab.ct.head);
    expect(lab.ct.count).toBe(1);
  });

  it("does not begin with a reply or an unknown type", () => {
    lab = makeLab();
    for (const type of [0, 7, 9, 19, 200]) {
      expect(
        track(lab, ipPacket(lab, 1, "10.0.0.2", "10.0.0.9", icmpBytes(type, 0, 1, ASK)))!.conn,
      ).toBeNull();
    }
    expect(lab.ct.count).toBe(0);
  });

  it("errors belong to the flow that they quote, if they come to its sender", () => {
    lab = makeLab();
    const sent = pass(lab, ipPacket(lab, 17, "10.0.0.2", "10.0.0.9", udpBytes(5000, 53, ASK)))!;
    const quote = sent.bytes.slice(sent.data, sent.tail);
    sent.consume();
    const error = (to: string) => track(lab, ipPacket(lab, 1, "10.0.0.77", to, icmpBytes(3, 3, 0, quote)));
    expect(error("10.0.0.2")).toEqual({ conn: lab.ct.head, info: IP_CT_RELATED_REPLY });
    expect(error("10.0.0.3")!.conn).toBeNull();
    lab.ct.kill(lab.ct.head!);
    expect(error("10.0.0.2")!.conn).toBeNull();
    expect(lab.ct.stats.error).toBe(2);
  });
});

describe("connection tracking", () => {
  afterEach(() => expect(lab.pool.outstanding).toBe(0));

  it("keeps nothing of packets that never leave", () => {
    lab = makeLab();
    expect(udp("10.0.0.2", 5000, "10.0.0.9", 53, [NF_INET_PRE_ROUTING])!.info).toBe(IP_CT_NEW);
    expect(lab.ct.count).toBe(0);
  });

  it("moves the second of two unconfirmed UDP packets to the first one's entry and drops a TCP one", () => {
    lab = makeLab();
    const two = (l4: Uint8Array, proto: number) =>
      [0, 1].map(() => pass(lab, ipPacket(lab, proto, "10.0.0.2", "10.0.0.9", l4), [NF_INET_PRE_ROUTING])!);
    const [a, b] = two(udpBytes(1, 2, ASK), 17);
    track(lab, a, [4]);
    expect(track(lab, b, [4])!.conn).toBe(lab.ct.head);
    const [c, d] = two(tcpBytes(1, 2, { flags: SYN }), 6);
    track(lab, c, [4]);
    expect(pass(lab, d, [4])).toBeNull();
    expect([lab.ct.stats.clashResolve, lab.ct.stats.insertFailed]).toEqual([1, 1]);
  });

  it("leaves an untracked packet alone", () => {
    lab = makeLab();
    const skb = ipPacket(lab, 17, "10.0.0.2", "10.0.0.9", udpBytes(1, 2, ASK));
    skb.ctInfo = IP_CT_UNTRACKED;
    expect(track(lab, skb)).toEqual({ conn: null, info: IP_CT_UNTRACKED });
    expect(lab.ct.count).toBe(0);
  });

  it("drops the packet and says so when the table is full of assured flows, else sacrifices one", () => {
    lab = makeLab();
    lab.ns.sysctl.set("net.netfilter.nf_conntrack_max", "2");
    for (const port of [1, 2, 3]) udp("10.0.0.2", port, "10.0.0.9", 53);
    expect([lab.ct.count, lab.ct.stats.earlyDrop]).toEqual([2, 1]);
    for (const { conn } of conntrackList(lab.ns)) conn.status |= IPS_ASSURED;
    expect(udp("10.0.0.2", 4, "10.0.0.9", 53)).toBeNull();
    expect(lab.kernel.log.map(({ text }) => text)).toEqual([
      "nf_conntrack: nf_conntrack: table full, dropping packet",
    ]);
  });

  it("has the lifetimes and the switches as parameters, and refuses the others", () => {
    lab = makeLab();
    const { sysctl } = lab.ns;
    sysctl.set("net.netfilter.nf_conntrack_udp_timeout", "5");
    udp("10.0.0.2", 5000, "10.0.0.9", 53);
    expect(conntrackList(lab.ns)[0].expiresS).toBe(5);
    expect(sysctl.get("net.netfilter.nf_conntrack_tcp_timeout_established")).toBe("432000");
    expect(() => sysctl.set("net.netfilter.nf_conntrack_count", "1")).toThrow(SysError);
  });

  it("is listed, changed and deleted by filter", () => {
    lab = makeLab();
    for (const port of [1, 2, 3]) udp("10.0.0.2", port, "10.0.0.9", 53);
    track(lab, ipPacket(lab, 6, "10.0.0.2", "10.0.0.9", tcpBytes(1, 80, { flags: SYN })));
    expect(conntrackList(lab.ns, { proto: 17, origSport: 2 }).length).toBe(1);
    expect(conntrackList(lab.ns, { origSrc: { value: ip("10.0.0.0"), mask: -256 } }).length).toBe(4);
    expect(conntrackUpdate(lab.ns, { proto: 6 }, { mark: { value: 5, mask: -1 } }, 9)[0].conn.mark).toBe(5);
    expect(conntrackDelete(lab.ns, { proto: 17 }, 9).length).toBe(3);
    expect(udp("10.0.0.2", 1, "10.0.0.9", 53)!.info).toBe(IP_CT_NEW);
    expect(conntrackList(lab.ns).length).toBe(2);
  });

  it("reassembles a fragmented packet before it looks it up", () => {
    lab = makeLab(1, [ipv4Init]);
    const whole = ipPacket(lab, 17, "10.0.0.2", "10.0.0.9", udpBytes(1, 2, new Uint8Array(24).fill(7)));
    const bytes = whole.bytes.slice(whole.data, whole.tail);
    whole.consume();
    const fragment = (from: number, to: number, field: number): Skb => {
      const skb = lab.pool.from(
        Uint8Array.of(...bytes.subarray(0, 20), ...bytes.subarray(20 + from, 20 + to)),
      );
      skb.netOff = skb.data;
      skb.dev = lab.ns.addDevice(`d${from}`, { kind: "dummy", xmit: (each) => each.consume() }, 0, 1500);
      skb.view.setUint16(skb.data + 2, 20 + to - from);
      skb.view.setUint16(skb.data + 6, field);
      ipChecksumSet(skb.view, skb.data);
      return skb;
    };
    expect(pass(lab, fragment(16, 32, 2))).toBeNull();
    expect(lab.pool.outstanding).toBe(1);
    const skb = pass(lab, fragment(0, 16, 0x2000))!;
    expect(skb.ct).toBe(lab.ct.head);
    expect(skb.tail - skb.netOff).toBe(52);
    skb.consume();
  });

  it("sees a loopback packet's connection on its second pass without another lookup", () => {
    lab = makeLab();
    const skb = ipPacket(lab, 17, "127.0.0.1", "127.0.0.1", udpBytes(1, 2, ASK));
    const first = pass(lab, skb, [3, 4])!.ct;
    expect(track(lab, skb, [0, 1])!.conn).toBe(first);
    expect(udp("127.0.0.1", 2, "127.0.0.1", 1, [NF_INET_PRE_ROUTING])!.conn).toBe(first);
    expect(udp("127.0.0.1", 1, "127.0.0.1", 2, [NF_INET_PRE_ROUTING])!.info).toBe(IP_CT_ESTABLISHED);
  });
});

it("the table finds what a plain map finds, whatever comes and goes", () => {
  const tuple = fc.record({ src: fc.integer({ min: 0, max: 9 }), sport: fc.integer({ min: 0, max: 9 }) });
  const step = fc.tuple(fc.boolean(), tuple);
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { maxLength: 400 }), (key, steps) => {
      const table = new ConnTable(key);
      const model = new Map<string, Conn>();
      for (const [add, { src, sport }] of steps) {
        const name = `${src}:${sport}`;
        const known = model.get(name);
        if (add && known === undefined) {
          const conn = new Conn(17, src, 1000, sport, 53);
          conn.replSrc = 1000;
          conn.replDst = src;
          conn.replSport = 53;
          conn.replDport = sport;
          table.insert(conn, false);
          model.set(name, conn);
        } else if (!add && known !== undefined) {
          table.remove(known);
          model.delete(name);
        }
      }
      expect(table.count).toBe(model.size);
      for (let src = 0; src < 10; src++) {
        for (let sport = 0; sport < 10; sport++) {
          const expected = model.get(`${src}:${sport}`) ?? null;
          expect(table.find(src, 1000, sport, 53, 17)).toBe(expected);
          expect(table.find(1000, src, 53, sport, 17)).toBe(expected);
          if (expected !== null) expect(table.foundDir).toBe(1);
        }
      }
    }),
  );
});

/** Zones of connection tracking (nf_conntrack_zones.h): what `conntrack -L` shows of them, and which tuples they keep apart. */
import { describe, expect, it } from "vitest";
import { NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING } from "../../src/net/core/hooks.ts";
import {
  NF_CT_DEFAULT_ZONE_DIR,
  NF_CT_FLAG_MARK,
  NF_CT_ZONE_DIR_ORIG,
  NF_CT_ZONE_DIR_REPL,
} from "../../src/net/netfilter/conntrack/conn.ts";
import { ctOf } from "../../src/net/netfilter/conntrack/conntrack.ts";
import { natOf, nfNatSetupInfo } from "../../src/net/netfilter/nat/nat.ts";
import { NF_NAT_MANIP_SRC, NF_NAT_RANGE_MAP_IPS } from "../../src/net/netfilter/nat/nat-range.ts";
import { icmpBytes, ip, ipPacket, type Lab, makeLab, track, udpBytes } from "./packets.ts";
import { run } from "./typed.ts";

const A = "10.0.0.2";
const B = "10.1.0.2";

/** A UDP packet that a rule has sent into a zone before tracking sees it; without a zone there was no such rule. */
function send(lab: Lab, src: string, dst: string, ports: [number, number], zone = 0, flags = 0, mark = 0) {
  const skb = ipPacket(lab, 17, src, dst, udpBytes(...ports, new Uint8Array(5)));
  skb.mark = mark;
  if (flags !== 0) skb.ct = lab.ct.template(zone, flags);
  return track(lab, skb)!;
}

function list(lab: Lab, words = ""): string[] {
  const { stdout } = run(lab, `conntrack -L ${words}`);
  return stdout.split("\n").filter((line) => line !== "");
}

describe("zones", () => {
  it("keep equal tuples apart, and are shown where the real tool shows them", () => {
    const lab = makeLab();
    send(lab, A, B, [1, 2]);
    send(lab, A, B, [1, 2], 3, NF_CT_DEFAULT_ZONE_DIR);
    send(lab, "10.0.0.4", B, [1, 2], 4, NF_CT_ZONE_DIR_ORIG);
    send(lab, "10.0.0.5", B, [1, 2], 5, NF_CT_ZONE_DIR_REPL);
    const end = "src=10.1.0.2 dst=10.0.0.2 sport=2 dport=1";
    expect(list(lab)).toEqual([
      `udp      17 30 src=10.0.0.2 dst=10.1.0.2 sport=1 dport=2 [UNREPLIED] ${end} mark=0 use=1`,
      `udp      17 30 src=10.0.0.2 dst=10.1.0.2 sport=1 dport=2 [UNREPLIED] ${end} mark=0 zone=3 use=1`,
      "udp      17 30 src=10.0.0.4 dst=10.1.0.2 sport=1 dport=2 zone-orig=4 [UNREPLIED] src=10.1.0.2 dst=10.0.0.4 sport=2 dport=1 mark=0 use=1",
      "udp      17 30 src=10.0.0.5 dst=10.1.0.2 sport=1 dport=2 [UNREPLIED] src=10.1.0.2 dst=10.0.0.5 sport=2 dport=1 zone-reply=5 mark=0 use=1",
    ]);
    expect(list(lab, "-w 3")).toHaveLength(1);
    expect(list(lab, "--orig-zone 4")).toHaveLength(1);
    expect(list(lab, "--reply-zone 5")).toHaveLength(1);
    expect(list(lab, "-w 0")).toHaveLength(3);
    expect(list(lab, "-w 4")).toHaveLength(0);
  });

  it("of one direction take answers from the common zone", () => {
    const lab = makeLab();
    const first = send(lab, A, B, [1, 2], 4, NF_CT_ZONE_DIR_ORIG);
    expect(send(lab, B, A, [2, 1]).conn).toBe(first.conn);
    expect(send(lab, A, B, [1, 2]).conn).not.toBe(first.conn);
    expect(send(lab, A, B, [1, 2], 4, NF_CT_ZONE_DIR_ORIG).conn).toBe(first.conn);
  });

  it("of both directions do not", () => {
    const lab = makeLab();
    const first = send(lab, A, B, [1, 2], 4, NF_CT_DEFAULT_ZONE_DIR);
    expect(send(lab, B, A, [2, 1]).conn).not.toBe(first.conn);
    expect(send(lab, B, A, [2, 1], 4, NF_CT_DEFAULT_ZONE_DIR).conn).toBe(first.conn);
  });

  it("may be the low half of the packet's mark", () => {
    const lab = makeLab();
    send(lab, A, B, [1, 2], 0, NF_CT_DEFAULT_ZONE_DIR | NF_CT_FLAG_MARK, 0x50007);
    expect(list(lab, "-w 7")).toHaveLength(1);
  });

  it("have their own errors", () => {
    const lab = makeLab();
    const { conn } = send(lab, A, B, [1, 2], 3, NF_CT_DEFAULT_ZONE_DIR);
    const error = () => {
      const quoted = ipPacket(lab, 17, A, B, udpBytes(1, 2, new Uint8Array(5)));
      const bytes = quoted.bytes.slice(quoted.data, quoted.tail);
      quoted.consume();
      return ipPacket(lab, 1, B, A, icmpBytes(3, 3, 0, bytes));
    };
    expect(track(lab, error())!.conn).toBeNull();
    const zoned = error();
    zoned.ct = lab.ct.template(3, NF_CT_DEFAULT_ZONE_DIR);
    expect(track(lab, zoned)!.conn).toBe(conn);
  });

  it("have their own ports of NAT", () => {
    const lab = makeLab();
    natOf(lab.ns).registerTable(NF_INET_POST_ROUTING, (ns, skb) => {
      const addr = ip("192.0.2.1");
      const range = { flags: NF_NAT_RANGE_MAP_IPS, minAddr: addr, maxAddr: addr, minPort: 0, maxPort: 0 };
      return nfNatSetupInfo(ns, skb, ctOf(skb)!, range, NF_NAT_MANIP_SRC);
    });
    const hooks = [NF_INET_PRE_ROUTING, NF_INET_POST_ROUTING] as const;
    const port = (src: string, zone: number): number => {
      const skb = ipPacket(lab, 17, src, B, udpBytes(1, 2, new Uint8Array(5)));
      if (zone !== 0) skb.ct = lab.ct.template(zone, NF_CT_DEFAULT_ZONE_DIR);
      return track(lab, skb, hooks)!.conn!.replDport;
    };
    expect(port(A, 0)).toBe(1);
    expect(port("10.0.0.3", 1)).toBe(1);
    expect(port("10.0.0.4", 0)).not.toBe(1);
  });
});

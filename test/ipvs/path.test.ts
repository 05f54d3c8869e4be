/**
 * The path of packets through IPVS: a director between clients and backends, frames in and out. What is expected here was
 * seen in a real kernel by the oracle (test/oracle-ipvs) or stands in the places named.
 */
import { afterEach, describe, expect, it } from "vitest";
import { fromHex, get16, ipText, tcpFlagBits } from "../oracle/packet.ts";
import { type StationPacket, stationFrames } from "../oracle-ipvs/frames.ts";
import { MeshSide } from "../oracle-ipvs/mesh-side.ts";
import { network, VIP } from "../oracle-ipvs/topologies.ts";

const TCP = 6;
const UDP = 17;
const SEC = 1e9;

const MARK = "-A PREROUTING -p tcp -m tcp --dport 9000 -j MARK --set-mark 0x100";

/** What came out of a card. */
interface Out {
  readonly card: number;
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly ttl: number;
  readonly bytes: Uint8Array;
}

type ClientPacket = Omit<StationPacket, "id" | "card" | "station" | "dst">;

class Bench {
  private readonly side: MeshSide;
  private id = 1;

  constructor(
    commands: readonly string[],
    sysctl: Readonly<Record<string, string>> = {},
    sets: readonly string[] = [],
  ) {
    this.side = new MeshSide({
      name: "path",
      seed: 1,
      cards: 5,
      ip: [...network(), ...sets],
      sysctl: [
        ["net.ipv4.ip_forward", "1"],
        ...Object.entries(sysctl).map(([name, value]) => [`net.ipv4.${name}`, value] as const),
      ],
      restore: `*mangle\n${MARK}\nCOMMIT\n`,
      services: [],
      steps: [],
    });
    for (const command of commands) this.run(command);
  }

  run(command: string): string {
    const answer = this.side.step({ kind: "run", run: command });
    const { status, out } = answer as { status: number; out: string };
    expect(status, `${command}: ${out}`).toBe(0);
    return out;
  }

  /** A TCP packet of flow `sport`. */
  tcp(sport: number, flags: string, more: object = {}): Out[] {
    return this.send(String(sport), { protocol: TCP, src: "10.1.0.10", sport, dport: 9000, flags, ...more });
  }

  udp(sport: number, dport: number, more: object = {}): Out[] {
    return this.send(String(sport), { protocol: UDP, src: "10.1.0.10", sport, dport, flags: "", ...more });
  }

  /** The backend answers what it got last of the flow. */
  answer(sport: number, flags = "A"): Out[] {
    return outs(
      this.side.step({ kind: "reply", flow: String(sport), at: "b", flags: tcpFlagBits(flags), note: "" }),
    );
  }

  /** The backend or the client sends an ICMP error about what it got last. */
  icmp(sport: number, at: "b" | "c", type: number, code: number, damaged = false): Out[] {
    return outs(this.side.step({ kind: "icmp", flow: String(sport), at, type, code, damaged }));
  }

  wait(seconds: number): void {
    this.side.live.lab.wait(seconds * SEC);
  }

  /** `PROTO STATE DESTINATION`, expiry in seconds. */
  conns(): [string, number][] {
    const rows = this.run("ipvsadm -Lnc").trim().split("\n").slice(2);
    return rows.map((row) => {
      const [protocol, expire, state, , , to] = row.split(/\s+/);
      const [minutes, seconds] = expire.split(":").map(Number);
      return [`${protocol} ${state} ${to}`, minutes * 60 + seconds];
    });
  }

  close(): void {
    expect(this.side.close()).toBe(0);
  }

  private send(flow: string, packet: ClientPacket): Out[] {
    const station = Number(packet.src.split(".")[3]) + 6;
    const frames = stationFrames({ id: this.id++, card: 0, station, dst: VIP, ...packet });
    return outs(this.side.step({ kind: "send", flow, card: 0, frames, note: "" }));
  }
}

function outs(answer: ReturnType<MeshSide["step"]>): Out[] {
  return (answer as readonly (readonly [number, string])[]).map(([card, hex]) => {
    const bytes = fromHex(hex);
    return {
      card,
      src: ipText(bytes, 26),
      dst: ipText(bytes, 30),
      protocol: bytes[23],
      ttl: bytes[22],
      bytes,
    };
  });
}

const cards = (list: readonly Out[]) => list.map(({ card }) => card);

const TWO = [
  "ipvsadm -A -f 256 -s rr",
  "ipvsadm -a -f 256 -r 10.0.1.2:0 -m",
  "ipvsadm -a -f 256 -r 10.0.2.2:0 -m",
];

let bench: Bench;
afterEach(() => bench.close());

describe("a masquerading service by mark", () => {
  it("sends flows round the backends, the one added last first, and answers as the virtual address", () => {
    bench = new Bench(TWO);
    expect([1, 2, 3].map((port) => cards(bench.tcp(port, "S"))[0])).toEqual([2, 1, 2]);
    const [request] = bench.tcp(1, "A");
    expect([request.src, request.dst, request.ttl]).toEqual(["10.1.0.10", "10.0.2.2", 63]);
    const [reply] = bench.answer(1, "SA");
    expect([reply.card, reply.src, reply.dst, reply.ttl]).toEqual([0, "10.1.0.1", "10.1.0.10", 63]);
    expect(get16(reply.bytes, 34)).toBe(9000);
  });

  it("counts connections, packets and bytes when the estimator has run", () => {
    bench = new Bench(TWO);
    bench.tcp(1, "S");
    bench.answer(1, "SA");
    bench.tcp(1, "A");
    const stats = () =>
      bench.run("ipvsadm -Ln --stats").split("\n")[3].trim().split(/\s+/).slice(-5).map(Number);
    expect(stats()).toEqual([0, 0, 0, 0, 0]);
    bench.wait(2.1);
    expect(stats()).toEqual([1, 2, 1, 80, 40]);
  });

  it("follows the states of TCP with their timeouts, and counts active and inactive connections", () => {
    bench = new Bench(TWO);
    const counts = () => bench.run("ipvsadm -Ln | grep 10.0.2.2").trim().split(/\s+/).slice(-2).map(Number);
    bench.tcp(1, "S");
    expect(bench.conns()).toEqual([["TCP SYN_RECV 10.0.2.2:9000", 59]]);
    expect(counts()).toEqual([1, 0]);
    bench.answer(1, "SA");
    bench.tcp(1, "A");
    expect(bench.conns()).toEqual([["TCP ESTABLISHED 10.0.2.2:9000", 899]]);
    bench.answer(1, "FA");
    expect(bench.conns()).toEqual([["TCP FIN_WAIT 10.0.2.2:9000", 119]]);
    expect(counts()).toEqual([0, 1]);
    bench.tcp(1, "FA");
    expect(bench.conns()).toEqual([["TCP TIME_WAIT 10.0.2.2:9000", 119]]);
    bench.wait(121);
    expect(bench.conns()).toEqual([]);
    expect(counts()).toEqual([0, 0]);
  });

  it("leaves packets that are no request of a new connection to the machine itself", () => {
    bench = new Bench(TWO);
    const [reset] = bench.tcp(1, "A");
    expect([reset.card, reset.src, reset.bytes[47] & 4]).toEqual([0, "10.1.0.1", 4]);
    expect(bench.conns()).toEqual([]);
  });

  it("keeps connections of a backend of weight 0 and gives it no new ones", () => {
    bench = new Bench(TWO);
    expect(cards(bench.tcp(1, "S"))).toEqual([2]);
    bench.run("ipvsadm -e -f 256 -r 10.0.2.2:0 -m -w 0");
    expect(cards(bench.tcp(1, "A"))).toEqual([2]);
    expect([2, 3].map((port) => cards(bench.tcp(port, "S"))[0])).toEqual([1, 1]);
  });

  it("says port unreachable when no backend takes the connection", () => {
    bench = new Bench(["ipvsadm -A -f 256 -s rr"]);
    const [error] = bench.tcp(1, "S");
    expect([error.card, error.protocol, error.bytes[34], error.bytes[35]]).toEqual([0, 1, 3, 3]);
    expect(bench.conns()).toEqual([]);
  });
});

describe("a deleted backend", () => {
  it("leaves its connections, whose packets are dropped, until it comes back", () => {
    bench = new Bench(TWO);
    bench.tcp(1, "S");
    bench.run("ipvsadm -d -f 256 -r 10.0.2.2:0");
    expect(bench.tcp(1, "A")).toEqual([]);
    expect(bench.conns().map(([text]) => text)).toEqual(["TCP SYN_RECV 10.0.2.2:9000"]);
    bench.run("ipvsadm -a -f 256 -r 10.0.2.2:0 -m");
    expect(cards(bench.tcp(1, "A"))).toEqual([2]);
    expect(bench.run("ipvsadm -Ln | grep 10.0.2.2").trim().split(/\s+/).at(-2)).toBe("1");
  });

  it("takes its connections along a tick later with expire_nodest_conn", () => {
    bench = new Bench(TWO, { "vs.expire_nodest_conn": "1" });
    bench.tcp(1, "S");
    bench.run("ipvsadm -d -f 256 -r 10.0.2.2:0");
    expect(bench.conns()).toEqual([]);
    expect(cards(bench.tcp(1, "S"))).toEqual([1]);
  });

  it("has its counters again when it comes back within two minutes, not later", () => {
    bench = new Bench(TWO);
    const conns = () => bench.run("ipvsadm -Ln --stats | grep 10.0.2.2").trim().split(/\s+/)[2];
    bench.tcp(1, "S");
    bench.answer(1, "RA");
    bench.wait(12);
    for (const [away, count] of [
      [60, "1"],
      [400, "0"],
    ] as const) {
      bench.run("ipvsadm -d -f 256 -r 10.0.2.2:0");
      bench.wait(away);
      bench.run("ipvsadm -a -f 256 -r 10.0.2.2:0 -m");
      bench.wait(2.1);
      expect(conns()).toBe(count);
    }
  });
});

describe("what goes wrong on the way", () => {
  it("an ICMP error of a backend reaches the client as one about its own packet", () => {
    bench = new Bench(TWO);
    bench.tcp(1, "S");
    const [error] = bench.icmp(1, "b", 3, 3);
    expect([error.card, error.src, error.dst]).toEqual([0, "10.1.0.1", "10.1.0.10"]);
    expect([ipText(error.bytes, 54), ipText(error.bytes, 58), get16(error.bytes, 64)]).toEqual([
      "10.1.0.10",
      "10.1.0.1",
      9000,
    ]);
  });

  it("an ICMP error of a client reaches the backend as one about its own packet", () => {
    bench = new Bench(TWO);
    bench.tcp(1, "S");
    bench.answer(1, "SA");
    const [error] = bench.icmp(1, "c", 3, 4);
    expect([error.card, error.dst]).toEqual([2, "10.0.2.2"]);
    expect([ipText(error.bytes, 54), get16(error.bytes, 62)]).toEqual(["10.0.2.2", 9000]);
  });

  it("an ICMP error with a wrong checksum is not mended but dropped, both ways", () => {
    bench = new Bench(TWO);
    bench.tcp(1, "S");
    expect(bench.icmp(1, "b", 3, 3, true)).toEqual([]);
    bench.answer(1, "SA");
    expect(bench.icmp(1, "c", 3, 4, true)).toEqual([]);
  });

  it("a packet whose life ends here is answered with time exceeded and counts as sent nowhere", () => {
    bench = new Bench(TWO);
    const [error] = bench.tcp(1, "S", { ttl: 1 });
    expect([error.card, error.protocol, error.bytes[34], error.bytes[35]]).toEqual([0, 1, 11, 0]);
    expect([ipText(error.bytes, 58), get16(error.bytes, 64)]).toEqual(["10.1.0.1", 9000]);
  });

  it("a packet too big for the way to the backend is answered with the MTU when it must not be fragmented", () => {
    bench = new Bench(TWO, {}, ["link set eth2 mtu 1000", "link set eth1 mtu 1000"]);
    bench.tcp(1, "S");
    const [error] = bench.tcp(1, "PA", { size: 1200, df: true });
    expect([error.card, error.bytes[34], error.bytes[35], get16(error.bytes, 40)]).toEqual([0, 3, 4, 1000]);
    const pieces = bench.tcp(1, "PA", { size: 1200 });
    expect(pieces.map(({ card, bytes }) => [card, get16(bytes, 20) & 0x2000])).toEqual([
      [2, 0x2000],
      [2, 0],
    ]);
  });
});

describe("other services", () => {
  it("UDP flows keep their backend for five minutes, datagrams of a one-packet service do not", () => {
    bench = new Bench([
      "ipvsadm -A -u 10.1.0.1:53 -s rr",
      "ipvsadm -a -u 10.1.0.1:53 -r 10.0.1.2:53 -m",
      "ipvsadm -a -u 10.1.0.1:53 -r 10.0.2.2:53 -m",
    ]);
    expect([0, 1, 2].map(() => cards(bench.udp(7, 53))[0])).toEqual([2, 2, 2]);
    expect(bench.conns()).toEqual([["UDP UDP 10.0.2.2:53", 299]]);
    bench.run("ipvsadm -E -u 10.1.0.1:53 -s rr -o");
    expect([0, 1, 2].map(() => cards(bench.udp(8, 53))[0])).toEqual([1, 2, 1]);
    expect(bench.conns()).toHaveLength(1);
  });

  it("a persistent client stays with its backend; its template stays while it is used", () => {
    bench = new Bench(["ipvsadm -A -f 256 -s rr -p 50", ...TWO.slice(1)]);
    expect([1, 2, 3].map((port) => cards(bench.tcp(port, "S"))[0])).toEqual([2, 2, 2]);
    const template = () => bench.conns().find(([text]) => text.startsWith("IP "));
    expect(template()).toEqual(["IP NONE 10.0.2.2:0", 49]);
    bench.answer(1, "SA");
    bench.tcp(1, "A");
    expect(template()![0]).toBe("IP ASSURED 10.0.2.2:0");
    bench.wait(55);
    expect(template()![1]).toBeGreaterThan(50);
  });

  it("a template of a backend of weight 0 gives way to one that stays, with expire_quiescent_template", () => {
    bench = new Bench(["ipvsadm -A -f 256 -s nq -p 300", ...TWO.slice(1)], {
      "vs.expire_quiescent_template": "1",
    });
    expect(cards(bench.tcp(1, "S"))).toEqual([2]);
    bench.run("ipvsadm -e -f 256 -r 10.0.2.2:0 -m -w 0");
    expect(cards(bench.tcp(2, "S"))).toEqual([1]);
    bench.run("ipvsadm -a -f 256 -r 10.0.3.2:0 -m -w 5");
    expect(cards(bench.tcp(3, "S"))).toEqual([1]);
    expect(cards(bench.tcp(1, "A"))).toEqual([2]);
  });

  it("an error that the director itself sends about a directly routed flow counts as a reply", () => {
    bench = new Bench(["ipvsadm -A -u 10.1.0.1:53 -s rr", "ipvsadm -a -u 10.1.0.1:53 -r 10.0.1.2:53 -g"]);
    expect(cards(bench.udp(7, 53))).toEqual([1]);
    const [error] = bench.udp(7, 53, { ttl: 1 });
    expect([error.card, error.src, error.bytes[34]]).toEqual([0, "10.1.0.1", 11]);
    bench.wait(2.1);
    expect(bench.run("ipvsadm -Ln --stats | tail -1").trim().split(/\s+/).slice(2)).toEqual([
      "1",
      "2",
      "1",
      "64",
      "60",
    ]);
  });
});

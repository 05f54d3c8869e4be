import { afterEach, describe, expect, it } from "vitest";
import { IP_CT_ESTABLISHED, IP_CT_ESTABLISHED_REPLY, IP_CT_NEW } from "../../src/net/core/skb.ts";
import { type CtDir, IPS_ASSURED, TCP_CONNTRACK_NAMES } from "../../src/net/netfilter/conntrack/conn.ts";
import { tcpNextState } from "../../src/net/netfilter/conntrack/proto-tcp.ts";
import { SEC } from "../../src/sim/sim.ts";
import {
  ACK,
  FIN,
  ipPacket,
  type Lab,
  makeLab,
  PSH,
  RST,
  SYN,
  type TcpFields,
  tcpBytes,
  track,
} from "./packets.ts";

const CLIENT = "192.168.200.1";
const SERVER = "10.0.0.7";
const C0 = 1000;
const S0 = 0x7ffffff0; // The server's numbers cross the sign bit of an int32.
const OPTIONS = { mss: 1460, wscale: 7, sackPermitted: true };

let lab: Lab;

function client(fields: TcpFields) {
  return track(lab, ipPacket(lab, 6, CLIENT, SERVER, tcpBytes(40000, 80, fields)));
}

function server(fields: TcpFields) {
  return track(lab, ipPacket(lab, 6, SERVER, CLIENT, tcpBytes(80, 40000, fields)));
}

function state(): string {
  const conn = lab.ct.head;
  return conn === null ? "-" : TCP_CONNTRACK_NAMES[conn.tcpState];
}

function secondsLeft(): number {
  return (lab.ct.head!.timeoutNs - lab.sim.now) / SEC;
}

function handshake(): void {
  client({ flags: SYN, seq: C0, options: OPTIONS });
  server({ flags: SYN | ACK, seq: S0, ack: C0 + 1, win: 65160, options: OPTIONS });
  client({ flags: ACK, seq: C0 + 1, ack: S0 + 1, win: 502 });
}

describe("the TCP tracker", () => {
  afterEach(() => expect(lab.pool.outstanding).toBe(0));

  it("follows a connection from SYN to TIME_WAIT with the kernel's timeouts", () => {
    lab = makeLab();
    expect(client({ flags: SYN, seq: C0, options: OPTIONS })!.info).toBe(IP_CT_NEW);
    expect([state(), secondsLeft()]).toEqual(["SYN_SENT", 120]);
    const reply = server({ flags: SYN | ACK, seq: S0, ack: C0 + 1, win: 65160, options: OPTIONS });
    expect(reply!.info).toBe(IP_CT_ESTABLISHED_REPLY);
    expect([state(), secondsLeft()]).toEqual(["SYN_RECV", 60]);
    expect(client({ flags: ACK, seq: C0 + 1, ack: S0 + 1, win: 502 })!.info).toBe(IP_CT_ESTABLISHED);
    expect([state(), secondsLeft()]).toEqual(["ESTABLISHED", 432000]);
    expect(lab.ct.head!.status & IPS_ASSURED).not.toBe(0);
    client({ flags: PSH | ACK, seq: C0 + 1, ack: S0 + 1, win: 502, len: 83 });
    expect(secondsLeft()).toBe(300);
    server({ flags: ACK, seq: S0 + 1, ack: C0 + 84, win: 509 });
    expect(secondsLeft()).toBe(432000);
    client({ flags: FIN | ACK, seq: C0 + 84, ack: S0 + 1, win: 502 });
    expect([state(), secondsLeft()]).toEqual(["FIN_WAIT", 120]);
    server({ flags: FIN | ACK, seq: S0 + 1, ack: C0 + 85, win: 509 });
    expect([state(), secondsLeft()]).toEqual(["LAST_ACK", 30]);
    client({ flags: ACK, seq: C0 + 85, ack: S0 + 2, win: 502 });
    expect([state(), secondsLeft()]).toEqual(["TIME_WAIT", 120]);
    lab.wait(120);
    expect(lab.ct.count).toBe(0);
  });

  it("keeps nothing of a refused connection", () => {
    lab = makeLab();
    client({ flags: SYN, seq: C0 });
    expect(server({ flags: RST | ACK, seq: 0, ack: C0 + 1 })!.info).toBe(IP_CT_ESTABLISHED_REPLY);
    expect(lab.ct.count).toBe(0);
  });

  it("does not restart the clock for a retransmitted SYN", () => {
    lab = makeLab();
    client({ flags: SYN, seq: C0 });
    lab.wait(3);
    client({ flags: SYN, seq: C0 });
    expect([state(), secondsLeft()]).toEqual(["SYN_SENT", 117]);
  });

  it("closes on a reset with the exact number and keeps 10 s", () => {
    lab = makeLab();
    handshake();
    client({ flags: RST | ACK, seq: C0 + 1, ack: S0 + 1 });
    expect([state(), secondsLeft()]).toEqual(["CLOSE", 10]);
  });

  it("keeps ESTABLISHED for 10 s after an inexact reset in the window, and refuses an old one", () => {
    lab = makeLab();
    handshake();
    server({ flags: ACK, seq: S0 + 1, ack: C0 + 1, win: 509 });
    expect(client({ flags: RST, seq: C0 + 100 })!.conn).not.toBeNull();
    expect([state(), secondsLeft()]).toEqual(["ESTABLISHED", 10]);
    expect(client({ flags: RST, seq: C0 - 100 })!.conn).toBeNull();
    expect(lab.ct.stats.invalid).toBe(1);
  });

  it("opens a connection anew by a SYN in TIME_WAIT", () => {
    lab = makeLab();
    handshake();
    server({ flags: FIN | ACK, seq: S0 + 1, ack: C0 + 1, win: 509 });
    client({ flags: FIN | ACK, seq: C0 + 1, ack: S0 + 2, win: 502 });
    server({ flags: ACK, seq: S0 + 2, ack: C0 + 2, win: 509 });
    expect(state()).toBe("TIME_WAIT");
    const old = lab.ct.head;
    expect(client({ flags: SYN, seq: C0 + 90000 })!.info).toBe(IP_CT_NEW);
    expect(lab.ct.head).not.toBe(old);
    expect([lab.ct.count, state()]).toEqual([1, "SYN_SENT"]);
  });

  it("picks up a stray ACK as ESTABLISHED for 300 s, unless tcp_loose is 0", () => {
    lab = makeLab();
    client({ flags: ACK, seq: 5, ack: 7 });
    expect([state(), secondsLeft()]).toEqual(["ESTABLISHED", 300]);
    lab = makeLab();
    lab.ns.sysctl.set("net.netfilter.nf_conntrack_tcp_loose", "0");
    expect(client({ flags: ACK, seq: 5, ack: 7 })!.conn).toBeNull();
  });

  it.each([
    ["RST", RST],
    ["FIN", FIN],
    ["FIN-ACK", FIN | ACK],
    ["SYN-ACK", SYN | ACK],
    ["no flag", 0],
    ["SYN-FIN", SYN | FIN],
  ])("starts no flow by a stray %s", (_name, flags) => {
    lab = makeLab();
    expect(client({ flags, seq: 5, ack: 7 })!.conn).toBeNull();
    expect(lab.ct.count).toBe(0);
  });

  it("refuses data beyond the window and acks of unseen data, and learns nothing from old data", () => {
    lab = makeLab();
    handshake();
    server({ flags: ACK, seq: S0 + 1, ack: C0 + 1, win: 509 });
    expect(client({ flags: ACK, seq: C0 + 1 + 70_000_000, ack: S0 + 1, len: 10 })!.conn).toBeNull();
    expect(client({ flags: ACK, seq: C0 + 1, ack: S0 + 5000 })!.conn).toBeNull();
    const before = secondsLeft();
    lab.wait(1);
    expect(client({ flags: ACK, seq: C0 - 200_000, ack: S0 + 1 })!.conn).not.toBeNull();
    expect(secondsLeft()).toBe(before - 1);
    lab.ns.sysctl.set("net.netfilter.nf_conntrack_tcp_be_liberal", "1");
    expect(client({ flags: ACK, seq: C0 + 1, ack: S0 + 5000 })!.conn).not.toBeNull();
  });

  it("counts a SACK block as acknowledged data when it checks the window", () => {
    lab = makeLab();
    handshake();
    const sack = {
      sackCount: 1,
      sackLeft: Int32Array.of(S0 + 9000, 0, 0, 0),
      sackRight: Int32Array.of(S0 + 9500, 0, 0, 0),
    };
    expect(client({ flags: ACK, seq: C0 + 1, ack: S0 + 1, options: sack })!.conn).toBeNull();
    server({ flags: ACK, seq: S0 + 9000, ack: C0 + 1, win: 509, len: 500 });
    expect(client({ flags: ACK, seq: C0 + 1, ack: S0 + 1, options: sack })!.conn).not.toBeNull();
  });

  it("leaves a segment with a wrong checksum untracked at PRE_ROUTING", () => {
    lab = makeLab();
    const skb = ipPacket(lab, 6, CLIENT, SERVER, tcpBytes(40000, 80, { flags: SYN }));
    skb.view.setUint16(skb.netOff + 36, 0x1234);
    expect(track(lab, skb)!.conn).toBeNull();
    lab.ns.sysctl.set("net.netfilter.nf_conntrack_checksum", "0");
    const again = ipPacket(lab, 6, CLIENT, SERVER, tcpBytes(40000, 80, { flags: SYN }));
    again.view.setUint16(again.netOff + 36, 0x1234);
    expect(track(lab, again)!.conn).not.toBeNull();
  });

  it("gets in sync with a SYN that it had ignored once the server accepts it", () => {
    lab = makeLab();
    handshake();
    client({ flags: SYN, seq: C0 + 5000, options: OPTIONS });
    expect(state()).toBe("ESTABLISHED");
    server({ flags: SYN | ACK, seq: 77, ack: C0 + 5001, win: 65160, options: OPTIONS });
    expect(state()).toBe("SYN_RECV");
    client({ flags: ACK, seq: C0 + 5001, ack: 78, win: 502 });
    expect(state()).toBe("ESTABLISHED");
  });

  it("handles a simultaneous open", () => {
    lab = makeLab();
    client({ flags: SYN, seq: C0, options: OPTIONS });
    server({ flags: SYN, seq: S0, options: OPTIONS });
    expect(state()).toBe("SYN_SENT2");
    client({ flags: SYN | ACK, seq: C0, ack: S0 + 1, options: OPTIONS });
    expect(state()).toBe("SYN_RECV");
    server({ flags: ACK, seq: S0 + 1, ack: C0 + 1 });
    expect(state()).toBe("ESTABLISHED");
  });
});

describe("the TCP state table", () => {
  const rows: [CtDir, number, string][] = [
    [0, 0, "SS SS IG IG IG IG IG SS SS S2"],
    [0, 1, "IV IV SR IV IV IV IV IV IV SR"],
    [0, 2, "IV IV FW FW LA LA LA TW CL IV"],
    [0, 3, "ES IV ES ES CW CW TW TW CL IV"],
    [0, 4, "IV CL CL CL CL CL CL CL CL CL"],
    [0, 5, "IV IV IV IV IV IV IV IV IV IV"],
    [1, 0, "IV S2 IV IV IV IV IV SS IV S2"],
    [1, 1, "IV SR IG IG IG IG IG IG IG SR"],
    [1, 2, "IV IV FW FW LA LA LA TW CL IV"],
    [1, 3, "IV IG SR ES CW CW TW TW CL IG"],
    [1, 4, "IV CL CL CL CL CL CL CL CL CL"],
    [1, 5, "IV IV IV IV IV IV IV IV IV IV"],
  ];
  const short = ["NO", "SS", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "S2", "IV", "IG"];

  it.each(rows)("direction %i, segment kind %i: %s", (dir, index, row) => {
    const found = Array.from({ length: 10 }, (_, old) => short[tcpNextState(dir, index, old)]);
    expect(found.join(" ")).toBe(row);
  });
});

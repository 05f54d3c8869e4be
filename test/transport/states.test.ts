import { expect, test } from "vitest";
import type { Co, Process } from "../../src/host/process.ts";
import { sleep } from "../../src/host/process.ts";
import {
  acceptTcp,
  closeSocket,
  connectTcp,
  listenTcp,
  recvTcp,
  sendTcp,
  shutdownTcp,
} from "../../src/host/socket.ts";
import { updatePmtu } from "../../src/net/ipv4/route-exception.ts";
import { TCP_CLOSE, TCP_TIME_WAIT } from "../../src/net/ipv4/sock.ts";
import { tcpBind, tcpConnect, tcpNewSock } from "../../src/net/ipv4/tcp.ts";
import { tcpOf } from "../../src/net/ipv4/tcp-net.ts";
import type { TcpSock } from "../../src/net/ipv4/tcp-sock.ts";
import { tcpSetKeepalive } from "../../src/net/ipv4/tcp-timer.ts";
import { SysError } from "../../src/util/errors.ts";
import { Eye, ip, Lab } from "./lab.ts";

const SERVER = ip("192.168.200.10");
const CLIENT = ip("192.168.200.1");
const SEC = 1e9;

type Routine = (process: Process, sk: TcpSock) => Co<void>;

/** A connection with a routine at each end. */
function pair(lab: Lab, server: Routine, client: Routine): void {
  lab.server.spawn("s", lab.server.hostNs, function* (process) {
    const listener = listenTcp(process, 0, 80);
    yield* server(process, yield* acceptTcp(process, listener));
    return 0;
  });
  lab.client.spawn("c", lab.client.hostNs, function* (process) {
    yield* client(process, yield* connectTcp(process, SERVER, 80));
    return 0;
  });
}

function settled(lab: Lab): void {
  lab.run(200);
  expect(tcpOf(lab.client.hostNs).sockets()).toEqual([]);
  expect(tcpOf(lab.server.hostNs).sockets()).toEqual([]);
  expect(lab.pool.outstanding).toBe(0);
}

test("a half-closed connection still carries data the other way", () => {
  const lab = new Lab();
  let got = "";
  pair(
    lab,
    function* (_, sk) {
      while ((yield* recvTcp(sk)).length > 0);
      yield* sleep(2 * SEC);
      yield* sendTcp(sk, Buffer.from("late"));
    },
    function* (_, sk) {
      shutdownTcp(sk);
      for (let data = yield* recvTcp(sk); data.length > 0; data = yield* recvTcp(sk))
        got += Buffer.from(data);
    },
  );
  settled(lab);
  expect(got).toBe("late");
});

test("closing with unread data sends RST and the peer sees ECONNRESET", () => {
  const lab = new Lab();
  const eye = new Eye(lab.sim, lab.clientDev);
  let code = "";
  pair(
    lab,
    function* (process, sk) {
      yield* sleep(SEC);
      closeSocket(process, sk);
    },
    function* (_, sk) {
      yield* sendTcp(sk, Buffer.from("unread"));
      try {
        yield* recvTcp(sk);
      } catch (error) {
        code = (error as SysError).code;
      }
    },
  );
  settled(lab);
  expect(code).toBe("ECONNRESET");
  expect(eye.tcpLines().at(-1)).toMatch(/^80 \[R\.\]/);
});

test("both sides open at once and meet in one connection", () => {
  const lab = new Lab();
  const socks: TcpSock[] = [];
  const open = (machine: typeof lab.client, from: number, to: number): void => {
    machine.spawn("p", machine.hostNs, function* () {
      yield* sleep(SEC);
      const sk = tcpNewSock(machine.hostNs);
      tcpBind(sk, from, 4000);
      tcpConnect(sk, to, 4000);
      socks.push(sk);
      yield* sleep(SEC);
      return 0;
    });
  };
  lab.client.spawn("warm", lab.client.hostNs, function* (process) {
    try {
      yield* connectTcp(process, SERVER, 9);
    } catch {
      return 0;
    }
    return 1;
  });
  open(lab.client, CLIENT, SERVER);
  open(lab.server, SERVER, CLIENT);
  lab.run(3);
  expect(socks.map((sk) => sk.state)).toEqual([1, 1]);
});

test("both sides close at once and both wait in TIME-WAIT", () => {
  const lab = new Lab();
  const end: Routine = function* (process, sk) {
    yield* sleep(SEC - (lab.sim.now % SEC));
    closeSocket(process, sk);
  };
  pair(lab, end, end);
  lab.run(5);
  for (const machine of [lab.client, lab.server])
    expect(
      tcpOf(machine.hostNs)
        .sockets()
        .map((sk) => sk.state),
    ).toEqual([TCP_TIME_WAIT]);
  settled(lab);
});

test("a closed window is probed and opens when the reader reads", () => {
  const lab = new Lab();
  const eye = new Eye(lab.sim, lab.clientDev);
  let got = 0;
  pair(
    lab,
    function* (_, sk) {
      yield* sleep(10 * SEC);
      for (let data = yield* recvTcp(sk); data.length > 0; data = yield* recvTcp(sk)) got += data.length;
    },
    function* (_, sk) {
      yield* sendTcp(sk, Lab.pattern(400_000));
    },
  );
  settled(lab);
  expect(got).toBe(400_000);
  expect(eye.tcpLines().some((line) => line.startsWith("80 ") && line.includes("win 0 "))).toBe(true);
});

test("a port in TIME-WAIT cannot be bound again without SO_REUSEADDR", () => {
  const lab = new Lab();
  const codes: string[] = [];
  lab.server.spawn("s", lab.server.hostNs, function* (process) {
    const listener = listenTcp(process, 0, 80);
    for (;;) closeSocket(process, yield* acceptTcp(process, listener));
  });
  lab.client.spawn("c", lab.client.hostNs, function* (process) {
    closeSocket(process, yield* connectTcp(process, SERVER, 80, { sport: 45001 }));
    yield* sleep(SEC);
    try {
      yield* connectTcp(process, SERVER, 80, { sport: 45001 });
    } catch (error) {
      codes.push((error as SysError).code);
    }
    return 0;
  });
  lab.run(10);
  expect(codes).toEqual(["EADDRINUSE"]);
});

test("one lost segment of many is sent again by SACK, before any timeout", () => {
  let data = 0;
  const lab = new Lab(1, {
    pass: (frame, dev) => dev.addrLo !== 1 || frame.length < 1000 || ++data !== 40,
  });
  const eye = new Eye(lab.sim, lab.clientDev);
  let doneNs = 0;
  pair(
    lab,
    function* (_, sk) {
      while ((yield* recvTcp(sk)).length > 0);
      doneNs = lab.sim.now;
    },
    function* (process, sk) {
      yield* sendTcp(sk, Lab.pattern(200_000));
      closeSocket(process, sk);
    },
  );
  settled(lab);
  expect(data).toBeGreaterThan(138);
  expect(doneNs).toBeLessThan(100_000_000);
  expect(eye.tcpLines().some((line) => line.includes("sack 1"))).toBe(true);
});

test("each retransmission timeout draws a new transmit hash", () => {
  const lab = new Lab(1, { pass: (frame) => frame[13] === 6 });
  const hashes = new Set<number>();
  const sk = tcpNewSock(lab.client.hostNs);
  tcpConnect(sk, SERVER, 80);
  for (let i = 0; i < 18; i++) {
    hashes.add(sk.txHash);
    lab.run(1);
  }
  expect(hashes.size).toBe(5);
  lab.run(200);
  expect(sk.err).toBe("ETIMEDOUT");
  expect(sk.state).toBe(TCP_CLOSE);
});

test("pinned ports are taken before chosen ones; chosen ones go up in even steps", () => {
  const lab = new Lab();
  const ports: number[] = [];
  lab.server.spawn("s", lab.server.hostNs, function* (process) {
    const listener = listenTcp(process, 0, 80);
    for (;;) closeSocket(process, yield* acceptTcp(process, listener));
  });
  lab.client.spawn("c", lab.client.hostNs, function* (process) {
    for (let i = 0; i < 6; i++) {
      const sk = yield* connectTcp(process, SERVER, 80);
      ports.push(sk.sport);
      closeSocket(process, sk);
    }
    return 0;
  });
  lab.run(5);
  expect(ports.length).toBe(6);
  for (let i = 1; i < ports.length; i++) {
    const step = ports[i] - ports[i - 1];
    expect(step % 2).toBe(0);
    expect(step).toBeGreaterThan(0);
    expect(step).toBeLessThanOrEqual(16);
  }
  expect(new SysError("EINVAL").code).toBe("EINVAL");
});

test("keepalive asks after two hours and gives up when nobody answers", () => {
  let cut = false;
  const lab = new Lab(1, { pass: () => !cut });
  const eye = new Eye(lab.sim, lab.clientDev);
  let code = "";
  pair(
    lab,
    function* (_, sk) {
      yield* recvTcp(sk);
    },
    function* (_, sk) {
      tcpSetKeepalive(sk, true);
      try {
        yield* recvTcp(sk);
      } catch (error) {
        code = (error as SysError).code;
      }
    },
  );
  // Timers of hours run out at multiples of 327.68 s.
  lab.run(7600);
  expect(
    eye
      .tcpLines()
      .slice(3)
      .map((line) => line.split(" ")[1]),
  ).toEqual(["[.]", "[.]"]);
  cut = true;
  lab.run(7200 + 10 * 75);
  expect(code).not.toBe("");
});

test("segments shrink when the path MTU does, and what was too long is sent again", () => {
  const lab = new Lab();
  const eye = new Eye(lab.sim, lab.clientDev);
  let got = 0;
  pair(
    lab,
    function* (_, sk) {
      for (let data = yield* recvTcp(sk); data.length > 0; data = yield* recvTcp(sk)) got += data.length;
    },
    function* (process, sk) {
      yield* sendTcp(sk, Lab.pattern(20_000));
      yield* sleep(SEC);
      updatePmtu(lab.client.hostNs, sk.dst!, SERVER, 1000);
      yield* sendTcp(sk, Lab.pattern(20_000));
      closeSocket(process, sk);
    },
  );
  lab.run(5);
  expect(got).toBe(40_000);
  const late = eye.ipFrames(6).filter(({ out, atNs }) => out && atNs > SEC);
  expect(Math.max(...late.map(({ bytes }) => bytes.length - 14))).toBe(1000);
});

test("loopback connections use its MTU: mss 65495, window 65495 and 65483", () => {
  const lab = new Lab();
  const eye = new Eye(lab.sim, lab.client.hostNs.device("lo")!);
  lab.client.spawn("s", lab.client.hostNs, function* (process) {
    closeSocket(process, yield* acceptTcp(process, listenTcp(process, 0, 80)));
    return 0;
  });
  lab.client.spawn("c", lab.client.hostNs, function* (process) {
    const sk = yield* connectTcp(process, ip("127.0.0.1"), 80);
    yield* recvTcp(sk);
    return 0;
  });
  settled(lab);
  const lines = eye.tcpLines();
  expect(lines[0]).toMatch(/\[S\] seq 0 ack -1 win 65495 id N len 0 <mss 65495,sackOK,TS,nop,wscale 7>$/);
  expect(lines.find((line) => line.includes("[S.]"))).toMatch(/win 65483 id 0 len 0 <mss 65495,/);
});

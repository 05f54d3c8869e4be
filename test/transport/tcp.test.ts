import fc from "fast-check";
import { expect, test } from "vitest";
import type { Co, Process } from "../../src/host/process.ts";
import {
  acceptTcp,
  closeSocket,
  connectTcp,
  listenTcp,
  recvTcp,
  sendTcp,
  shutdownTcp,
} from "../../src/host/socket.ts";
import { type TcpNet, tcpOf } from "../../src/net/ipv4/tcp-net.ts";
import type { TcpSock } from "../../src/net/ipv4/tcp-sock.ts";
import { Eye, ip, Lab } from "./lab.ts";

const SERVER = ip("192.168.200.10");

function http(lab: Lab, request: number, response: number[]): void {
  lab.server.spawn("web", lab.server.hostNs, function* (process) {
    const listener = listenTcp(process, 0, 80);
    const sk = yield* acceptTcp(process, listener);
    let got = 0;
    while (got < request) got += (yield* recvTcp(sk)).length;
    for (const size of response) yield* sendTcp(sk, Lab.pattern(size));
    shutdownTcp(sk);
    while ((yield* recvTcp(sk)).length > 0);
    closeSocket(process, sk);
    return 0;
  });
  lab.client.spawn("curl", lab.client.hostNs, function* (process) {
    const sk = yield* connectTcp(process, SERVER, 80, { noDelay: true });
    yield* sendTcp(sk, Lab.pattern(request));
    let got = 0;
    const total = response.reduce((a, b) => a + b, 0);
    while (got < total) got += (yield* recvTcp(sk)).length;
    closeSocket(process, sk);
    return 0;
  });
}

test("a small HTTP exchange has the frames, windows and options of a real one", () => {
  const lab = new Lab(1, {}, 1450);
  tcpOf(lab.client.hostNs).rmem[2] = 3000000;
  const eye = new Eye(lab.sim, lab.clientDev);
  http(lab, 83, [288]);
  lab.run(5);
  const port = eye.tcpLines()[0].split(" ")[0];
  expect(eye.tcpLines().map((line) => line.replace(port, "C"))).toEqual([
    "C [S] seq 0 ack -1 win 64240 id N len 0 <mss 1460,sackOK,TS,nop,wscale 6>",
    "80 [S.] seq 0 ack 1 win 64308 id 0 len 0 <mss 1410,sackOK,TS,nop,wscale 7>",
    "C [.] seq 1 ack 1 win 1004 id N len 0 <nop,nop,TS>",
    "C [P.] seq 1 ack 1 win 1004 id N len 83 <nop,nop,TS>",
    "80 [.] seq 1 ack 84 win 502 id N len 0 <nop,nop,TS>",
    "80 [P.] seq 1 ack 84 win 502 id N len 288 <nop,nop,TS>",
    "C [.] seq 84 ack 289 win 1002 id N len 0 <nop,nop,TS>",
    "80 [F.] seq 289 ack 84 win 502 id N len 0 <nop,nop,TS>",
    "C [F.] seq 84 ack 290 win 1002 id N len 0 <nop,nop,TS>",
    "80 [.] seq 290 ack 85 win 502 id N len 0 <nop,nop,TS>",
  ]);
  lab.run(70);
  expect(tcpOf(lab.client.hostNs).sockets()).toEqual([]);
  expect(tcpOf(lab.server.hostNs).sockets()).toEqual([]);
  expect(lab.pool.outstanding).toBe(0);
});

test("bulk data is cut and pushed as super packets are, and acknowledged as the receiver's engine does", () => {
  const lab = new Lab(1, {}, 1450);
  const eye = new Eye(lab.sim, lab.clientDev);
  http(lab, 99, [102, 120000]);
  lab.run(5);
  const data = eye.tcpLines().filter((line) => line.startsWith("80 ") && line.includes("len 1398"));
  expect(data.slice(0, 9).map((line) => line.split(" ")[1])).toEqual([
    "[.]",
    "[.]",
    "[.]",
    "[.]",
    "[P.]",
    "[.]",
    "[.]",
    "[.]",
    "[P.]",
  ]);
  const acks = eye.tcpLines().filter((line) => line.includes("seq 100 ") && line.includes("[.]"));
  expect(acks.slice(0, 16).map((line) => line.split(" ")[5])).toEqual(
    Array.from({ length: 16 }, (_, i) => String(103 + 1398 * i)),
  );
  expect(acks.slice(1, 5).map((line) => line.split(" ")[7])).toEqual(["494", "485", "476", "467"]);
  lab.run(70);
  expect(lab.pool.outstanding).toBe(0);
});

/** With the usual patience a socket that its program has closed already gives up after eight losses in a row. */
function neverGivesUp(net: TcpNet): void {
  net.synRetries = 100;
  net.synackRetries = 100;
  net.retries2 = 100;
  net.orphanRetries = 100;
}

test("any seed of loss, reordering and duplication delivers both streams whole", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 0, max: 25 }),
      fc.integer({ min: 0, max: 10 }),
      fc.integer({ min: 1, max: 3_000_000 }),
      fc.integer({ min: 1, max: 90_000 }),
      (seed, loss, duplicate, jitterNs, size) => {
        const lab = new Lab(seed, { loss: loss / 100, duplicate: duplicate / 100, jitterNs });
        for (const { hostNs } of [lab.client, lab.server]) neverGivesUp(tcpOf(hostNs));
        const got: Uint8Array[][] = [[], []];
        const talk = function* (process: Process, sk: TcpSock, into: Uint8Array[], mine: number): Co<number> {
          yield* sendTcp(sk, Lab.pattern(mine));
          shutdownTcp(sk);
          for (;;) {
            const data = yield* recvTcp(sk);
            if (data.length === 0) break;
            into.push(data);
          }
          closeSocket(process, sk);
          return 0;
        };
        lab.server.spawn("s", lab.server.hostNs, function* (process) {
          const sk = yield* acceptTcp(process, listenTcp(process, 0, 80));
          return yield* talk(process, sk, got[0], 1000);
        });
        lab.client.spawn("c", lab.client.hostNs, function* (process) {
          return yield* talk(process, yield* connectTcp(process, SERVER, 80), got[1], size);
        });
        lab.run(4000);
        expect(Buffer.concat(got[0]).equals(Buffer.from(Lab.pattern(size)))).toBe(true);
        expect(Buffer.concat(got[1]).equals(Buffer.from(Lab.pattern(1000)))).toBe(true);
        expect(lab.pool.outstanding).toBe(0);
      },
    ),
    { numRuns: 60, examples: [[-714235091, 23, 0, 13, 21721]] },
  );
});

/** Explicit congestion notification between two machines (RFC 3168 section 6.1): who asks, who grants, what may be marked. */
import { expect, test } from "vitest";
import { acceptTcp, closeSocket, connectTcp, listenTcp, recvTcp, sendTcp } from "../../src/host/socket.ts";
import { tcpOf } from "../../src/net/ipv4/tcp-net.ts";
import { Eye, ip, Lab } from "./lab.ts";

const ECN_BITS = 3;

/** TCP flags and ECN bits of every segment of a short exchange; `asks` and `grants` are net.ipv4.tcp_ecn of both sides. */
function exchange(asks: number, grants: number, lost: (count: number) => boolean = () => false): string[] {
  const lab = new Lab(1, { pass: (frame, _dev, count) => frame[12] !== 8 || !lost(count) });
  tcpOf(lab.client.hostNs).ecn = asks;
  tcpOf(lab.server.hostNs).ecn = grants;
  const eye = new Eye(lab.sim, lab.clientDev);
  lab.server.spawn("echo", lab.server.hostNs, function* (process) {
    const sk = yield* acceptTcp(process, listenTcp(process, 0, 80));
    yield* sendTcp(sk, yield* recvTcp(sk));
    while ((yield* recvTcp(sk)).length > 0);
    closeSocket(process, sk);
    return 0;
  });
  lab.client.spawn("client", lab.client.hostNs, function* (process) {
    const sk = yield* connectTcp(process, ip("192.168.200.10"), 80);
    yield* sendTcp(sk, Lab.pattern(10));
    yield* recvTcp(sk);
    closeSocket(process, sk);
    return 0;
  });
  lab.run(5);
  return eye.ipFrames(6).map(({ bytes }) => {
    const names = [..."FSRPAUEC"].filter((_, bit) => bytes[47] & (1 << bit)).join("");
    return `${names} ${bytes[15] & ECN_BITS}`;
  });
}

const PLAIN = ["SA 0", "A 0", "PA 0", "A 0", "PA 0", "A 0", "FA 0", "FA 0", "A 0"];
const WITH_ECN = ["SAE 0", "A 0", "PA 2", "A 0", "PA 2", "A 0", "FA 0", "FA 0", "A 0"];

test("data may be marked when one side asks and the other grants; ACKs and FINs never are", () => {
  expect(exchange(1, 2)).toEqual(["SEC 0", ...WITH_ECN]);
  expect(exchange(1, 1)).toEqual(["SEC 0", ...WITH_ECN]);
});

test("nobody asks by default, and a machine that must not does not grant it", () => {
  expect(exchange(2, 2)).toEqual(["S 0", ...PLAIN]);
  expect(exchange(1, 0)).toEqual(["SEC 0", ...PLAIN]);
});

test("a SYN that is lost is sent again without asking", () => {
  expect(exchange(1, 2, (count) => count === 2).slice(0, 2)).toEqual(["SEC 0", "S 0"]);
});

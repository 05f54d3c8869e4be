/**
 * What a machine learns of the path behind a service that it balances itself, as Linux 6.1 answered the same sockets: the
 * path MTU is noted where the service's address is one of lo, as the route is looked for out of lo; else not, so that
 * datagrams keep DF.
 */
import { expect, test } from "vitest";
import { createLab } from "../../src/index.ts";

const PAGE = `---
segments: { a: { subnet: 10.0.1.0/24 }, b: { subnet: 10.0.2.0/24 } }
machines: { m: { a: 10.0.1.1, b: 10.0.2.1, gateway: none }, s: { b: 10.0.2.2, gateway: none } }
---
# P
`;

/** What is known of the path to a service on an address of eth0, and to one on lo, after a datagram that was too long. */
function learnt(send: (vip: string) => string): string[] {
  const lab = createLab({ source: PAGE });
  lab.shell(
    "m",
    "ip addr add 10.0.1.9/32 dev eth0; ip addr add 10.0.3.9/32 dev lo; ip link set eth1 mtu 1400",
  );
  return ["10.0.1.9", "10.0.3.9"].map((vip) => {
    lab.shell("m", `ipvsadm -A -u ${vip}:53 -s rr; ipvsadm -a -u ${vip}:53 -r 10.0.2.2:53 -m`);
    lab.shell("m", `printf %s ${"x".repeat(1400)} | ${send(vip)}`);
    return lab.shell("m", `ip route get ${vip}`).stdout.replace(/\d+sec/, "599sec");
  });
}

const cached = (vip: string, more: string) =>
  `local ${vip} dev lo src ${vip} uid 0 \n    cache <local> ${more}\n`;

test("a socket without a peer", () => {
  expect(learnt((vip) => `socat -u - UDP4-SENDTO:${vip}:53`)).toEqual([
    cached("10.0.1.9", ""),
    cached("10.0.3.9", "expires 599sec mtu 1400 "),
  ]);
});

test("a connected socket keeps its route", () => {
  expect(learnt((vip) => `nc -u -w 1 ${vip} 53`)).toEqual([
    cached("10.0.1.9", "expires 599sec mtu 1400 "),
    cached("10.0.3.9", "expires 599sec mtu 1400 "),
  ]);
});

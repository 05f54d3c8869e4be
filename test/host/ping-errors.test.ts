/** What iputils' ping says when a packet cannot leave, as the real one printed it in a namespace of its own. */
import { expect, test } from "vitest";
import { createLab } from "../../src/index.ts";

const PAGE = `---
segments: { lan: { subnet: 10.1.0.0/24 } }
machines: { a: { lan: 10.1.0.1, gateway: none } }
---
# P
`;

test("routes that forbid, refuse, swallow or are not there", () => {
  const lab = createLab({ source: PAGE });
  lab.shell(
    "a",
    "ip route add prohibit 10.9.1.0/24; ip route add unreachable 10.9.2.0/24; ip route add blackhole 10.9.3.0/24",
  );
  const said = [1, 2, 3, 4].map((net) => lab.shell("a", `ping -c 1 -W 1 10.9.${net}.1`));
  expect(said.map(({ stderr }) => stderr)).toEqual([
    "ping: Do you want to ping broadcast? Then -b. If not, check your local firewall rules\n",
    "ping: connect: No route to host\n",
    "ping: connect: Invalid argument\n",
    "ping: connect: Network is unreachable\n",
  ]);
  expect(said.map(({ status }) => status)).toEqual([2, 2, 2, 2]);
  expect(lab.shell("a", "ping -c 1 10.1.0.255").stderr).toBe(said[0].stderr);
});

test("a rule that drops what leaves: nothing is said", () => {
  const lab = createLab({ source: PAGE });
  const { stdout, stderr, status } = lab.shell(
    "a",
    "iptables -A OUTPUT -d 10.1.0.2 -j DROP; ping -c 2 -W 1 10.1.0.2",
  );
  expect(stdout).toMatch(
    /^PING 10\.1\.0\.2 \(10\.1\.0\.2\) 56\(84\) bytes of data\.\n\n--- 10\.1\.0\.2 ping statistics ---\n2 packets transmitted, 0 received, 100% packet loss, time 10\d\dms\n\n$/,
  );
  expect([stderr, status]).toEqual(["", 1]);
});

test("a rule that refuses what leaves: the refusal, and that it was not sent", () => {
  const lab = createLab({ source: PAGE });
  lab.shell("a", "iptables -A OUTPUT -d 10.1.0.2 -j REJECT");
  const { stdout, stderr, status } = lab.shell("a", "ping -c 2 -W 1 10.1.0.2");
  expect(stdout).toMatch(
    /^PING .*\nFrom 10\.1\.0\.1 icmp_seq=1 Destination Port Unreachable\nFrom 10\.1\.0\.1 icmp_seq=2 Destination Port Unreachable\n\n--- .*\n2 packets transmitted, 0 received, \+2 errors, 100% packet loss, time 10\d\dms\n\n$/,
  );
  const notSent = "ping: sendmsg: Operation not permitted\n";
  expect([stderr, status]).toEqual([notSent + notSent, 1]);
  const quiet = lab.shell("a", "ping -q -c 1 -W 1 10.1.0.2");
  expect([quiet.stderr, quiet.status]).toEqual(["", 1]);
});

test("others who send what a rule drops", () => {
  const lab = createLab({ source: PAGE });
  lab.shell("a", "iptables -A OUTPUT -d 10.1.0.2 -j DROP");
  const traceroute = lab.shell("a", "traceroute -n -q 1 -m 2 10.1.0.2");
  expect([traceroute.stderr, traceroute.status]).toEqual(["send: Operation not permitted\n", 1]);
  const dig = lab.shell("a", "dig +tries=1 +time=1 a.b @10.1.0.2");
  expect([dig.stdout.split("\n")[0], dig.status]).toEqual([
    ";; communications error to 10.1.0.2#53: timed out",
    9,
  ]);
});

/** Commands of iproute2 6.1, one after the other, against what they answered on Linux 6.1. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { loadPage, PageRun } from "../../src/scenario/run-page.ts";

const PAGE = `---
seed: 1
segments:
  lan: { subnet: 10.249.0.0/24 }
machines:
  m: { lan: 10.249.0.1 }
---
`;

function machine() {
  return new PageRun(loadPage("x.md", PAGE), { traces: false, recordRun: false }).live;
}

/** Runs commands in an empty namespace; stderr and stdout together. */
function namespace(): (command: string) => string {
  const live = machine();
  live.shell("m", "ip netns add x");
  return (command) => live.shell("m", `ip netns exec x bash -c '{ ${command}; } 2>&1'`).stdout;
}

function compare(name: string, run: (command: string) => string): void {
  const text = readFileSync(new URL(`fixtures/${name}.txt`, import.meta.url), "utf8");
  for (const part of text.slice(2).split("\n$ ")) {
    const [command, ...answer] = part.split("\n");
    expect(`${command}\n${run(command).trimEnd()}`).toBe(`${command}\n${answer.join("\n").trimEnd()}`);
  }
}

test.each([
  "ip-route-nexthops",
  "ip-route-get",
  "ip-nexthop",
  "ip-route-defaults",
  "ip-rule",
  "ip-address",
  "ip-neigh-proxy",
  "bridge-fdb-get",
  "ip-refusals",
  "ip-link-carrier",
])("%s", (name) => compare(name, namespace()));

test("ip-netns, and ip neigh get", () => {
  const live = machine();
  compare("ip-netns", (command) => live.shell("m", `{ ${command}; } 2>&1`).stdout);
});

/** Two links up, of which d0 and d1 have a gateway each; and how often a route goes by d0, d1, of 200 destinations. */
function twoLinks() {
  const run = namespace();
  run("sysctl -qw net.ipv4.ip_forward=1");
  for (const i of [0, 1])
    run(
      `ip link add d${i} type veth peer name p${i}; ip link set p${i} up; ip link set d${i} up; ip addr add 10.${i}.0.1/24 dev d${i}`,
    );
  const count = (words = "") => {
    const text = run(`for i in $(seq 1 200); do ip route get 192.168.1.$i ${words}; done`);
    return [0, 1].map((i) => text.split(` dev d${i} `).length - 1);
  };
  return { run, count };
}

test("flows fall to the next hops by their weights, and stay there", () => {
  const { run, count } = twoLinks();
  run("ip route add 192.168.1.0/24 nexthop via 10.0.0.2 weight 1 nexthop via 10.1.0.2 weight 3");
  const [first, second] = count();
  expect(first + second).toBe(200);
  expect(first).toBeGreaterThan(30);
  expect(first).toBeLessThan(70);
  expect(count()).toEqual([first, second]);
  const forwarded = count("from 10.0.0.77 iif d0");
  expect(forwarded[0] + forwarded[1]).toBe(200);
  expect(forwarded).not.toEqual([first, second]);
});

test("a next hop that is out leaves its share to the others", () => {
  const { run, count } = twoLinks();
  run("ip route add 192.168.1.0/24 nexthop via 10.0.0.2 nexthop via 10.1.0.2");
  run("ip link set p0 down; sysctl -qw net.ipv4.conf.d0.ignore_routes_with_linkdown=1");
  expect(Math.min(...count())).toBeGreaterThan(60);
  run("ip link set p0 up; ip link set p0 down");
  expect(count()).toEqual([0, 200]);
  run("ip link set p0 up; ip link set d1 down");
  expect(count()).toEqual([200, 0]);
});

test("fib_multipath_use_neigh goes past gateways that do not answer", () => {
  const { run, count } = twoLinks();
  run("ip route add 192.168.1.0/24 nexthop via 10.0.0.2 nexthop via 10.1.0.2");
  run("ip neigh add 10.1.0.2 dev d1 nud failed; sysctl -qw net.ipv4.fib_multipath_use_neigh=1");
  expect(count()).toEqual([200, 0]);
});

test("a group of next hops is one route's, whose silent members leave their share to those behind", () => {
  const { run, count } = twoLinks();
  run("ip nexthop add id 1 via 10.0.0.2 dev d0; ip nexthop add id 2 via 10.1.0.2 dev d1");
  run("ip nexthop add id 10 group 1/2,3; ip route add 192.168.1.0/24 nhid 10");
  const [first, second] = count();
  expect(first + second).toBe(200);
  expect(first).toBeLessThan(75);
  run("ip neigh add 10.1.0.2 dev d1 nud failed");
  expect(count()).toEqual([first, second]);
  run("ip neigh del 10.1.0.2 dev d1; ip neigh add 10.0.0.2 dev d0 nud failed");
  expect(count()).toEqual([0, 200]);
  run("ip neigh del 10.0.0.2 dev d0; ip nexthop replace id 10 group 2");
  expect(count()).toEqual([0, 200]);
});

test("fib_multipath_hash_policy 1 looks at ports", () => {
  const { run } = twoLinks();
  run("ip route add 192.168.1.0/24 nexthop via 10.0.0.2 nexthop via 10.1.0.2");
  const by = () =>
    new Set(
      run("for p in $(seq 1 50); do ip route get 192.168.1.1 ipproto udp sport 9 dport $p; done").match(
        / dev d\d /g,
      ),
    );
  expect(by().size).toBe(1);
  run("sysctl -qw net.ipv4.fib_multipath_hash_policy=1");
  expect(by().size).toBe(2);
});

test("fib_multipath_hash_policy 3 looks at the fields that are named, of tunnelled packets at the inner ones", () => {
  const { run } = twoLinks();
  run("ip route add 192.168.1.0/24 nexthop via 10.0.0.2 nexthop via 10.1.0.2");
  run("sysctl -qw net.ipv4.fib_multipath_hash_policy=3");
  const ways = (fields: number) => {
    run(`sysctl -qw net.ipv4.fib_multipath_hash_fields=${fields}`);
    const text = run(
      "for p in $(seq 1 50); do ip route get 192.168.1.1 from 10.0.0.77 iif d0 ipproto udp sport 9 dport $p; done",
    );
    return new Set(text.match(/ dev d\d /g)).size;
  };
  expect(ways(7)).toBe(1);
  expect(ways(32)).toBe(2);
  // Nothing is tunnelled.
  expect(ways(0x800)).toBe(1);
});

test("rules look at the transport of answers that the kernel sends itself", () => {
  const { run } = twoLinks();
  run("ip netns add y; ip link set p0 netns y; ip -n y addr add 10.0.0.2/24 dev p0; ip -n y link set p0 up");
  const ping = "ip netns exec y ping -c 1 -W 1 10.0.0.1 > /dev/null; echo $?";
  expect(run(ping)).toBe("0\n");
  run("ip route add unreachable 10.0.0.0/24 table 9; ip rule add pref 9 ipproto udp lookup 9");
  expect(run(ping)).toBe("0\n");
  run("ip rule add pref 10 ipproto icmp lookup 9");
  expect(run(ping)).toBe("1\n");
});

test("ip -batch runs lines until one fails, and says which", () => {
  const run = namespace();
  const lines = ["link set lo up # a comment", "", "link add d1 \\\\\\\\", " type dummy", "link show d1"];
  expect(run(`printf "${lines.join("\\n")}\\n" | ip -b - | head -n 1`)).toMatch(
    /^2: d1: <BROADCAST,NOARP> mtu/,
  );
  const failing = 'printf "link set nosuch up\\nrule show prio 0\\nbogus\\n" | ip';
  expect(run(`${failing} -batch -; echo $?`)).toBe('Cannot find device "nosuch"\nCommand failed -:1\n1\n');
  const all = run(`${failing} -force -batch - 2>&1; echo $?`);
  expect(all).toContain("0:\tfrom all lookup local");
  expect(all).toContain('Object "bogus" is unknown, try "ip help".\nCommand failed -:3\n');
});

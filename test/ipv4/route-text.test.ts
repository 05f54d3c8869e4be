import { describe, expect, test } from "vitest";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { addressAdd } from "../../src/net/ctl/address.ts";
import { vethNewlink } from "../../src/net/drivers/veth.ts";
import { ipIn, ipText } from "./ip-command.ts";
import { addr, ip, ping, World } from "./topology.ts";

/** A device with its other end, both up. */
function nic(world: World, ns: NetNs, name: string) {
  const other = world.ns(`peer-${name}`);
  return world.join(ns, name, other, "eth0", name.charCodeAt(name.length - 1) << 8)[0];
}

/** d0 (10.0.0.1/24) and d1, a pair in one namespace, as the golden texts of the real tool were made. */
function pair(world: World): NetNs {
  const ns = world.ns("t");
  const d0 = vethNewlink(ns, "d0", ns, "d1");
  d0.addrHi = 0x0200;
  ipText(ns, "addr add 10.0.0.1/24 brd + dev d0");
  ns.setUp(d0);
  return ns;
}

describe("ip route shows what the cluster's nodes show", () => {
  test("the host namespace of a manager", () => {
    const world = new World();
    const ns = world.ns("host");
    addr(nic(world, ns, "eth0"), "192.168.200.10/24");
    ipText(ns, "route add default via 192.168.200.1");
    const docker0 = vethNewlink(ns, "docker0", ns, "tail");
    addr(docker0, "172.17.0.1/16");
    ns.setUp(docker0);
    addr(nic(world, ns, "docker_gwbridge"), "172.18.0.1/16");
    expect(ipText(ns, "route show table all")).toBe(
      `default via 192.168.200.1 dev eth0 
172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown 
172.18.0.0/16 dev docker_gwbridge proto kernel scope link src 172.18.0.1 
192.168.200.0/24 dev eth0 proto kernel scope link src 192.168.200.10 
local 127.0.0.0/8 dev lo table local proto kernel scope host src 127.0.0.1 
local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1 
broadcast 127.255.255.255 dev lo table local proto kernel scope link src 127.0.0.1 
local 172.17.0.1 dev docker0 table local proto kernel scope host src 172.17.0.1 
broadcast 172.17.255.255 dev docker0 table local proto kernel scope link src 172.17.0.1 linkdown 
local 172.18.0.1 dev docker_gwbridge table local proto kernel scope host src 172.18.0.1 
broadcast 172.18.255.255 dev docker_gwbridge table local proto kernel scope link src 172.18.0.1 
local 192.168.200.10 dev eth0 table local proto kernel scope host src 192.168.200.10 
broadcast 192.168.200.255 dev eth0 table local proto kernel scope link src 192.168.200.10 
`,
    );
    expect(ipText(ns, "rule")).toBe(
      "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n",
    );
  });

  test("ingress_sbox with a virtual address, as text and JSON", () => {
    const world = new World();
    const ns = world.ns("ingress_sbox");
    const eth0 = nic(world, ns, "eth0");
    addr(eth0, "10.0.0.2/24");
    addr(nic(world, ns, "eth1"), "172.18.0.2/16");
    ipText(ns, "route add default via 172.18.0.1 dev eth1");
    addressAdd(eth0, { local: ip("10.0.0.5"), prefixLen: 32 });
    expect(ipText(ns, "route show table all")).toBe(
      `default via 172.18.0.1 dev eth1 
10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.2 
172.18.0.0/16 dev eth1 proto kernel scope link src 172.18.0.2 
local 10.0.0.2 dev eth0 table local proto kernel scope host src 10.0.0.2 
local 10.0.0.5 dev eth0 table local proto kernel scope host src 10.0.0.5 
broadcast 10.0.0.255 dev eth0 table local proto kernel scope link src 10.0.0.2 
local 127.0.0.0/8 dev lo table local proto kernel scope host src 127.0.0.1 
local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1 
broadcast 127.255.255.255 dev lo table local proto kernel scope link src 127.0.0.1 
local 172.18.0.2 dev eth1 table local proto kernel scope host src 172.18.0.2 
broadcast 172.18.255.255 dev eth1 table local proto kernel scope link src 172.18.0.2 
`,
    );
    const json = ipText(ns, "-j route show table all");
    expect(
      json.startsWith(
        '[{"dst":"default","gateway":"172.18.0.1","dev":"eth1","flags":[]},{"dst":"10.0.0.0/24","dev":"eth0","protocol":"kernel","scope":"link","prefsrc":"10.0.0.2","flags":[]},{"dst":"172.18.0.0/16","dev":"eth1","protocol":"kernel","scope":"link","prefsrc":"172.18.0.2","flags":[]},{"type":"local","dst":"10.0.0.2","dev":"eth0","table":"local","protocol":"kernel",',
      ),
    ).toBe(true);
    ipText(ns, "addr del 10.0.0.5/32 dev eth0");
    expect(ipText(ns, "route show table all")).not.toContain("10.0.0.5");
  });
});

describe("ip route does what the real command did", () => {
  function filled(world: World): NetNs {
    const ns = pair(world);
    expect(ipText(ns, "route")).toBe("10.0.0.0/24 dev d0 proto kernel scope link src 10.0.0.1 linkdown \n");
    ns.setUp(ns.device("d1")!);
    for (const line of [
      "default via 10.0.0.2 metric 100",
      "10.9.0.0/16 via 10.0.0.3 mtu 1400 src 10.0.0.1",
      "blackhole 10.8.0.0/16",
      "unreachable 10.7.0.0/16 metric 5",
      "10.6.0.0/16 dev d0 proto static scope link table 100",
      "10.5.0.0/16 via 9.9.9.9 dev d0 onlink",
    ]) {
      ipText(ns, `route add ${line}`);
    }
    return ns;
  }

  test("show, with details, by table, device, protocol, prefix, scope, type, gateway", () => {
    const ns = filled(new World());
    expect(ipText(ns, "route")).toBe(`default via 10.0.0.2 dev d0 metric 100 
10.0.0.0/24 dev d0 proto kernel scope link src 10.0.0.1 
10.5.0.0/16 via 9.9.9.9 dev d0 onlink 
unreachable 10.7.0.0/16 metric 5 
blackhole 10.8.0.0/16 
10.9.0.0/16 via 10.0.0.3 dev d0 src 10.0.0.1 mtu 1400 
`);
    expect(ipText(ns, "route show table all").split("\n")[0]).toBe(
      "10.6.0.0/16 dev d0 table 100 proto static scope link ",
    );
    expect(
      ipText(ns, "-d route"),
    ).toBe(`unicast default via 10.0.0.2 dev d0 proto boot scope global metric 100 
unicast 10.0.0.0/24 dev d0 proto kernel scope link src 10.0.0.1 
unicast 10.5.0.0/16 via 9.9.9.9 dev d0 proto boot scope global onlink 
unreachable 10.7.0.0/16 proto boot scope global metric 5 
blackhole 10.8.0.0/16 proto boot scope global 
unicast 10.9.0.0/16 via 10.0.0.3 dev d0 proto boot scope global src 10.0.0.1 mtu 1400 
`);
    expect(ipText(ns, "route show table 100")).toBe("10.6.0.0/16 dev d0 proto static scope link \n");
    expect(ipText(ns, "route show dev d0")).toBe(`default via 10.0.0.2 metric 100 
10.0.0.0/24 proto kernel scope link src 10.0.0.1 
10.5.0.0/16 via 9.9.9.9 onlink 
10.9.0.0/16 via 10.0.0.3 src 10.0.0.1 mtu 1400 
`);
    expect(ipText(ns, "route show proto kernel")).toBe("10.0.0.0/24 dev d0 scope link src 10.0.0.1 \n");
    expect(ipText(ns, "route show default")).toBe("default via 10.0.0.2 dev d0 metric 100 \n");
    expect(ipText(ns, "route show scope link")).toBe("10.0.0.0/24 dev d0 proto kernel src 10.0.0.1 \n");
    expect(ipText(ns, "route show type blackhole")).toBe("blackhole 10.8.0.0/16 \n");
    expect(ipText(ns, "route show via 10.0.0.3")).toBe("10.9.0.0/16 dev d0 src 10.0.0.1 mtu 1400 \n");
    expect(ipText(ns, "route show match 10.9.1.1")).toBe(
      "default via 10.0.0.2 dev d0 metric 100 \n10.9.0.0/16 via 10.0.0.3 dev d0 src 10.0.0.1 mtu 1400 \n",
    );
    expect(ipIn(ns, "route show table 77")).toEqual({
      stdout: "",
      stderr: "Error: ipv4: FIB table does not exist.\nDump terminated\n",
      status: 2,
    });
    expect(ipText(ns, "-j route")).toBe(
      '[{"dst":"default","gateway":"10.0.0.2","dev":"d0","metric":100,"flags":[]},{"dst":"10.0.0.0/24","dev":"d0","protocol":"kernel","scope":"link","prefsrc":"10.0.0.1","flags":[]},{"dst":"10.5.0.0/16","gateway":"9.9.9.9","dev":"d0","flags":["onlink"]},{"type":"unreachable","dst":"10.7.0.0/16","metric":5,"flags":[]},{"type":"blackhole","dst":"10.8.0.0/16","flags":[]},{"dst":"10.9.0.0/16","gateway":"10.0.0.3","dev":"d0","prefsrc":"10.0.0.1","flags":[],"metrics":[{"mtu":1400}]}]\n',
    );
  });

  test("get", () => {
    const ns = filled(new World());
    const get = (words: string) => ipText(ns, `route get ${words}`);
    expect(get("10.0.0.7")).toBe("10.0.0.7 dev d0 src 10.0.0.1 uid 0 \n    cache \n");
    expect(get("127.0.0.1")).toBe("local 127.0.0.1 dev lo src 127.0.0.1 uid 0 \n    cache <local> \n");
    expect(get("10.0.0.1")).toBe("local 10.0.0.1 dev lo src 10.0.0.1 uid 0 \n    cache <local> \n");
    expect(get("10.0.0.255")).toBe(
      "broadcast 10.0.0.255 dev d0 src 10.0.0.1 uid 0 \n    cache <local,brd> \n",
    );
    expect(get("8.8.8.8")).toBe("8.8.8.8 via 10.0.0.2 dev d0 src 10.0.0.1 uid 0 \n    cache \n");
    expect(get("8.8.8.8 from 10.0.0.1 mark 0x10")).toBe(
      "8.8.8.8 from 10.0.0.1 via 10.0.0.2 dev d0 mark 0x10 uid 0 \n    cache \n",
    );
    expect(get("10.9.0.1")).toBe("10.9.0.1 via 10.0.0.3 dev d0 src 10.0.0.1 uid 0 \n    cache mtu 1400 \n");
    expect(ipText(ns, "-j route get 10.9.0.1")).toBe(
      '[{"dst":"10.9.0.1","gateway":"10.0.0.3","dev":"d0","prefsrc":"10.0.0.1","flags":[],"uid":0,"cache":[],"metrics":[{"mtu":1400}]}]\n',
    );
    expect(ipIn(ns, "route get 10.8.0.1")).toMatchObject({
      stderr: "RTNETLINK answers: Invalid argument\n",
      status: 2,
    });
    expect(ipIn(ns, "route get 10.7.0.1").stderr).toBe("RTNETLINK answers: No route to host\n");
  });

  test("complaints", () => {
    const ns = filled(new World());
    const says = (line: string) => {
      const { stderr, status } = ipIn(ns, line);
      return `${stderr}${status}`;
    };
    expect(says("route add default via 1.1.1.1")).toBe("Error: Nexthop has invalid gateway.\n2");
    expect(says("route add 10.9.0.0/16 via 10.0.0.3")).toBe("RTNETLINK answers: File exists\n2");
    expect(says("route del 1.2.3.0/24")).toBe("RTNETLINK answers: No such process\n2");
    expect(says("route add 1.2.3.4/24 dev d0")).toBe("Error: Invalid prefix for given prefix length.\n2");
    expect(says("route add 1.2.3.0/24 dev nope")).toBe('Cannot find device "nope"\n1');
    expect(says("route add 4.4.4.4 dev d0 src 5.5.5.5")).toBe("Error: Invalid prefsrc address.\n2");
    expect(says("route add 1.2.3")).toBe("RTNETLINK answers: No such device\n2");
    expect(says("route foo")).toBe('Command "foo" is unknown, try "ip route help".\n255');
    expect(says("foo")).toBe('Object "foo" is unknown, try "ip help".\n1');
    expect(says("rule del prio 77")).toBe("RTNETLINK answers: No such file or directory\n2");
    ns.setDown(ns.device("d0")!);
    expect(says("route add 4.4.4.4 dev d0")).toBe("Error: Device for nexthop is not up.\n2");
    expect(
      ipText(ns, "route show table local"),
    ).toBe(`local 10.0.0.1 dev d0 proto kernel scope host src 10.0.0.1 
local 127.0.0.0/8 dev lo proto kernel scope host src 127.0.0.1 
local 127.0.0.1 dev lo proto kernel scope host src 127.0.0.1 
broadcast 127.255.255.255 dev lo proto kernel scope link src 127.0.0.1 
`);
  });

  test("rules: added ones go before main, and steer by mark", () => {
    const world = new World();
    const ns = filled(world);
    ipText(ns, "rule add from 1.2.3.4 lookup 100");
    ipText(ns, "rule add fwmark 0x10/0xff prio 100 table 100");
    expect(ipText(ns, "rule")).toBe(`0:\tfrom all lookup local
100:\tfrom all fwmark 0x10/0xff lookup 100
32765:\tfrom 1.2.3.4 lookup 100
32766:\tfrom all lookup main
32767:\tfrom all lookup default
`);
    expect(ipText(ns, "-d rule").split("\n")[1]).toBe(
      "100:\tfrom all fwmark 0x10/0xff lookup 100 proto unspec",
    );
    expect(ipText(ns, "-j rule")).toBe(
      '[{"priority":0,"src":"all","table":"local"},{"priority":100,"src":"all","fwmark":"0x10","fwmask":"0xff","table":"100"},{"priority":32765,"src":"1.2.3.4","table":"100"},{"priority":32766,"src":"all","table":"main"},{"priority":32767,"src":"all","table":"default"}]\n',
    );
    expect(ipText(ns, "route get 10.6.0.1 mark 0x110")).toBe(
      "10.6.0.1 dev d0 table 100 src 10.0.0.1 mark 0x110 uid 0 \n    cache \n",
    );
    expect(ipText(ns, "route get 10.6.0.1")).toBe(
      "10.6.0.1 via 10.0.0.2 dev d0 src 10.0.0.1 uid 0 \n    cache \n",
    );
    expect(ipText(ns, "route get 127.0.0.1")).toBe(
      "local 127.0.0.1 dev lo table local src 127.0.0.1 uid 0 \n    cache <local> \n",
    );
    expect(ping(ns, ip("10.0.0.1"))).toBe(true);
    world.run(1);
    expect(world.pool.outstanding).toBe(0);
  });
});

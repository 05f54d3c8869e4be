/** What an import says of dumps that are bad, or that hold what is not modelled; and the pieces it is made of. */
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";
import { COLLECT_SCRIPT } from "../../src/tools/import/collect-script.ts";
import { parseDump } from "../../src/tools/import/dump.ts";
import type { LinkJson } from "../../src/tools/import/link-json.ts";
import { NamespaceNames } from "../../src/tools/import/names.ts";
import { NetnsIds, pairVeths } from "../../src/tools/import/veth-pairs.ts";

const UP = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"];
const LO = {
  ifindex: 1,
  ifname: "lo",
  flags: ["LOOPBACK", "UP"],
  mtu: 65536,
  txqlen: 1000,
  link_type: "loopback",
};

function device(ifindex: number, ifname: string, more: object = {}): object {
  const address = `02:00:00:00:00:0${ifindex}`;
  return { ifindex, ifname, flags: UP, mtu: 1500, txqlen: 1000, link_type: "ether", address, ...more };
}

function inet(local: string, prefixlen: number): object {
  return { addr_info: [{ family: "inet", local, prefixlen, scope: "global" }] };
}

const ETH0 = device(2, "eth0", inet("192.168.200.10", 24));

/** A dump of a node with one namespace. */
function dumpText(devices: readonly object[], sections: Readonly<Record<string, string>> = {}): string {
  const rest = Object.entries(sections).map(([name, text]) => `@section ${name}\n${text}\n`);
  return `@meshwire-dump 1\n@machine n\n@netns /proc/1/ns/net\n@section addr\n${JSON.stringify([LO, ...devices])}\n${rest.join("")}@end\n`;
}

function page(machine = "{ import: n.dump }"): string {
  return `---\nsegments: { lan: { subnet: 192.168.200.0/24 } }\nmachines:\n  client: { lan: 192.168.200.1 }\n  n: ${machine}\n---\n`;
}

function load(text: string, machine?: string): LabHandle {
  return createLab({ source: page(machine), file: "lab.md", files: { "n.dump": text } });
}

describe("a dump that cannot be read", () => {
  it.each([
    ["hello\n", "n.dump:1:1: no dump of a node"],
    ["@meshwire-dump 9\n", "n.dump:1:1: dump of version 9"],
    [dumpText([ETH0]).replace("@end\n", ""), "the dump is cut off"],
    [dumpText([ETH0]).replace("@machine n", "machine n"), "n.dump:2:1: expected a mark"],
    [dumpText([ETH0]).replace("/proc/1/ns/net", "/run/x"), "the first namespace must be the host's"],
    [
      "@meshwire-dump 1\n@netns /proc/1/ns/net\n@section addr\nnot json\n@end\n",
      "n.dump:4:1: expected what `ip -j` prints",
    ],
  ])("is refused with the place: %j", (text, message) => {
    expect(() => load(text)).toThrow(message);
  });
});

describe("what is not modelled", () => {
  const kind = (info_kind: string, info_data = {}) => ({ linkinfo: { info_kind, info_data } });
  it.each([
    [
      [ETH0, device(3, "mv0", { ...kind("macvlan"), ...inet("10.9.0.1", 24) })],
      {},
      "mv0: a device of the kind macvlan",
    ],
    [
      [ETH0, device(3, "br0", kind("bridge", { vlan_filtering: 1 }))],
      {},
      "not modelled: host br0: vlan_filtering 1",
    ],
    [
      [ETH0],
      {
        route:
          '[{"dst":"10.0.0.0/8","gateway":"192.168.200.1","dev":"eth0","metrics":[{"advmss":500}],"flags":[]}]',
      },
      "ip route: advmss",
    ],
    [
      [ETH0],
      { rule: '[{"priority":5,"src":"all","l3mdev":null}]' },
      "n.dump:7:1: not modelled: ip rule: l3mdev",
    ],
    [
      [ETH0],
      { nft: "table ip nat\ntable inet mine" },
      "n.dump:8:1: not modelled: nftables (table inet mine)",
    ],
    [
      [ETH0],
      { iptables: "*filter\n:INPUT ACCEPT [0:0]\n[0:0] -A INPUT -m nosuch -j ACCEPT\nCOMMIT" },
      "n.dump:9:1:",
    ],
    [[ETH0], { ipvs: "-A -f 1 -s mh" }, "n.dump:7:1: not modelled: IPVS scheduler mh"],
  ])("is named with its line", (devices, sections, message) => {
    expect(() => load(dumpText(devices, sections))).toThrow(message);
  });

  it("is named all at once", () => {
    const sections = {
      iptables: "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m nosuch\n-A INPUT -j NOSUCH\nCOMMIT",
      ipvs: "-A -f 1 -s nosuch",
    };
    expect(() => load(dumpText([ETH0], sections))).toThrow(
      /^n\.dump:9:1: [^\n]*\nn\.dump:10:1: [^\n]*\nn\.dump:13:1: /,
    );
  });

  it("is only noted where it does no harm", () => {
    const idle = {
      ...device(3, "tunl0"),
      flags: ["NOARP"],
      link_type: "ipip",
      linkinfo: { info_kind: "ipip" },
    };
    const lab = load(
      dumpText([ETH0, idle, device(4, "eth1", inet("10.1.1.1", 24))], { sysctl: "net.ipv4.nosuch = 1" }),
    );
    expect(lab.notes).toEqual([
      "n.dump: host: left out: tunl0 (ipip)",
      "n.dump: host: eth1 hangs on no segment of the lab",
      "n.dump: kernel parameters that are not modelled: net.ipv4.nosuch",
    ]);
  });
});

describe("an imported machine", () => {
  it("has the routes, rules and parameters of the dump and no others", () => {
    const route = [
      { dst: "default", gateway: "192.168.200.1", dev: "eth0", protocol: "dhcp", metric: 100, flags: [] },
      {
        dst: "192.168.200.0/24",
        dev: "eth0",
        protocol: "kernel",
        scope: "link",
        prefsrc: "192.168.200.10",
        metric: 100,
        flags: [],
      },
      { type: "unreachable", dst: "10.0.0.0/8", table: "7", flags: [] },
      {
        type: "local",
        dst: "192.168.200.10",
        dev: "eth0",
        table: "local",
        protocol: "kernel",
        scope: "host",
        prefsrc: "192.168.200.10",
        flags: [],
      },
    ];
    const rule = [
      { priority: 0, src: "all", table: "local" },
      { priority: 10, not: null, src: "10.0.0.0", srclen: 8, fwmark: "0x1", fwmask: "0xff", table: "7" },
      { priority: 32766, src: "all", table: "main" },
    ];
    const lab = load(
      dumpText([ETH0], {
        route: JSON.stringify(route),
        rule: JSON.stringify(rule),
        sysctl: "net.ipv4.ip_forward = 1",
      }),
    );
    expect(
      lab.shell("n", "ip route; ip route show table 7; ip rule; sysctl -n net.ipv4.ip_forward").stdout,
    ).toBe(
      "default via 192.168.200.1 dev eth0 proto dhcp metric 100 \n" +
        "192.168.200.0/24 dev eth0 proto kernel scope link src 192.168.200.10 metric 100 \n" +
        "unreachable 10.0.0.0/8 \n" +
        "0:\tfrom all lookup local\n10:\tnot from 10.0.0.0/8 fwmark 0x1/0xff lookup 7\n32766:\tfrom all lookup main\n1\n",
    );
    expect(lab.shell("n", "ip route show table local").stdout).toBe(
      "local 192.168.200.10 dev eth0 proto kernel scope host src 192.168.200.10 \n",
    );
  });

  it("has destinations in the kernel's order where the dump tells it", () => {
    const ipvs =
      "-A -f 1 -s rr\n-a -f 1 -r 10.0.0.1:0 -m -w 1\n-a -f 1 -r 10.0.0.2:0 -m -w 1\n-a -f 1 -r 10.0.0.3:0 -m -w 1";
    const order =
      "IP Virtual Server version 1.2.1 (size=4096)\nFWM  1 rr\n  -> 10.0.0.2:0 Masq 1 0 0\n  -> 10.0.0.3:0 Masq 1 0 0\n  -> 10.0.0.1:0 Masq 1 0 0";
    const lab = load(dumpText([ETH0], { ipvs, "ipvs-order": order }));
    const list = lab.shell("n", "ipvsadm -Ln --nosort | awk '{print $2}' | tail -3").stdout;
    expect(list).toBe("10.0.0.2:0\n10.0.0.3:0\n10.0.0.1:0\n");
  });

  it("answers where the page lets it listen", () => {
    const lab = load(dumpText([ETH0]), "{ import: n.dump, listen: { host: { http: 8080 } } }");
    expect(lab.shell("client", "curl -s 192.168.200.10:8080 | head -1").stdout).toBe("Hostname: n\n");
  });

  it.each([
    ["{ import: m.dump }", "lab.md:5:16: there is no file `m.dump` beside the page"],
    ["{ import: n.dump, docker: true }", "`docker` of an imported machine is what its dump says"],
    ["{ import: n.dump, lan: 192.168.200.7 }", "`lan` of an imported machine is what its dump says"],
    [
      "{ import: n.dump, listen: { hst: { http: 80 } } }",
      "the dump has no namespace `hst`; did you mean `host`?",
    ],
    ["{ import: n.dump, listen: { host: { htp: 80 } } }", "unknown server `htp`; did you mean `http`?"],
  ])("is refused with a place in the page: %s", (machine, message) => {
    expect(() => load(dumpText([ETH0]), machine)).toThrow(message);
  });

  it("must have a card on a segment", () => {
    expect(() => load(dumpText([device(2, "eth0", inet("10.0.0.1", 8))]))).toThrow(
      "no card of `n.dump` has an address",
    );
  });
});

describe("the ends of veth pairs", () => {
  const end = (ns: number, ifindex: number, link_index: number, link_netnsid: number) => ({
    ns,
    link: { ifindex, ifname: `v${ns}.${ifindex}`, link_index, link_netnsid } as LinkJson,
  });

  it("are found where numbers repeat, by what the other pairs say", () => {
    // Namespaces 1 and 2 both have an end 2 whose other end is 5; 1 is known to the host by its pair 7-3.
    const ends = [end(0, 5, 2, 1), end(1, 2, 5, 0), end(2, 2, 5, 0), end(0, 7, 3, 0), end(1, 3, 7, 0)];
    const { pairs, lonely, doubtful } = pairVeths(ends, new NetnsIds(4));
    const named = pairs.map(([a, b]) => [a.link.ifname, b.link.ifname].sort().join("-")).sort();
    expect(named).toEqual(["v0.5-v2.2", "v0.7-v1.3"]);
    expect([...lonely, ...doubtful].map(({ ns }) => ns)).toEqual([1]);
  });

  it("are doubtful when nothing tells them apart", () => {
    const ends = [end(0, 5, 2, 0), end(0, 6, 9, 0), end(1, 2, 5, 0), end(2, 2, 5, 0)];
    expect(pairVeths(ends, new NetnsIds(3)).doubtful).toHaveLength(3);
  });
});

describe("the collecting script", () => {
  it("is one that a shell reads", () => {
    expect(execFileSync("sh", ["-n"], { input: COLLECT_SCRIPT }).toString()).toBe("");
  });

  it("names namespaces as Docker's files tell", () => {
    const containers =
      "/var/run/docker/netns/abc 0123 /web.2.qo6zqyojf384nkiyku0hwut7r\n/var/run/docker/netns/def 4567 /db";
    const text = `@meshwire-dump 1\n@netns /proc/1/ns/net\n@docker\n@section networks\nxkhbjf8rnkv8330 ingress\n@section containers\n${containers}\n@end\n`;
    const names = new NamespaceNames(parseDump("n", text));
    const paths = [
      "/proc/1/ns/net",
      "/r/1-xkhbjf8rnk",
      "/r/lb_xkhbjf8rn",
      "/r/ingress_sbox",
      "/r/abc",
      "/r/def",
      "/r/other",
    ];
    expect(paths.map((path) => names.name(path))).toEqual([
      "host",
      "ovl-ingress",
      "lb-ingress",
      "ingress_sbox",
      "ctr-web.2",
      "ctr-db",
      "other",
    ]);
    expect(names.hostname("/r/def")).toBe("4567");
  });
});

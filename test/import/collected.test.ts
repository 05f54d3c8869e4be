/**
 * A dump that the collecting script made in a real kernel: client, director (IPVS by mark with source NAT, a bridge, a
 * VXLAN device, a policy rule) and two backends as namespaces without Docker.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createLab } from "../../src/index.ts";

const DUMP = readFileSync(join(import.meta.dirname, "fixtures/collected.dump"), "utf8");
const SOURCE = `---
segments: { lan: { subnet: 192.168.200.0/24 } }
machines: { n: { import: n.dump, listen: { b1: { http: 8080 }, b2: { http: 8080 } } } }
---
`;

describe("a collected dump", () => {
  const lab = createLab({ source: SOURCE, files: { "n.dump": DUMP } });
  const ask = (netns: string, command: string) => lab.shell("n", command, { netns }).stdout;

  it("balances as the real kernel did: the backend added last first, from the director's address", () => {
    const text = ask(
      "c",
      "for i in 1 2 3 4; do curl -sS http://10.1.0.1:8080/ | grep -E '^(IP: 10|Remote)'; done",
    );
    expect(text.replace(/:\d+$/gm, "").split("\n")).toEqual([
      ...["IP: 10.0.0.12", "RemoteAddr: 10.0.0.1", "IP: 10.0.0.11", "RemoteAddr: 10.0.0.1"],
      ...["IP: 10.0.0.12", "RemoteAddr: 10.0.0.1", "IP: 10.0.0.11", "RemoteAddr: 10.0.0.1", ""],
    ]);
  });

  it("has rules, route metrics, tunnels and permanent entries", () => {
    expect(ask("d", "ip rule")).toContain("32765:\tfrom all fwmark 0x7 lookup 100\n");
    expect(ask("d", "ip route show table 100")).toBe("unreachable 10.66.0.0/16 \n");
    expect(ask("b1", "ip route show default")).toBe("default via 10.0.0.1 dev eth0 mtu 1400 \n");
    expect(ask("d", "ip -d link show vx0")).toContain(
      "vxlan id 77 local 10.1.0.1 srcport 0 0 dstport 4789 proxy l2miss l3miss ",
    );
    expect(ask("d", "bridge fdb show dev vx0")).toBe("02:00:00:00:00:09 dst 10.1.0.9 self permanent\n");
    expect(ask("d", "ip neigh show nud permanent")).toBe(
      "10.77.0.9 dev vx0 lladdr 02:00:00:00:00:09 PERMANENT \n",
    );
  });

  it("gives what the director says of itself again", () => {
    const section = (name: string) =>
      DUMP.slice(DUMP.indexOf("@netns /var/run/netns/d")).split(`@section ${name}\n`)[1].split("\n@")[0];
    expect(ask("d", "ipvsadm -Sn").trim()).toBe(section("ipvs"));
    const order = (text: string) => [...text.matchAll(/-> (10\S+)/g)].map(([, dest]) => dest);
    expect(order(ask("d", "ipvsadm -Ln --nosort"))).toEqual(order(section("ipvs-order")));
    const rules = (text: string) =>
      text
        .split("\n")
        .filter((line) => /-A|^\*/.test(line))
        .map((line) => line.replace(/^\[\S+\] /, ""));
    expect(rules(ask("d", "iptables-save -c"))).toEqual(rules(section("iptables")));
    expect(ask("d", "sysctl -n net.ipv4.vs.conntrack net.ipv4.ip_forward")).toBe("1\n1\n");
  });
});

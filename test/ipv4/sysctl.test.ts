import { describe, expect, test } from "vitest";
import { World } from "./topology.ts";

function world() {
  const w = new World();
  const ns = w.ns("a");
  const far = w.ns("b");
  const [dev] = w.join(ns, "eth0", far, "eth0", 0x10);
  return { w, ns, dev };
}

describe("net.ipv4 parameters", () => {
  test("a device shows every parameter that the kernel shows", () => {
    const { ns } = world();
    const conf = ns.sysctl.names().filter((name) => name.startsWith("net.ipv4.conf.eth0."));
    expect(conf.map((name) => `${name.split(".").at(-1)}=${ns.sysctl.get(name)}`).join(" ")).toBe(
      "accept_local=0 accept_redirects=1 accept_source_route=1 arp_accept=0 arp_announce=0 " +
        "arp_evict_nocarrier=1 arp_filter=0 arp_ignore=0 arp_notify=0 bc_forwarding=0 bootp_relay=0 " +
        "disable_policy=0 disable_xfrm=0 drop_gratuitous_arp=0 drop_unicast_in_l2_multicast=0 " +
        "force_igmp_version=0 forwarding=0 igmpv2_unsolicited_report_interval=10000 " +
        "igmpv3_unsolicited_report_interval=1000 ignore_routes_with_linkdown=0 log_martians=0 " +
        "mc_forwarding=0 medium_id=0 promote_secondaries=0 proxy_arp=0 proxy_arp_pvlan=0 " +
        "route_localnet=0 rp_filter=0 secure_redirects=1 send_redirects=1 shared_media=1 " +
        "src_valid_mark=0 tag=0",
    );
    expect(ns.sysctl.get("net.ipv4.conf.lo.disable_xfrm")).toBe("1");
    expect(ns.sysctl.get("net.ipv4.conf.all.accept_source_route")).toBe("0");
    const neigh = ns.sysctl.names().filter((name) => name.startsWith("net.ipv4.neigh."));
    expect(neigh.length).toBe(30);
    expect(ns.sysctl.get("net.ipv4.neigh.eth0.unres_qlen")).toBe("101");
  });

  test("ip_forward switches all devices, later ones too, and redirects off", () => {
    const { w, ns } = world();
    ns.sysctl.set("net.ipv4.ip_forward", "1");
    w.join(ns, "eth1", w.ns("c"), "eth0", 0x20);
    for (const name of ["all", "default", "lo", "eth0", "eth1"]) {
      expect(ns.sysctl.get(`net.ipv4.conf.${name}.forwarding`)).toBe("1");
    }
    expect(ns.sysctl.get("net.ipv4.conf.all.accept_redirects")).toBe("0");
    expect(ns.sysctl.get("net.ipv4.conf.eth0.accept_redirects")).toBe("1");
  });

  test("a new namespace copies all and default from the machine's first one", () => {
    const { w, ns } = world();
    w.kernel.initNs.sysctl.set("net.ipv4.ip_forward", "1");
    w.kernel.initNs.sysctl.set("net.ipv4.conf.default.rp_filter", "2");
    const late = w.ns("late");
    expect(late.sysctl.get("net.ipv4.ip_forward")).toBe("1");
    expect(late.sysctl.get("net.ipv4.conf.lo.rp_filter")).toBe("2");
    expect(ns.sysctl.get("net.ipv4.ip_forward")).toBe("0");
  });

  test("a new default reaches devices where nobody wrote the parameter", () => {
    const { ns } = world();
    ns.sysctl.set("net.ipv4.conf.eth0.arp_ignore", "0");
    ns.sysctl.set("net.ipv4.conf.default.arp_ignore", "1");
    expect(ns.sysctl.get("net.ipv4.conf.eth0.arp_ignore")).toBe("0");
    expect(ns.sysctl.get("net.ipv4.conf.lo.arp_ignore")).toBe("1");
  });

  test("bad values are refused, unknown names do not exist", () => {
    const { ns } = world();
    expect(() => ns.sysctl.set("net.ipv4.conf.eth0.rp_filter", "x")).toThrow("Invalid argument");
    expect(() => ns.sysctl.set("net.ipv4.ip_default_ttl", "0")).toThrow("Invalid argument");
    expect(() => ns.sysctl.set("net.ipv4.ip_local_port_range", "5 1")).toThrow("Invalid argument");
    expect(() => ns.sysctl.get("net.ipv4.conf.eth9.rp_filter")).toThrow("No such file or directory");
    ns.sysctl.set("net.ipv4.ip_local_port_range", "1024 2000");
    expect(ns.sysctl.get("net.ipv4.ip_local_port_range")).toBe("1024\t2000");
    ns.sysctl.set("net.ipv4.ping_group_range", "0\t2147483647");
    expect(ns.sysctl.get("net.ipv4.ping_group_range")).toBe("0\t2147483647");
  });
});

/** Routers between the machines: time to live, redirects, source checks, translators and fragments. */
import { describe, expect, it } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";

const PUBLISHED = `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24 }
machines:
  client: { lan: 192.168.200.1 }
  node: { lan: 192.168.200.10, docker: true }
images:
  whoami: { http: 80 }
---
\`\`\`console
node$ docker swarm init --advertise-addr 192.168.200.10
node$ docker service create -d --name web -p 8080:80 --replicas 2 whoami
lab$ wait 10s
\`\`\`
`;

const ROUTERS = `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24 }
  dc2: { subnet: 10.99.0.0/24 }
machines:
  client: { lan: 192.168.200.1, gateway: 192.168.200.20 }
  first: { lan: 192.168.200.10, forward: true }
  second: { lan: 192.168.200.20, dc2: 10.99.0.1, forward: true }
  inner: { dc2: 10.99.0.10, gateway: 10.99.0.1 }
images:
  whoami: { http: 80, udp-echo: 5353 }
---
`;

/** IPv4 packets of a window's interface, link header off, in hex. */
function packets(lab: LabHandle, window: string, file: string): string[] {
  const pcap = Buffer.from(lab.capture(window).pcap(`${file}.pcap`));
  const out: string[] = [];
  for (let at = 24; at < pcap.length; at += 16 + pcap.readUInt32LE(at + 8)) {
    const frame = pcap.subarray(at + 16, at + 16 + pcap.readUInt32LE(at + 8));
    if (frame.readUInt16BE(12) === 0x0800) out.push(frame.subarray(14).toString("hex"));
  }
  return out;
}

const protocol = (packet: string): number => Number.parseInt(packet.slice(18, 20), 16);
const ttl = (packet: string): number => Number.parseInt(packet.slice(16, 18), 16);
const addresses = (packet: string): string => packet.slice(24, 40);
const CLIENT = "c0a8c801";
const NODE = "c0a8c80a";

/** Without the header's checksum and the TTL, which a router changes. */
function asSent(packet: string): string {
  return `${packet.slice(0, 16)}..${packet.slice(18, 20)}....${packet.slice(24)}`;
}

describe("a packet to a published port whose time to live ends", () => {
  const lab = createLab({ source: PUBLISHED });
  lab.startCapture("ttl", {});
  for (const t of [1, 2, 3]) lab.shell("client", `hping3 -S -c 1 -t ${t} -p 8080 192.168.200.10`);
  lab.capture("ttl").stop();
  const seen = packets(lab, "ttl", "client__host__eth0");
  const syns = seen.filter((packet) => protocol(packet) === 6 && packet.slice(24, 32) === CLIENT);
  const errors = seen.filter((packet) => protocol(packet) === 1);

  it("on the node itself: the node says so, quotes the packet as it came, and nothing behind it sees it", () => {
    const [error] = errors;
    expect(error.slice(0, 8)).toBe("45c00044");
    expect([ttl(error), addresses(error)]).toEqual([64, NODE + CLIENT]);
    expect(error.slice(40, 44)).toBe("0b00");
    expect(error.slice(48)).toBe(`00000000${syns[0]}`);
    expect(packets(lab, "ttl", "node__ingress_sbox__eth1").map(ttl)).not.toContain(0);
  });

  it("in the routing namespace: its error reaches the client as the node's, and so does what it quotes", () => {
    const inside = packets(lab, "ttl", "node__ingress_sbox__eth1");
    const [, error] = errors;
    expect(error.slice(0, 8)).toBe("45c00044");
    expect([ttl(error), addresses(error)]).toEqual([63, NODE + CLIENT]);
    const quoted = error.slice(56);
    expect(asSent(quoted)).toBe(asSent(syns[1]));
    expect(ttl(quoted)).toBe(1);
    const there = inside.find((packet) => protocol(packet) === 1)!;
    expect([ttl(there), addresses(there)]).toEqual([64, `ac120002${CLIENT}`]);
    expect(addresses(there.slice(56))).toBe(`${CLIENT}ac120002`);
  });

  it("in the container: it arrives there with the last of it and is answered", () => {
    expect(errors.length).toBe(2);
    const answer = seen.find((packet) => protocol(packet) === 6 && packet.slice(24, 32) === NODE)!;
    expect(ttl(answer)).toBe(62);
    const arrived = lab
      .capture("ttl")
      .files.filter((file) => file.includes("__ctr-web"))
      .flatMap((file) => packets(lab, "ttl", file.replace(/\.pcap$/, "")))
      .filter((packet) => protocol(packet) === 6 && packet.slice(44, 48) === "1f90");
    expect(arrived.map(ttl)[0]).toBe(1);
  });

  it("has a connection of the balancer all the same, from the second hop on", () => {
    const { stdout } = lab.shell("node", "ipvsadm -Lnc", { netns: "ingress_sbox" });
    const destinations = stdout.split("\n").filter((line) => line.startsWith("TCP"));
    expect(destinations.length).toBe(2);
    expect(new Set(destinations.map((line) => line.trim().split(/\s+/)[5])).size).toBe(2);
  });

  it("shows traceroute three hops with one address", () => {
    const { stdout } = lab.shell("client", "traceroute -n -T -p 8080 192.168.200.10");
    expect(stdout.match(/^ \d {2}192\.168\.200\.10 /gm)?.length).toBe(3);
  });
});

describe("routers on one link", () => {
  it("redirect until the host knows the nearer one, then it takes the shorter way; ping says so, no error counts", () => {
    const lab = createLab({ source: ROUTERS });
    lab.shell("client", "ip route add 10.99.0.0/24 via 192.168.200.10");
    lab.shell("first", "ip route add 10.99.0.0/24 via 192.168.200.20");
    lab.startCapture("redirect", {});
    const { stdout } = lab.shell("client", "ping -c 3 10.99.0.10");
    expect(stdout.split("\n")[1]).toBe(
      "From 192.168.200.10: icmp_seq=1 Redirect Host(New nexthop: 192.168.200.20)",
    );
    expect(stdout).toMatch(/3 packets transmitted, 3 received, 0% packet loss, time 200\dms/);
    expect(lab.shell("client", "ip route get 10.99.0.10").stdout).toMatch(/ via 192\.168\.200\.20 dev eth0 /);
    lab.capture("redirect").stop();
    const seen = packets(lab, "redirect", "client__host__eth0");
    const redirect = seen.filter((packet) => packet.slice(40, 42) === "05");
    // At the first one the host only asks who has the address.
    expect(redirect.length).toBe(2);
    expect(redirect[0].slice(40, 44) + redirect[0].slice(48, 56)).toBe("0501c0a8c814");
    expect(asSent(redirect[0].slice(56))).toBe(asSent(seen[0]));
    expect(packets(lab, "redirect", "first__host__eth0").filter((p) => p.slice(40, 42) === "08").length).toBe(
      4,
    );
  });
});

describe("a packet whose source belongs elsewhere", () => {
  const lab = createLab({ source: ROUTERS });
  lab.shell("inner", "ip addr add 192.168.200.77/32 dev lo");
  lab.shell("inner", "ip addr add 172.31.9.9/32 dev lo");

  /** Whether a packet with this source gets through the router under this rp_filter. */
  function passes(mode: number, source: string): boolean {
    const name = `rp${mode}-${source}`;
    lab.shell("second", `sysctl -w net.ipv4.conf.eth1.rp_filter=${mode}`);
    lab.startCapture(name, {});
    const { stdout } = lab.shell("inner", `ping -c 1 -W 1 -I ${source} 192.168.200.1`);
    expect(stdout.split("\n")[0]).toBe(
      `PING 192.168.200.1 (192.168.200.1) from ${source} : 56(84) bytes of data.`,
    );
    lab.capture(name).stop();
    expect(packets(lab, name, "second__host__eth1").length).toBe(1);
    return lab.capture(name).files.includes("second__host__eth0.pcap")
      ? packets(lab, name, "second__host__eth0").some((packet) => packet.slice(40, 42) === "08")
      : false;
  }

  it("passes without rp_filter, not with the strict one, and with the loose one if any route leads there", () => {
    const modes = [0, 1, 2];
    expect(modes.map((mode) => passes(mode, "192.168.200.77"))).toEqual([true, false, true]);
    expect(modes.map((mode) => passes(mode, "172.31.9.9"))).toEqual([true, false, false]);
  });

  it("is a martian when the source is the router's own address, whatever rp_filter says", () => {
    lab.shell("inner", "ip addr add 192.168.200.20/32 dev lo");
    expect(passes(0, "192.168.200.20")).toBe(false);
  });
});

describe("fragments through a translator", () => {
  const lab = createLab({ source: ROUTERS });
  const nat = "iptables -t nat -A";
  lab.shell("second", `${nat} POSTROUTING -s 10.99.0.0/24 -o eth0 -j SNAT --to-source 192.168.200.20`);
  lab.shell("second", `${nat} PREROUTING -i eth0 -p udp --dport 5353 -j DNAT --to-destination 10.99.0.10`);
  for (const machine of ["client", "inner"])
    lab.shell(machine, "nohup whoami 80 --udp 5353 >/dev/null 2>&1 &");

  /** Identity, fragment field, length and addresses of the parts of one datagram of 3000 bytes. */
  function parts(window: string, file: string): string[] {
    const all = packets(lab, window, file).filter(
      (p) => (Number.parseInt(p.slice(12, 16), 16) & 0x3fff) !== 0,
    );
    return all.map((packet) => `${packet.slice(12, 16)} ${packet.slice(4, 8)} ${addresses(packet)}`);
  }

  function send(window: string, from: string, to: string): string {
    lab.startCapture(window, {});
    const { stdout } = lab.shell(
      from,
      `head -c 3000 /dev/zero | tr "\\0" x | socat -t 0.5 - UDP4:${to}:5353,mtudiscover=0 | wc -c`,
    );
    lab.capture(window).stop();
    return stdout.trim();
  }

  it("leave with the source of all of them rewritten, cut as they came", () => {
    expect(Number(send("out", "inner", "192.168.200.1"))).toBeGreaterThan(0);
    const cut = (ends: string): string[] => [`2000 05dc ${ends}`, `20b9 05dc ${ends}`, `0172 0044 ${ends}`];
    expect(parts("out", "second__host__eth1")).toEqual(cut(`0a63000a${CLIENT}`));
    expect(parts("out", "second__host__eth0")).toEqual(cut(`c0a8c814${CLIENT}`));
  });

  it("arrive at a forwarded port, though only the first one carries it", () => {
    expect(Number(send("in", "client", "192.168.200.20"))).toBeGreaterThan(0);
    const inside = parts("in", "second__host__eth1");
    expect(inside.map((part) => part.slice(10))).toEqual(Array(3).fill(`${CLIENT}0a63000a`));
  });
});

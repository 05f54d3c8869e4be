/**
 * IP in IP between two routers with a narrow link between them: every frame as a 6.1 kernel has it (`fixtures/ipip-path.txt`
 * is what tcpdump -v said there, ARP and the ids left out), and what the tools then tell.
 */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { Dissector, PLAIN } from "../../src/capture/dissect.ts";
import { Recorder } from "../../src/capture/recorder.ts";
import { IP_PMTUDISC_DO, IP_PMTUDISC_DONT } from "../../src/net/ipv4/sock.ts";
import { UdpSock } from "../../src/net/ipv4/udp-sock.ts";
import { loadPage, PageRun } from "../../src/scenario/run-page.ts";
import { SysError } from "../../src/util/errors.ts";
import { parseIp4 } from "../../src/wire/address.ts";

const PAGE = `---
seed: 1
segments:
  lan: { subnet: 10.249.0.0/24 }
machines:
  m: { lan: 10.249.0.1 }
---
`;

const veth = (a: string, aAddr: string, b: string, bAddr: string): string => {
  const [[an, ai], [bn, bi]] = [a.split(":"), b.split(":")];
  return `ip link add ${ai} netns ${an} type veth peer name ${bi} netns ${bn}
ip -n ${an} addr add ${aAddr} dev ${ai}; ip -n ${an} link set ${ai} up
ip -n ${bn} addr add ${bAddr} dev ${bi}; ip -n ${bn} link set ${bi} up`;
};

const SETUP = `
for n in C A R B D; do ip netns add $n; ip -n $n link set lo up; done
${veth("C:eth0", "192.168.10.2/24", "A:eth1", "192.168.10.1/24")}
${veth("A:eth0", "10.2.2.1/24", "R:eth0", "10.2.2.254/24")}
${veth("R:eth1", "10.4.4.254/24", "B:eth0", "10.4.4.1/24")}
${veth("B:eth1", "192.168.20.1/24", "D:eth0", "192.168.20.2/24")}
for n in A R B; do ip netns exec $n sysctl -qw net.ipv4.ip_forward=1; done
ip -n R link set eth1 mtu 1400; ip -n B link set eth0 mtu 1400
ip -n C route add default via 192.168.10.1; ip -n D route add default via 192.168.20.1
ip -n A route add 10.4.4.0/24 via 10.2.2.254; ip -n B route add 10.2.2.0/24 via 10.4.4.254
ip -n A link add ipip0 type ipip local 10.2.2.1 remote 10.4.4.1
ip -n B link add ipip0 type ipip local 10.4.4.1 remote 10.2.2.1 ttl 33 tos 0x10
ip -n A link set ipip0 up; ip -n B link set ipip0 up
ip -n A route add 192.168.20.0/24 dev ipip0; ip -n B route add 192.168.10.0/24 dev ipip0
`;

/** A director and a real server that gets its packets in a tunnel and answers itself. */
const DIRECTOR = `
for n in C V R S; do ip netns add $n; ip -n $n link set lo up; done
${veth("C:eth0", "10.0.0.2/24", "V:eth1", "10.0.0.1/24")}
${veth("V:eth0", "10.2.2.1/24", "R:eth0", "10.2.2.254/24")}
${veth("R:eth1", "10.4.4.254/24", "S:eth0", "10.4.4.1/24")}
for n in R V; do ip netns exec $n sysctl -qw net.ipv4.ip_forward=1; done
ip -n R link set eth1 mtu 1400; ip -n S link set eth0 mtu 1400
ip -n C route add 192.168.20.2 via 10.0.0.1; ip -n S route add default via 10.4.4.254
ip -n R route add 10.0.0.0/24 via 10.2.2.1; ip -n V route add 10.4.4.0/24 via 10.2.2.254
ip netns exec V sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
ip -n V addr add 192.168.20.2/32 dev lo
modprobe ipip
ip -n S link set tunl0 up; ip -n S addr add 192.168.20.2/32 dev tunl0
ip netns exec S sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tunl0.rp_filter=0
ip netns exec V ipvsadm -A -u 192.168.20.2:9 -s rr
ip netns exec V ipvsadm -a -u 192.168.20.2:9 -r 10.4.4.1 -i
`;

const golden = (name: string): string => readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8");

class Bench {
  private readonly run = new PageRun(loadPage("ipip.md", PAGE), { traces: false, recordRun: false });
  private readonly recorders = new Map<string, Recorder>();

  constructor(setup: string, taps: readonly string[]) {
    this.shell(setup);
    for (const name of taps) {
      const [ns, dev] = name.split("-");
      const recorder = new Recorder(this.run.live.lab.sim);
      recorder.attach(this.netns(ns).device(dev)!, "m", ns);
      this.recorders.set(name, recorder);
    }
  }

  shell(script: string): string {
    return this.run.live.shell("m", script, "host", true).text;
  }

  netns(name: string) {
    return this.run.live.lab.machine("m").netns(name);
  }

  /** A datagram to the discard port; the errno when it is refused. */
  send(from: string, size: number, df: boolean, ttl = 64, tos = 0): string {
    const sock = new UdpSock(this.netns(from));
    sock.bind(0, 4000);
    sock.pmtuDisc = df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
    sock.ttl = ttl;
    sock.tos = tos;
    let refused = "";
    try {
      sock.send(new Uint8Array(size).fill(97), parseIp4("192.168.20.2")!, 9);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      refused = error.code;
    }
    this.run.live.lab.wait(600_000_000);
    sock.close();
    return refused;
  }

  text(): string {
    const lines: string[] = [];
    for (const [name, recorder] of this.recorders) {
      lines.push(`== ${name}`);
      const dissector = new Dissector({ ...PLAIN, verbose: 1, noTime: true });
      for (let i = 0; i < recorder.frameCount; i++)
        lines.push(dissector.text(recorder.frameAt(i), recorder.frameLinkType(i)).replace(/id \d+/g, "id N"));
    }
    return `${lines.filter((line) => !line.startsWith("ARP")).join("\n")}\n`;
  }
}

/** The same steps as on the real machine. */
function walk(bench: Bench): string[] {
  const refused: string[] = [];
  refused.push(bench.send("C", 100, false, 40, 3));
  refused.push(bench.send("C", 100, true, 40));
  for (let i = 0; i < 3; i++) refused.push(bench.send("C", 1440, true));
  refused.push(bench.send("C", 1440, false));
  refused.push(bench.send("C", 100, false, 2));
  refused.push(bench.send("A", 1400, true));
  refused.push(bench.send("A", 1400, false));
  bench.shell("ip -n R link set eth1 down");
  refused.push(bench.send("C", 100, false));
  bench.shell("ip -n R route add unreachable 10.4.4.0/24");
  for (let i = 0; i < 3; i++) refused.push(bench.send("C", 100, false));
  bench.shell("ip -n R link set eth1 up; ip -n R route del unreachable 10.4.4.0/24");
  bench.shell("ip -n B link set ipip0 down");
  refused.push(bench.send("C", 100, false));
  bench.shell("ip -n B link set ipip0 up; ip -n A route del 10.4.4.0/24");
  refused.push(bench.send("C", 100, false));
  bench.shell("ip -n A route add 10.4.4.0/24 dev ipip0");
  refused.push(bench.send("C", 100, false));
  return refused;
}

const STATS = `ipip0: any/ip remote 10.4.4.1 local 10.2.2.1 ttl inherit
RX: Packets    Bytes        Errors CsumErrs OutOfSeq Mcasts
    4          1464         0      0        0        0       
TX: Packets    Bytes        Errors DeadLoop NoRoute  NoBufs
    13         5428         3      1        1        0     
`;

it("every frame, error and counter of a tunnel is the real kernel's", () => {
  const bench = new Bench(SETUP, ["C-eth0", "A-eth0", "A-ipip0", "B-ipip0", "B-eth0"]);
  const refused = walk(bench);
  expect(refused.filter((errno) => errno !== "")).toEqual(["EMSGSIZE", "EMSGSIZE"]);
  expect(bench.text()).toBe(golden("ipip-path.txt"));
  expect(bench.shell("ip -n A -s tunnel show ipip0")).toBe(STATS);
});

const SERVICE = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
UDP  192.168.20.2:9                      2        9        7     6512     2228
  -> 10.4.4.1:9                          2        9        7     6512     2228
`;

it("IPVS wraps packets up for a real server as the real kernel does, and takes the errors apart", () => {
  const bench = new Bench(DIRECTOR, ["C-eth0", "V-eth0", "S-tunl0", "S-eth0"]);
  bench.send("C", 100, false, 40, 3);
  bench.send("C", 100, true, 40);
  const refused = [1, 2, 3].map(() => bench.send("C", 1440, true));
  expect(refused).toEqual(["", "", "EMSGSIZE"]);
  bench.send("C", 1440, false);
  bench.send("C", 100, false, 2);
  bench.send("V", 100, false);
  bench.shell("ip netns exec V sysctl -qw net.ipv4.vs.pmtu_disc=0; ip netns exec C ip route flush cache");
  bench.send("C", 1440, true);
  bench.shell("ip -n S link set tunl0 down");
  bench.send("C", 100, false);
  expect(bench.text()).toBe(golden("ipvs-tunnel.txt"));
  // The estimator sums up every two seconds what is read here.
  expect(bench.shell("sleep 3; ip netns exec V ipvsadm -Ln --stats")).toBe(SERVICE);
});

const TOLD = `0
255
1
1
tunl0: any/ip remote any local any ttl inherit nopmtudisc
ipip0: any/ip remote 10.4.4.1 local 10.2.2.1 ttl inherit
t3: ip/ip remote 10.2.2.78 local any dev v0 ttl inherit tos inherit
6: t3@v0: <POINTOPOINT,NOARP> mtu 1380 qdisc noop state DOWN mode DEFAULT group default qlen 1000
    link/ipip 0.0.0.0 peer 10.2.2.78
delete tunnel "tunl0" failed: Operation not permitted
2: tunl0@NONE: <NOARP> mtu 1480 qdisc noop state DOWN mode DEFAULT group default qlen 1000
    link/ipip 0.0.0.0 brd 0.0.0.0
`;

it("ip tells of tunnels, and refuses, as iproute2 on that kernel", () => {
  const bench = new Bench("ip netns add A; modprobe ipip", []);
  const told = bench.shell(`ip -n A link add v0 type veth peer name v1; ip -n A addr add 10.2.2.1/24 dev v0
ip -n A link set v0 up mtu 1400; ip -n A link set v1 up
ip -n A link add ipip0 type ipip local 10.2.2.1 remote 10.4.4.1; echo $?
ip -n A link add x type ipip ttl 5 nopmtudisc remote 10.2.2.99 2> /dev/null; echo $?
ip -n A tunnel add t1 mode ipip local 10.2.2.1 remote 10.4.4.1 2> /dev/null; echo $?
ip -n A tunnel add t8 2> /dev/null; echo $?
ip -n A tunnel add t3 mode ipip remote 10.2.2.78 dev v0 tos inherit
ip -n A tunnel show; ip -n A link show t3; ip -n A tunnel del tunl0
ip -n A link del tunl0; ip -n A link show tunl0`);
  expect(told).toBe(TOLD);
});

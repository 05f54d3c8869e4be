import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  Conn,
  IPS_ASSURED,
  IPS_SEEN_REPLY,
  TCP_CONNTRACK_NAMES,
  TcpTrack,
} from "../../src/net/netfilter/conntrack/conn.ts";
import { MS, SEC } from "../../src/sim/sim.ts";
import { conntrackLine } from "../../src/tools/conntrack-text.ts";
import { icmpBytes, ip, ipPacket, type Lab, makeLab, SYN, tcpBytes, track, udpBytes } from "./packets.ts";
import { run } from "./typed.ts";

function fixture(name: string): string {
  return readFileSync(new URL(`./fixtures/${name}`, import.meta.url), "utf8");
}

/** Rebuilds the entry that a line of a real `conntrack -L -o extended` was printed from. */
function parseLine(line: string): Parameters<typeof conntrackLine>[0] {
  const words = line.split(/\s+/);
  const isTcp = words[2] === "tcp";
  const values = (key: string): string[] =>
    [...line.matchAll(new RegExp(`\\b${key}=(\\S+)`, "g"))].map((m) => m[1]);
  const number = (key: string, i: number): number => Number(values(key)[i] ?? 0);
  const isIcmp = words[2] === "icmp";
  const sport = (i: number): number => (isIcmp ? number("id", i) : number("sport", i));
  const dport = (i: number): number =>
    isIcmp ? (number("type", i) << 8) | number("code", i) : number("dport", i);
  const conn = new Conn(Number(words[3]), ip(values("src")[0]), ip(values("dst")[0]), sport(0), dport(0));
  conn.replSrc = ip(values("src")[1]);
  conn.replDst = ip(values("dst")[1]);
  conn.replSport = sport(1);
  conn.replDport = dport(1);
  conn.mark = number("mark", 0);
  const seenReply = !line.includes("[UNREPLIED]");
  const assured = line.includes("[ASSURED]");
  conn.status = (seenReply ? IPS_SEEN_REPLY : 0) | (assured ? IPS_ASSURED : 0);
  if (isTcp) {
    conn.tcp = new TcpTrack();
    conn.tcp.state = TCP_CONNTRACK_NAMES.indexOf(words[5]);
  }
  return { conn, seenReply, assured, expiresS: Number(words[4]) };
}

describe("conntrack", () => {
  it.each(fixture("conntrack-lines.txt").trimEnd().split("\n"))("prints as the real one: %s", (line) => {
    expect(conntrackLine(parseLine(line), true)).toBe(line);
    expect(conntrackLine(parseLine(line), false)).toBe(line.slice("ipv4     2 ".length));
  });

  function busyLab(): Lab {
    const lab = makeLab();
    track(lab, ipPacket(lab, 6, "192.168.200.1", "172.18.0.2", tcpBytes(40000, 8080, { flags: SYN })));
    track(lab, ipPacket(lab, 17, "192.168.200.1", "172.18.0.2", udpBytes(40000, 5353, new Uint8Array(3))));
    track(lab, ipPacket(lab, 1, "10.0.1.3", "10.0.1.2", icmpBytes(8, 0, (7 << 16) | 1, new Uint8Array(3))));
    lab.wait(1);
    return lab;
  }

  it("lists what the words ask for and says how many on stderr", () => {
    const lab = busyLab();
    expect(run(lab, "conntrack -L -p tcp --dport 8080 -o extended")).toEqual({
      stdout:
        "ipv4     2 tcp      6 119 SYN_SENT src=192.168.200.1 dst=172.18.0.2 sport=40000 dport=8080 [UNREPLIED] src=172.18.0.2 dst=192.168.200.1 sport=8080 dport=40000 mark=0 use=1\n",
      stderr: "conntrack v1.4.7 (conntrack-tools): 1 flow entries have been shown.\n",
      status: 0,
    });
    expect(run(lab, "conntrack -L").stderr).toContain(": 3 flow entries have been shown.\n");
    expect(run(lab, "conntrack -L -s 10.0.1.0/24").stdout).toMatch(/^icmp {5}1 29 src=10\.0\.1\.3 /);
    expect(run(lab, "conntrack -L -j").stdout).toBe("");
    expect(run(lab, "conntrack -C").stdout).toBe("3\n");
  });

  it("deletes, marks, gets and empties", () => {
    const lab = busyLab();
    expect(run(lab, "conntrack -U -f ipv4 -p udp --mark 7").stdout).toContain("mark=7 use=1");
    expect(run(lab, "conntrack -U -p udp --mark 8")).toEqual({
      stdout: "",
      stderr:
        "Operation failed: Operation not supported\nconntrack v1.4.7 (conntrack-tools): Operation failed: Operation not supported\n",
      status: 1,
    });
    expect(run(lab, "conntrack -L --mark 7").stderr).toContain(": 1 flow");
    const key = "-p tcp --orig-src 192.168.200.1 --orig-dst 172.18.0.2 --sport 40000 --dport 8080";
    expect(run(lab, `conntrack -G ${key}`).stdout).toContain("SYN_SENT");
    expect(run(lab, "conntrack -D -p tcp").stderr).toContain("1 flow entries have been deleted.\n");
    expect(run(lab, "conntrack -D -p tcp")).toEqual({
      stdout: "",
      stderr: "conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.\n",
      status: 1,
    });
    expect(run(lab, `conntrack -G ${key}`).stderr).toBe(
      "conntrack v1.4.7 (conntrack-tools): Operation failed: such conntrack doesn't exist\n",
    );
    expect(run(lab, "conntrack -F").stderr).toBe(
      "conntrack v1.4.7 (conntrack-tools): connection tracking table has been emptied.\n",
    );
    expect(run(lab, "conntrack -C").stdout).toBe("0\n");
  });

  it("refuses an option that its protocol does not have", () => {
    expect(run(makeLab(), "conntrack -L --dport 80")).toMatchObject({ status: 2, stdout: "" });
  });
});

describe("sysctl", () => {
  it("lists the parameters that a real namespace has, with their values", () => {
    const lab = makeLab();
    const ns = lab.kernel.createNs("task", "");
    const golden = fixture("sysctl-task.txt").replace("nf_conntrack_count = 8", "nf_conntrack_count = 0");
    expect(run(lab, "sysctl -a -r ^net.netfilter", {}, ns).stdout).toBe(golden);
  });

  it("reads, writes, and complains as the real one", () => {
    const lab = makeLab();
    const name = "net.netfilter.nf_conntrack_max";
    expect(run(lab, `sysctl ${name}`).stdout).toBe(`${name} = 65536\n`);
    expect(run(lab, `sysctl -w ${name}=100`).stdout).toBe(`${name} = 100\n`);
    expect(run(lab, `sysctl -n net/netfilter/nf_conntrack_max`).stdout).toBe("100\n");
    expect(run(lab, `sysctl -qw ${name}=101`).stdout).toBe("");
    expect(run(lab, "sysctl net.nope")).toEqual({
      stdout: "",
      stderr: "sysctl: cannot stat /proc/sys/net/nope: No such file or directory\n",
      status: 1,
    });
    expect(run(lab, `sysctl -w ${name}=x`).stderr).toBe(`sysctl: setting key "${name}": Invalid argument\n`);
    expect(run(lab, "sysctl -p lab.conf", { "lab.conf": `# text\n${name} = 9\n` }).stdout).toBe(
      `${name} = 9\n`,
    );
    expect(run(lab, `nsenter -t 1 -n sysctl -n ${name}`).stdout).toBe("9\n");
  });
});

describe("nsenter", () => {
  it("runs a command in the namespace of a path", () => {
    const lab = makeLab();
    lab.kernel.createNs("ingress_sbox", "/var/run/docker/netns/ingress_sbox");
    const count = "sysctl -n net.netfilter.nf_conntrack_count";
    track(lab, ipPacket(lab, 17, "10.0.0.1", "10.0.0.2", udpBytes(1, 2, new Uint8Array(1))));
    expect(run(lab, count).stdout).toBe("1\n");
    expect(run(lab, `nsenter --net=/var/run/docker/netns/ingress_sbox ${count}`).stdout).toBe("0\n");
    expect(run(lab, `nsenter --net=/run/docker/netns/ingress_sbox ${count}`).stdout).toBe("0\n");
  });

  it("names the file that does not exist", () => {
    expect(run(makeLab(), "nsenter --net=/var/run/docker/netns/nope ls")).toEqual({
      stdout: "",
      stderr: "nsenter: cannot open /var/run/docker/netns/nope: No such file or directory\n",
      status: 1,
    });
    expect(run(makeLab(), "nsenter -t 4711 -n ls").stderr).toBe(
      "nsenter: cannot open /proc/4711/ns/net: No such file or directory\n",
    );
  });
});

describe("dmesg", () => {
  it("prints the log with the time since boot, or the time of day", () => {
    const lab = makeLab();
    lab.sim.runUntil(12 * SEC + 345 * MS + 678_000);
    lab.kernel.printk("IPVS: rr: FWM 257 0x00000101 - no destination available");
    const text = "IPVS: rr: FWM 257 0x00000101 - no destination available\n";
    expect(run(lab, "dmesg").stdout).toBe(`[   12.345678] ${text}`);
    expect(run(lab, "dmesg -T").stdout).toBe(`[Sat Nov 21 04:00:12 2026] ${text}`);
    expect(run(lab, "dmesg -C").stdout).toBe("");
    expect(run(lab, "dmesg").stdout).toBe("");
  });
});

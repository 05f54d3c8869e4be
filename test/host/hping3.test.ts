/** Single packets by hand, and what a host answers to them. */
import { beforeAll, expect, it } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";

const PAGE = `---
seed: 1
segments:
  left: { subnet: 192.168.1.0/24, latency: 200us }
  right: { subnet: 192.168.2.0/24, latency: 300us }
machines:
  client: { left: 192.168.1.10, gateway: 192.168.1.1 }
  router: { left: 192.168.1.1, right: 192.168.2.1, forward: true, gateway: none }
  server: { right: 192.168.2.10, gateway: 192.168.2.1 }
---
`;
let lab: LabHandle;

beforeAll(() => {
  lab = createLab({ source: PAGE });
  lab.shell("server", "whoami 8080 &");
  lab.shell("client", "ping -c 1 192.168.2.10");
});

/** The line about the answer to one packet. */
function answer(words: string): string {
  return lab.shell("client", `sleep 2; hping3 -c 1 ${words} 192.168.2.10`).stdout.split("\n")[1];
}

it("a SYN is answered by SYN-ACK, at a closed port by RST", () => {
  expect(answer("-S -p 8080")).toMatch(
    /^len=44 ip=192\.168\.2\.10 ttl=63 DF id=0 sport=8080 flags=SA seq=0 win=64240 rtt=1\.0 ms$/,
  );
  expect(answer("-S -p 81")).toMatch(/^len=40 .* flags=RA seq=0 win=0 /);
});

it("an ACK out of nowhere is answered by RST with its own number, a RST by nothing", () => {
  expect(answer("-A -p 8080 -L 1234")).toMatch(/ flags=R seq=0 win=0 /);
  expect(answer("-R -p 8080")).toBe("");
});

it("says where the time to live ended", () => {
  expect(answer("-n -S -p 8080 -t 1")).toBe("TTL 0 during transit from ip=192.168.1.1");
  const { stdout, stderr } = lab.shell("client", "hping3 -c 1 -S -p 8080 -t 1 192.168.2.10");
  const back = "\b".repeat(15);
  expect(stdout).toContain(`ip=192.168.1.1 get hostname...${back}${" ".repeat(15)}${back}name=UNKNOWN\n`);
  expect(stderr).toContain("1 packets transmitted, 1 packets received, 0% packet loss\n");
});

it("sends UDP and ICMP, with data", () => {
  expect(answer("--udp -n -p 99")).toBe("ICMP Port Unreachable from ip=192.168.2.10");
  expect(answer("--icmp -d 100")).toMatch(
    /^len=128 ip=192\.168\.2\.10 ttl=63 id=\d+ icmp_seq=0 rtt=1\.0 ms$/,
  );
});

it("counts", () => {
  const { stdout, stderr } = lab.shell(
    "client",
    "hping3 -S -p 8080 -c 3 -i u10000 -s 5000 -w 1000 192.168.2.10",
  );
  expect(stdout).toMatch(
    /^HPING 192\.168\.2\.10 \(eth0 192\.168\.2\.10\): S set, 40 headers \+ 0 data bytes\n/,
  );
  expect(stdout.split("\n")).toHaveLength(5);
  expect(stderr).toBe(
    "\n--- 192.168.2.10 hping statistic ---\n3 packets transmitted, 3 packets received, 0% packet loss\nround-trip min/avg/max = 1.0/1.0/1.0 ms\n",
  );
});

it("says of a closed UDP port which packet it was", () => {
  const { stdout } = lab.shell("client", "sleep 2; hping3 -c 1 -n --udp -p 99 -s 7000 -k 192.168.2.10");
  expect(stdout.split("\n").slice(1)).toEqual([
    "ICMP Port Unreachable from ip=192.168.2.10",
    "status=0 port=7000 seq=0",
    "",
  ]);
});

it("an offer of ECN is granted, half an offer is not", () => {
  expect(answer("-S -X -Y -p 8080")).toMatch(/ flags=SAX seq=0 /);
  expect(answer("-S -X -p 8080")).toMatch(/ flags=SA seq=0 /);
  expect(answer("-S -X -Y -o 2 -p 8080")).toMatch(/ flags=SA seq=0 /);
});

it("takes the low bits of a source port that is too great", () => {
  expect(lab.shell("client", "hping3 -c 1 -n --udp -p 99 -s 72536 -k 192.168.2.10").stdout).toContain(
    " port=7000 ",
  );
});

it("the IP header is its own: a random id or that of -N, no DF but with -y", () => {
  const seen = (words: string): string => {
    lab.shell("server", "tcpdump -nvi eth0 -c 1 'tcp[tcpflags] & tcp-syn != 0' > seen 2>/dev/null &");
    lab.shell("client", `sleep 1; hping3 -S -c 1 -p 8080 ${words} 192.168.2.10`);
    return lab.shell("server", "head -1 seen").stdout;
  };
  expect(seen("-N 4660")).toMatch(/tos 0x0, ttl 63, id 4660, offset 0, flags \[none\], proto TCP/);
  expect(seen("-N 7 -y -o 10")).toMatch(/tos 0x10, ttl 63, id 7, offset 0, flags \[DF\]/);
  const [one, two] = ["", ""].map((words) => Number(/id (\d+),/.exec(seen(words))![1]));
  expect(one).not.toBe(two);
});

it("what the device does not take it cuts into fragments, whose id is its own", () => {
  lab.shell("server", "tcpdump -nvi eth0 -c 2 'udp or ip[6:2] & 0x1fff != 0' > seen 2>/dev/null &");
  lab.shell("client", "sleep 1; hping3 -2 -c 1 -p 9 -d 2000 -N 5 192.168.2.10");
  expect(lab.shell("server", "grep -o 'id .*proto UDP (17), length [0-9]*' seen").stdout).toBe(
    "id 5, offset 0, flags [+], proto UDP (17), length 1500\nid 5, offset 1480, flags [none], proto UDP (17), length 548\n",
  );
});

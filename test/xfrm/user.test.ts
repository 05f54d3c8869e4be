/** IPsec set up by hand between two machines, with rules that look at it. */
import { expect, it } from "vitest";
import { readCapture } from "../../src/capture/read-capture.ts";
import { createLab } from "../../src/index.ts";

const KEY = "0x000102030405060708090a0b0c0d0e0f10111213";

const PAGE = `---
seed: 1
segments:
  lan: { subnet: 192.168.7.0/24, latency: 100us, bandwidth: 1Gbit, mtu: 1500 }
machines:
  a: { lan: 192.168.7.1 }
  b: { lan: 192.168.7.2 }
---
# Two machines
`;

function lab() {
  const handle = createLab({ source: PAGE });
  const sh = (machine: string, command: string): string => {
    const { stdout, stderr, status } = handle.shell(machine, command);
    if (status > 1 || stderr !== "") throw new Error(`${command}: ${stderr}`);
    return stdout;
  };
  const both = (command: string): void => {
    for (const machine of ["a", "b"]) sh(machine, command);
  };
  const aead = `mode transport reqid 1 aead 'rfc4106(gcm(aes))' ${KEY} 128`;
  both(`ip xfrm state add src 192.168.7.1 dst 192.168.7.2 proto esp spi 0x1 ${aead}`);
  both(`ip xfrm state add src 192.168.7.2 dst 192.168.7.1 proto esp spi 0x2 ${aead}`);
  const tmpl = "tmpl proto esp mode transport reqid 1";
  sh("a", `ip xfrm policy add src 192.168.7.1 dst 192.168.7.2 dir out ${tmpl}`);
  sh("a", `ip xfrm policy add src 192.168.7.2 dst 192.168.7.1 dir in ${tmpl}`);
  sh("b", `ip xfrm policy add src 192.168.7.2 dst 192.168.7.1 dir out ${tmpl}`);
  sh("b", `ip xfrm policy add src 192.168.7.1 dst 192.168.7.2 dir in ${tmpl}`);
  return { handle, sh, both };
}

it("rules see a packet once in the clear and once as ESP, on its way out and in", () => {
  const { sh, both } = lab();
  for (const chain of ["INPUT", "OUTPUT"]) {
    const dir = chain === "INPUT" ? "in" : "out";
    both(`iptables -A ${chain} -m policy --dir ${dir} --pol ipsec`);
    both(`iptables -A ${chain} -m policy --dir ${dir} --pol none`);
    both(`iptables -A ${chain} -p esp`);
  }
  expect(sh("a", "ping -c 2 192.168.7.2")).toContain("2 received, 0% packet loss");
  // Echo and ESP header, IV, trailer and check value.
  const rules = ["[2:168] ipsec", "[2:240] none", "[2:240] esp"];
  for (const machine of ["a", "b"]) {
    const lines = sh(machine, "iptables-save -c").split("\n");
    for (const chain of ["INPUT", "OUTPUT"]) {
      const seen = lines
        .filter((line) => line.includes(`-A ${chain}`))
        .map((line) => `${line.split(" ")[0]} ${/ipsec|none|esp/.exec(line)![0]}`);
      expect(seen).toEqual(rules);
    }
  }
});

it("what is added makes the path's MTU smaller: packets and segments that still fit go out whole", () => {
  const { handle, sh } = lab();
  expect(sh("a", "ping -c 1 -M do -s 1438 192.168.7.2")).toContain("1 received");
  const refused = handle.shell("a", "ping -c 1 -W 1 -M do -s 1439 192.168.7.2");
  expect(refused.stderr).toBe("ping: local error: message too long, mtu=1466\n");
  const window = handle.startCapture("bulk");
  sh("b", "nc -l -p 5000 > /dev/null &");
  sh("a", "head -c 30000 /dev/zero | nc -w 1 192.168.7.2 5000");
  window.stop();
  const frames = readCapture(window.pcap("a__host__eth0.pcap"), "eth0").frames.map(({ bytes }) => bytes);
  const esp = frames.filter((frame) => frame[23] === 50);
  expect(frames.filter((frame) => frame[23] === 6)).toEqual([]);
  // 1466 bytes, less by what 4-byte blocks leave over, in 16 of ESP header and 16 of check value.
  expect(Math.max(...esp.map((frame) => frame.length))).toBe(14 + 1500);
  expect(esp.filter((frame) => frame.length === 14 + 1500).length).toBe(Math.floor(30000 / (1466 - 52)));
  expect(esp.every((frame) => (frame[20] & 0x3f) === 0)).toBe(true);
});

it("TCP runs through it, and a machine without the key hears nothing", () => {
  const { sh } = lab();
  sh("b", "echo hello | nc -l -p 5000 &");
  expect(sh("a", "nc -w 1 192.168.7.2 5000")).toBe("hello\n");
  sh("b", "ip xfrm state flush");
  expect(sh("a", "ping -c 1 -W 1 192.168.7.2")).toContain("100% packet loss");
});

/** The hops to a host, as traceroute of Debian and of busybox print them. */
import { beforeAll, describe, expect, it } from "vitest";
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

describe("two hops", () => {
  let lab: LabHandle;
  const run = (command: string): string => lab.shell("client", command).stdout;
  beforeAll(() => {
    lab = createLab({ source: PAGE });
    lab.shell("server", "whoami 8080 &");
    run("ping -c 1 192.168.2.10");
  });

  it("by UDP to rising ports, three probes a hop under way at once", () => {
    const text = run("traceroute -n 192.168.2.10");
    expect(text).toMatch(
      /^traceroute to 192\.168\.2\.10 \(192\.168\.2\.10\), 30 hops max, 60 byte packets\n 1 {2}192\.168\.1\.1( {2}0\.40\d ms){3}\n 2 {2}192\.168\.2\.10( {2}1\.00\d ms){3}\n$/,
    );
  });

  it.each(["-I", "-T -p 8080", "-T -p 81", "-U -p 99"])("with %s", (option) => {
    run("sleep 10");
    const lines = run(`traceroute -q 1 ${option} 192.168.2.10`).split("\n");
    expect(lines.slice(1)).toEqual([
      expect.stringMatching(/^ 1 {2}192\.168\.1\.1 \(192\.168\.1\.1\) {2}0\.\d{3} ms$/),
      expect.stringMatching(/^ 2 {2}192\.168\.2\.10 \(192\.168\.2\.10\) {2}1\.\d{3} ms$/),
      "",
    ]);
  });

  it("shows what an answer says, and stars for none", () => {
    run("sleep 10");
    lab.shell("server", "iptables -A INPUT -p udp -j REJECT --reject-with icmp-admin-prohibited");
    expect(run("traceroute -n -q 1 192.168.2.10")).toMatch(/\n 2 {2}192\.168\.2\.10 {2}\S+ ms !X\n$/);
    lab.shell("server", "iptables -F; iptables -A INPUT -p udp -j DROP");
    expect(run("traceroute -n -w 1 -m 3 192.168.2.10")).toMatch(/\n 2 {2}\* \* \*\n 3 {2}\* \* \*\n$/);
    lab.shell("server", "iptables -F");
  });

  it("of busybox: one probe at a time, 46 bytes", () => {
    run("sleep 10");
    const text = run("busybox traceroute -n -q 2 192.168.2.10");
    expect(text).toMatch(
      /^traceroute to 192\.168\.2\.10 \(192\.168\.2\.10\), 30 hops max, 46 byte packets\n 1 {2}192\.168\.1\.1 {2}0\.\d{3} ms {2}0\.\d{3} ms\n 2 {2}192\.168\.2\.10 {2}1\.\d{3} ms {2}1\.\d{3} ms\n$/,
    );
  });
});

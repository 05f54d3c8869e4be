/** A narrow link between two wide ones: who learns of it, and what the tools say about it. */
import { describe, expect, it } from "vitest";
import { createLab } from "../../src/index.ts";

const SOURCE = `---
segments:
  near: { subnet: 10.0.1.0/24, mtu: 1500 }
  narrow: { subnet: 10.0.2.0/24, mtu: 1400 }
  far: { subnet: 10.0.3.0/24, mtu: 1500 }
machines:
  client: { near: 10.0.1.1, gateway: 10.0.1.2 }
  left: { near: 10.0.1.2, narrow: 10.0.2.2, forward: true, gateway: none }
  right: { narrow: 10.0.2.3, far: 10.0.3.3, forward: true, gateway: none }
  server: { far: 10.0.3.1, gateway: 10.0.3.3 }
---
\`\`\`console
left$ ip route add 10.0.3.0/24 via 10.0.2.3
right$ ip route add 10.0.1.0/24 via 10.0.2.2
server$ nohup whoami 80 --udp 7 > /dev/null 2>&1 &
\`\`\`
`;

function narrowLab() {
  const lab = createLab({ source: SOURCE });
  return (machine: string, command: string) => lab.shell(machine, command);
}

/** Sequence numbers and lengths of the segments with data that came from port 80. */
function dataSegments(pcap: Uint8Array): { seq: number; length: number }[] {
  const view = new DataView(pcap.buffer, pcap.byteOffset, pcap.byteLength);
  const out: { seq: number; length: number }[] = [];
  for (let at = 24; at < pcap.length; at += 16 + view.getUint32(at + 8, true)) {
    const ip = at + 30;
    if (view.getUint16(at + 28) !== 0x0800 || pcap[ip + 9] !== 6 || view.getUint16(ip + 20) !== 80) continue;
    const length = view.getUint16(ip + 2) - 20 - (pcap[ip + 32] >> 4) * 4;
    if (length > 0) out.push({ seq: view.getUint32(ip + 24), length });
  }
  return out;
}

describe("a path that is narrower than both ends", () => {
  it("makes the sender of a stream send smaller segments and remember the path", () => {
    const sh = narrowLab();
    expect(sh("client", "curl -s 'http://10.0.3.1/data?size=50000' | wc -c").stdout).toBe("50000\n");
    expect(sh("server", "ip route show cache").stdout).toMatch(
      /^10\.0\.1\.1 via 10\.0\.3\.3 dev \S+ \n {4}cache expires \d+sec mtu 1400 \n$/,
    );
  });

  it("lets everything in flight go again, each buffer cut anew, before anything new", () => {
    const lab = createLab({ source: SOURCE });
    const capture = lab.startCapture("w");
    lab.shell("client", "curl -s 'http://10.0.3.1/data?size=60000' | wc -c");
    capture.stop();
    const segments = dataSegments(capture.pcap("client__host__eth0.pcap"));
    const first = segments.findIndex(({ length }) => length === 1348);
    const body = segments.slice(first);
    const seqs = body.map(({ seq }) => seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    // Nine segments of 1448 were in flight: each for itself would leave nine rests of 100.
    const again = body.filter(({ seq }) => seq < seqs[0] + 9 * 1448);
    expect(again.reduce((sum, { length }) => sum + length, 0)).toBe(9 * 1448);
    expect(again.length).toBeLessThan(15);
  });

  it("refuses a datagram that must not be cut, at first by the router's word, then at once", () => {
    const sh = narrowLab();
    const send = "head -c 1450 /dev/zero | socat -t .1 - UDP4:10.0.3.1:7,mtudiscover=2";
    expect(sh("client", send).stderr).toMatch(/ E read\(5, .*\): Message too long\n$/);
    expect(sh("client", send).stderr).toMatch(/ E write\(5, .*, 1450\): Message too long\n$/);
    expect(sh("client", "ip route get 10.0.3.1").stdout).toContain("mtu 1400");
  });

  it("cuts a datagram that may be cut, once the path is known", () => {
    const sh = narrowLab();
    sh("client", "ping -c 1 -s 1450 -M do 10.0.3.1");
    const send = "head -c 1450 /dev/zero | socat -t .1 - UDP4:10.0.3.1:7";
    expect(sh("client", send).stdout).toContain("len=1450");
  });

  it("is found by tracepath", () => {
    const sh = narrowLab();
    const lines = sh("client", "tracepath -n 10.0.3.1")
      .stdout.split("\n")
      .map((line) => line.replace(/ +\d+\.\d{3}ms/, " <t>").trimEnd());
    expect(lines).toEqual([
      " 1?: [LOCALHOST]                      pmtu 1500",
      " 1:  10.0.1.2 <t>",
      " 1:  10.0.1.2 <t>",
      " 2:  10.0.1.2 <t> pmtu 1400",
      " 2:  10.0.2.3 <t>",
      " 3:  10.0.3.1 <t> reached",
      "     Resume: pmtu 1400 hops 3 back 3",
      "",
    ]);
  });
});

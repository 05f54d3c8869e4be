/** A lab of plain machines: what the pages rely on below Docker. */
import { describe, expect, test } from "vitest";
import { createLab } from "../../src/index.ts";
import { UsageError } from "../../src/util/errors.ts";

const TWO = `---
seed: 3
segments:
  lan: { subnet: 192.168.200.0/24, latency: 1ms, bandwidth: 100Mbit }
machines:
  a: { lan: 192.168.200.1 }
  b: { lan: 192.168.200.10 }
---
`;
const ROUTED = `---
segments:
  left: { subnet: 10.1.0.0/24 }
  right: { subnet: 10.2.0.0/24, gateway: 10.2.0.254 }
machines:
  a: { left: 10.1.0.10 }
  router: { left: 10.1.0.1, right: 10.2.0.254, forward: true }
  b: { right: 10.2.0.10 }
---
`;

describe("machines", () => {
  test("cards are eth0, eth1 in the order given, with addresses, MACs and routes", () => {
    const lab = createLab({ source: ROUTED });
    expect(lab.shell("router", "ip -br addr | awk '{print $1, $3}'").stdout).toBe(
      "lo 127.0.0.1/8\neth0 10.1.0.1/24\neth1 10.2.0.254/24\n",
    );
    expect(lab.shell("router", "ip link show eth1 | grep -o '52:54:[0-9a-f:]*'").stdout).toBe(
      "52:54:00:00:00:fe\n",
    );
  });

  test("the default route goes to the gateway of the first segment, not on the gateway itself", () => {
    const lab = createLab({ source: ROUTED });
    expect(lab.shell("a", "ip route").stdout).toBe(
      "default via 10.1.0.1 dev eth0 \n10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.10 \n",
    );
    expect(lab.shell("b", "ip route | head -1").stdout).toBe("default via 10.2.0.254 dev eth0 \n");
    expect(lab.shell("router", "ip route | grep -c default").stdout).toBe("0\n");
  });

  test("a router forwards between its segments", () => {
    const lab = createLab({ source: ROUTED });
    const { stdout, status } = lab.shell("a", "ping -c 1 10.2.0.10");
    expect(stdout).toContain("64 bytes from 10.2.0.10: icmp_seq=1 ttl=63");
    expect(status).toBe(0);
  });
});

describe("captures", () => {
  test("a window holds every interface that saw a frame, named by machine and namespace", () => {
    const lab = createLab({ source: TWO });
    lab.shell("lab", "capture start one");
    lab.shell("a", "ping -c 1 192.168.200.10");
    lab.shell("lab", "capture stop");
    lab.shell("a", "ping -c 1 192.168.200.10");
    const capture = lab.capture("one");
    expect(capture.files).toEqual(["a__host__eth0.pcap", "b__host__eth0.pcap"]);
    expect(capture.pcap("a__host__eth0")).toEqual(capture.pcap("a__host__eth0.pcap"));
    expect(capture.pcap("a__host__eth0").length).toBeGreaterThan(24);
    expect(() => capture.pcap("c__host__eth0")).toThrow(UsageError);
  });

  test("interfaces that appear while the window runs are in it", () => {
    const lab = createLab({ source: TWO });
    lab.startCapture("w");
    lab.shell("a", "ip netns add box; ip link add v0 type veth peer name v1; ip link set v1 netns box");
    lab.shell("a", "ip addr add 10.9.0.1/24 dev v0; ip link set v0 up");
    lab.shell("a", "ip netns exec box ip addr add 10.9.0.2/24 dev v1; ip netns exec box ip link set v1 up");
    expect(lab.shell("a", "ping -c 1 10.9.0.2").status).toBe(0);
    expect(lab.capture("w").files).toEqual(["a__box__v1.pcap", "a__host__v0.pcap"]);
  });
});

describe("the lab's console", () => {
  test("wait moves the clock, and only that much", () => {
    const lab = createLab({ source: TWO });
    lab.shell("lab", "wait 90s");
    expect(lab.nowNs).toBe(90e9);
    lab.shell("lab", "wait until 100s");
    expect(lab.nowNs).toBe(100e9);
    expect(lab.shell("a", "date +%T").stdout).toBe("04:01:40\n");
  });

  test("a cut cable, a partition and loss stop packets until they are healed", () => {
    const lab = createLab({ source: TWO });
    const ping = () => lab.shell("a", "ping -c 1 -W 1 192.168.200.10").status;
    expect(ping()).toBe(0);
    lab.shell("lab", "cut lan b");
    expect(ping()).toBe(1);
    lab.shell("lab", "heal lan b");
    expect(ping()).toBe(0);
    lab.shell("lab", "partition a | b");
    expect(ping()).toBe(1);
    lab.shell("lab", "partition a,b | b");
    lab.shell("lab", "set lan loss=100%");
    expect(ping()).toBe(1);
  });

  test.each([
    ["wiat 3s", /unknown command of the lab `wiat`; did you mean `wait`\?/],
    ["wait 3x", /bad time `3x`/],
    ["cut lna a", /unknown segment `lna`; did you mean `lan`\?/],
    ["cut lan c", /unknown machine `c`/],
    ["set lan los=1%", /unknown property `los`; did you mean `loss`\?/],
    ["capture stop", /no capture runs/],
    ["wait 1s now", /`now` is too much here/],
  ])("%s is refused", (command, message) => {
    expect(() => createLab({ source: TWO }).shell("lab", command)).toThrow(message);
  });

  test("a machine without power runs nothing and answers nobody, until it is started again", () => {
    const lab = createLab({ source: TWO });
    lab.shell("a", "nc -l -p 99 > /dev/null &");
    lab.shell("lab", "crash a");
    expect(() => lab.shell("a", "true")).toThrow("a is off");
    expect(() => lab.shell("lab", "crash a")).toThrow("a is off already");
    lab.shell("lab", "boot a");
    expect(lab.shell("a", "ss -ltn | wc -l").stdout).toBe("1\n");
    expect(() => lab.shell("lab", "boot a")).toThrow("a is on already");
  });

  test("a command that never ends is an error, and the lab lives on", () => {
    const lab = createLab({ source: TWO });
    expect(() => lab.shell("a", "nc -l -p 99")).toThrow(/does not end/);
    expect(lab.shell("a", "echo on").stdout).toBe("on\n");
  });
});

test("two labs of one seed are equal to the byte, and another seed is another lab", () => {
  const bytes = (seed: number) => {
    const lab = createLab({ source: TWO, seed });
    lab.startCapture("w");
    lab.shell("lab", "set lan jitter=300us");
    lab.shell("a", "ping -c 3 192.168.200.10");
    return lab.capture("w").pcapng();
  };
  expect(bytes(5)).toEqual(bytes(5));
  expect(bytes(5)).not.toEqual(bytes(6));
});

test("text that is told once is known later, in output and in commands", () => {
  const page = `${TWO}\n\`\`\`console\na$ date +%s\n<now>\na$ echo <now>\n<now>\nb$ echo $((<now> + 1)) | grep -c <now>\n0\n[1]\n\`\`\`\n`;
  const lab = createLab({ source: page });
  expect(lab.results.map(({ ok, diff }) => [ok, diff])).toEqual([
    [true, []],
    [true, []],
    [true, []],
  ]);
});

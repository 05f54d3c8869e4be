/** VLAN devices and tags: texts and counters as Linux 6.1 with iproute2 6.1 gives them. */
import { describe, expect, it } from "vitest";
import { createLab } from "../../src/index.ts";

const PAGE = `---
seed: 1
segments:
  lan: { subnet: 10.249.0.0/24 }
machines:
  m: { lan: 10.249.0.1 }
---
`;

const PAIR = [
  "ip netns add far",
  "ip link add v0 address 02:00:00:00:00:01 type veth peer name v1 address 02:00:00:00:00:02",
  "ip link set v1 netns far",
  "ip link set v0 up",
  "ip -n far link set v1 up",
];

function shell(commands: readonly string[]): { stdout: string; stderr: string; status: number } {
  return createLab({ source: PAGE, seed: 1 }).shell("m", commands.join("\n"));
}

describe("VLAN devices", () => {
  it("are shown with what they are on", () => {
    const { stdout } = shell([
      ...PAIR,
      "ip link add link v0 name v0.5 type vlan id 5",
      "ip link set v0.5 up",
      "ip -d link show v0.5 | tail -2",
    ]);
    expect(stdout).toBe(
      [
        "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 0 maxmtu 65535 ",
        "    vlan protocol 802.1Q id 5 <REORDER_HDR> addrgenmode eui64 numtxqueues 1 gso_max_size 65536 gso_max_segs 65535 tso_max_size 524280 tso_max_segs 65535 gro_max_size 65536 ",
        "",
      ].join("\n"),
    );
  });

  it.each([
    ["ip link add link v0 type vlan id 5", "Error: 8021q: VLAN device already exists.\n"],
    ["ip link add link v0 type vlan", "Error: 8021q: VLAN properties not specified.\n"],
    ["ip link add link v0 type vlan id 4095", "Error: 8021q: Invalid VLAN id.\n"],
    ["ip link add link lo type vlan id 7", "Error: 8021q: VLANs not supported on device.\n"],
    ["ip link add type vlan id 7", "Error: 8021q: link not specified.\n"],
    ["ip link set v0.5 mtu 1600", "RTNETLINK answers: Numerical result out of range\n"],
    ["ip link set v0 down; ip link set v0.5 up", "RTNETLINK answers: Network is down\n"],
  ])("%s is refused", (command, words) => {
    const { stderr } = shell([...PAIR, "ip link add link v0 name v0.5 type vlan id 5", command]);
    expect(stderr).toBe(words);
  });

  it("carry packets whose tags the devices below do not count", () => {
    const { stdout } = shell([
      ...PAIR,
      "ip link add link v0 name v0.5 type vlan id 5",
      "ip -n far link add link v1 name v1.5 type vlan id 5",
      "ip addr add 10.5.0.1/24 dev v0.5; ip -n far addr add 10.5.0.2/24 dev v1.5",
      "ip link set v0.5 up; ip -n far link set v1.5 up",
      "ping -c 1 10.5.0.2 | grep received",
      "for d in v0 v0.5; do ip -s link show $d | awk '/^  *[0-9]/ { print $1, $2 }'; done",
    ]);
    // A request and a reply of ARP (42 bytes) and of ICMP (98); a VLAN device receives without the Ethernet header.
    expect(stdout.replace(/^1 packets.*\n/, "")).toBe("140 2\n140 2\n112 2\n140 2\n");
  });

  it("goes with the device below, and takes its MTU", () => {
    const { stdout } = shell([
      ...PAIR,
      "ip link add link v0 name v0.5 type vlan id 5",
      "ip link set v0 mtu 1400",
      "ip -br link show v0.5; ip link show v0.5 | grep -o 'mtu [0-9]*'",
      "ip link del v0; ip link show v0.5 2>&1",
    ]);
    expect(stdout).toMatch(
      /^v0\.5@v0 +DOWN +02:00:00:00:00:01 <BROADCAST,MULTICAST> \nmtu 1400\nDevice "v0\.5" does not exist\.\n$/,
    );
  });
});

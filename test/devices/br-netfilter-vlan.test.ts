/** Which device the IPv4 hooks see a bridged frame with a tag come in by (brnf_get_logical_dev in br_netfilter_hooks.c). */
import { expect, test } from "vitest";
import { MeshSide } from "../oracle/mesh-side.ts";
import { ethernet, fromHex, ipv4, udp } from "../oracle/packet.ts";

const SRC = "10.5.0.10";
const DST = "10.5.0.11";
const MACS = ["02:57:00:00:00:00", "02:57:00:00:00:01"] as const;

/** A UDP packet from one station of the bridge to the other, in a VLAN or in none. */
function frame(vlan: number | null): Uint8Array {
  const payload = udp({ src: SRC, dst: DST, sport: 40001, dport: 80 }, fromHex("00"));
  const plain = ethernet(
    MACS[1],
    MACS[0],
    0x0800,
    ipv4({ src: SRC, dst: DST, protocol: 17, id: 1 }, payload),
  );
  if (vlan === null) return plain;
  return Uint8Array.from([...plain.subarray(0, 12), 0x81, 0, vlan >> 8, vlan & 0xff, ...plain.subarray(12)]);
}

/** Packets that the rules about br0.5 and about br0 count, of frames in VLAN 5, in VLAN 6 and in none. */
function counts(passes: number, filters: number): number[] {
  const setup = ["ip link add br0 type bridge", "ip link set br0 up"];
  for (const [i, mac] of MACS.entries())
    setup.push(
      `ip link add p${i} type veth peer name w${i} address ${mac}`,
      `ip link set w${i} netns @world`,
      `ip link set p${i} master br0`,
      `ip link set p${i} up`,
    );
  setup.push("ip link add link br0 name br0.5 type vlan id 5", "ip link set br0.5 up");
  const switches = { "call-iptables": 1, "filter-vlan-tagged": filters, "pass-vlan-input-dev": passes };
  for (const [name, value] of Object.entries(switches))
    setup.push(`sysctl -qw net.bridge.bridge-nf-${name}=${value}`);
  const rules = ["br0.5", "br0"].map((dev) => `iptables -A FORWARD -i ${dev} -o br0`);
  const up = MACS.map((_, i) => ({ ns: "world", run: `ip link set w${i} up` }));
  const side = new MeshSide(
    {
      name: "vlans",
      namespaces: ["b"],
      setup: [...setup.map((run) => ({ ns: "b", run })), ...up],
      rules: rules.map((run) => ({ ns: "b", run })),
      stations: [],
      listeners: [],
      steps: [],
    },
    1,
  );
  for (const vlan of [5, 6, null]) side.inject("w0", frame(vlan));
  const [text] = side.ask("b", ["iptables -nvL FORWARD"]);
  side.close();
  return text
    .split("\n")
    .slice(2)
    .filter((line) => line !== "")
    .map((line) => Number(line.trim().split(/\s+/)[0]));
}

test("the bridge, unless the device of the VLAN is asked for and is there", () => {
  expect(counts(0, 1)).toEqual([0, 3]);
  expect(counts(1, 1)).toEqual([1, 2]);
});

test("frames in a VLAN are not seen at all where they are not filtered", () => {
  expect(counts(1, 0)).toEqual([0, 1]);
});

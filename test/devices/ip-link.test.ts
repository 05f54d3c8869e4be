/** `ip link`, `ip addr` and `bridge` as commands: what they change, print and refuse. */
import { expect, test } from "vitest";
import { Machine } from "../../src/host/machine.ts";
import type { Process } from "../../src/host/process.ts";
import { bridge } from "../../src/tools/bridge.ts";
import { ip } from "../../src/tools/ip/ip.ts";
import { runTool } from "../../src/tools/run-tool.ts";
import type { Tool, ToolContext, ToolOutput } from "../../src/tools/tool.ts";
import { frame, send, World } from "./util.ts";

function shell(): { world: World; machine: Machine; sh: (line: string) => string } {
  const world = new World();
  const machine = new Machine("m", world.kernel("m"));
  const context: ToolContext = {
    print: () => {},
    machine,
    ns: machine.hostNs,
    process: null as unknown as Process,
    stdin: "",
    files: new Map(),
    exec: null as never,
  };
  const sh = (line: string): string => {
    const [name, ...argv] = line.split(" ");
    const routine = runTool((name === "ip" ? ip : bridge) as Tool, argv, context);
    const { value } = routine.next() as { value: ToolOutput };
    return value.status === 0 ? value.stdout : `${value.stderr}${value.status}`;
  };
  return { world, machine, sh };
}

test("a pair is made, configured, shown and deleted with its peer", () => {
  const { world, sh } = shell();
  sh("ip link add a type veth peer name b");
  sh("ip link set a address 02:00:00:00:00:0a");
  sh("ip link set b address 02:00:00:00:00:0b");
  expect(sh("ip link show a")).toBe(
    "3: a@b: <BROADCAST,MULTICAST,M-DOWN> mtu 1500 qdisc noop state DOWN mode DEFAULT group default qlen 1000\n" +
      "    link/ether 02:00:00:00:00:0a brd ff:ff:ff:ff:ff:ff\n",
  );
  sh("ip link set dev a up mtu 1450");
  expect(sh("ip -br link show dev a")).toBe(
    "a@b              LOWERLAYERDOWN 02:00:00:00:00:0a <NO-CARRIER,BROADCAST,MULTICAST,UP,M-DOWN> \n",
  );
  sh("ip link set b up promisc on");
  sh("ip addr add 10.0.0.1/24 brd + dev a");
  expect(sh("ip -br addr show a")).toBe("a@b              UP             10.0.0.1/24 \n");
  expect(sh("ip -4 -o addr show dev a")).toBe(
    "3: a    inet 10.0.0.1/24 brd 10.0.0.255 scope global a\\       valid_lft forever preferred_lft forever\n",
  );
  expect(sh("ip link show b").split("\n")[0]).toBe(
    "2: b@a: <BROADCAST,MULTICAST,PROMISC,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000",
  );
  sh("ip link del b");
  expect(sh("ip link show a")).toBe('Device "a" does not exist.\n1');
  world.done();
});

test("counters", () => {
  const { world, machine, sh } = shell();
  sh("ip link add d type dummy");
  sh("ip link set d up");
  send(world, machine.hostNs.device("d")!, frame("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01"));
  expect(sh("ip -s link show d").split("\n").slice(2)).toEqual([
    "    RX:  bytes packets errors dropped  missed   mcast           ",
    "             0       0      0       0       0       0 ",
    "    TX:  bytes packets errors dropped carrier collsns           ",
    "            60       1      0       0       0       0 ",
    "",
  ]);
  world.done();
});

test("bridges and VXLAN devices by command", () => {
  const { world, sh } = shell();
  sh("ip link add br0 type bridge");
  sh("ip link add vx0 type vxlan id 42 dstport 4789 local 10.1.1.1 nolearning proxy");
  sh("ip link set vx0 master br0");
  sh("ip link set vx0 up");
  sh("ip link set br0 up");
  expect(sh("ip -d link show vx0").split("\n")[2]).toBe(
    "    vxlan id 42 local 10.1.1.1 srcport 0 0 dstport 4789 nolearning proxy ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx ",
  );
  expect(sh("bridge link")).toBe(
    "3: vx0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 master br0 state forwarding priority 32 cost 100 \n",
  );
  sh("bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.1.1.2");
  sh("bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.1.1.3");
  sh("bridge fdb add 02:00:00:00:00:01 dev vx0 master static");
  const shown = sh("bridge fdb show dev vx0").split("\n");
  expect(shown[0]).toBe("02:00:00:00:00:01 vlan 1 master br0 static");
  expect(shown[1]).toBe("02:00:00:00:00:01 master br0 static");
  expect(shown.slice(-3)).toEqual([
    "00:00:00:00:00:00 dst 10.1.1.2 self permanent",
    "00:00:00:00:00:00 dst 10.1.1.3 self permanent",
    "",
  ]);
  sh("bridge link set dev vx0 hairpin on");
  expect(sh("bridge -d link").split("\n")[1]).toContain(
    "hairpin on guard off root_block off fastleave off learning on",
  );
  world.done();
});

test("what is refused, in the words of the real commands", () => {
  const { world, sh } = shell();
  sh("ip link add br0 type bridge");
  expect(sh("ip link add br0 type bridge")).toBe("RTNETLINK answers: File exists\n2");
  expect(sh("ip link set nope up")).toBe('Cannot find device "nope"\n1');
  expect(sh("ip link set lo master br0")).toBe("RTNETLINK answers: Invalid argument\n2");
  sh("ip link add v type veth peer name w");
  expect(sh("ip link set v mtu 70000")).toBe("Error: mtu greater than device maximum.\n2");
  expect(sh("ip link set v mtu 10")).toBe("Error: mtu less than device minimum.\n2");
  sh("ip link set v up");
  expect(sh("ip link set v name x")).toBe("RTNETLINK answers: Device or resource busy\n2");
  expect(sh("bridge fdb del 02:00:00:00:00:01 dev v master")).toBe(
    "RTNETLINK answers: Operation not supported\n255",
  );
  expect(sh("bridge fdb add 02:00:00:00:00:01")).toBe("Device and address are required arguments.\n255");
  expect(() => sh("ip link add t type gretap")).toThrow("not modelled");
  world.done();
});

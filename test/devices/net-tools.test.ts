/** route, arp, netstat (net-tools 2.10) and brctl (bridge-utils 1.7.1): what the real ones print of the same state. */
import { beforeEach, describe, expect, test } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";

const SOURCE = `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24, latency: 200us }
machines:
  a: { lan: 192.168.200.1, gateway: none }
---
`;
/** The state in which the texts below were taken. */
const SETUP = [
  "ip link set eth0 down",
  "ip link add br0 type bridge; ip link add v0 type veth peer name v1; ip link set v0 master br0",
  "ip link set br0 up; ip link set v0 up; ip link set v1 up; ip link add br1 type bridge",
  "ip addr add 10.1.2.3/24 dev br0; ip route add default via 10.1.2.1",
  "ip route add 10.9.0.0/16 via 10.1.2.9 metric 5; ip route add 10.8.8.8 dev br0",
  "ip route add unreachable 10.77.0.0/16",
  "ip neigh add 10.1.2.1 lladdr 02:00:00:00:00:01 dev br0 nud permanent",
];
let lab: LabHandle;
const a = (command: string) => lab.shell("a", command);
const text = (command: string): string => a(command).stdout;
/** Everything that it says, and its status. */
const said = (command: string): [string, number] => {
  const { stdout, stderr, status } = a(command);
  return [stdout + stderr, status];
};

beforeEach(() => {
  lab = createLab({ source: SOURCE });
  for (const line of SETUP) a(line);
});

const ROUTES = `Kernel IP routing table
Destination     Gateway         Genmask         Flags Metric Ref    Use Iface
0.0.0.0         10.1.2.1        0.0.0.0         UG    0      0        0 br0
10.1.2.0        0.0.0.0         255.255.255.0   U     0      0        0 br0
10.8.8.8        0.0.0.0         255.255.255.255 UH    0      0        0 br0
10.9.0.0        10.1.2.9        255.255.0.0     UG    5      0        0 br0
10.77.0.0       -               255.255.0.0     !     0      -        0 -
`;
const EXTENDED = `Kernel IP routing table
Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface
0.0.0.0         10.1.2.1        0.0.0.0         UG        0 0          0 br0
10.1.2.0        0.0.0.0         255.255.255.0   U         0 0          0 br0
10.8.8.8        0.0.0.0         255.255.255.255 UH        0 0          0 br0
10.9.0.0        10.1.2.9        255.255.0.0     UG        0 0          0 br0
10.77.0.0       -               255.255.0.0     !         - -          - -
`;

describe("route", () => {
  test("shows the main table, both ways", () => {
    expect(text("route -n")).toBe(ROUTES);
    expect(text("route")).toBe(ROUTES.replace("0.0.0.0         10.1.2.1", "default         10.1.2.1"));
    expect(text("netstat -rn")).toBe(EXTENDED);
    expect(text("route -en")).toBe(EXTENDED);
  });

  test("adds in front of what is there, and deletes", () => {
    a("route add -net 10.5.0.0/16 gw 10.1.2.7; route add -net 10.6.0.0 netmask 255.255.0.0 dev br0");
    a("route add default gw 10.1.2.2; route add -host 10.1.9.9 gw 10.1.2.5 metric 3");
    expect(said("route add -net 10.5.0.0/16 gw 10.1.2.7")).toEqual(["SIOCADDRT: File exists\n", 7]);
    expect(said("route add default gw 99.1.1.1")).toEqual(["SIOCADDRT: Network is unreachable\n", 7]);
    a("route add -host 10.1.1.1 reject");
    expect(text("route -n").split("\n").slice(2, 10)).toEqual([
      "0.0.0.0         10.1.2.2        0.0.0.0         UG    0      0        0 br0",
      "0.0.0.0         10.1.2.1        0.0.0.0         UG    0      0        0 br0",
      "10.1.1.1        -               255.255.255.255 !H    0      -        0 -",
      "10.1.2.0        0.0.0.0         255.255.255.0   U     0      0        0 br0",
      "10.1.9.9        10.1.2.5        255.255.255.255 UGH   3      0        0 br0",
      "10.5.0.0        10.1.2.7        255.255.0.0     UG    0      0        0 br0",
      "10.6.0.0        0.0.0.0         255.255.0.0     U     0      0        0 br0",
      "10.8.8.8        0.0.0.0         255.255.255.255 UH    0      0        0 br0",
    ]);
    expect(a("route del default; route del -net 10.5.0.0/16").status).toBe(0);
    expect(said("route del -net 10.5.0.0/16")).toEqual(["SIOCDELRT: No such process\n", 7]);
    expect(text("route -n | grep -c ^0.0.0.0")).toBe("1\n");
  });

  test.each([
    ["add -net 10.5.0.1/16 gw 10.1.2.7", "route: netmask doesn't match route address\n", 3],
    ["add 10.4.0.0/16 gw 10.1.2.9", "route: netmask 0000ffff doesn't make sense with host route\n", 3],
    ["add -net 10.7.0.0/16", "SIOCADDRT: No such device\n", 7],
    ["add -net 10.7.0.0/16 dev nope", "SIOCADDRT: No such device\n", 7],
    ["add -net 172.20.0.0 dev br0", "SIOCADDRT: Invalid argument\n", 7],
    ["add -net foo dev br0", "foo: Host name lookup failure\n", 1],
  ])("%s is refused", (words, first, status) => {
    const [told, code] = said(`route ${words}`);
    expect(told.startsWith(first)).toBe(true);
    expect(code).toBe(status);
  });
});

const ARP_HEAD = "Address                  HWtype  HWaddress           Flags Mask            Iface\n";

test("arp shows, sets and deletes", () => {
  a("nc -u -w 1 10.1.2.77 9 < /dev/null; printf x | nc -u -w 1 10.1.2.77 9");
  expect(text("arp -n | sort -r")).toBe(
    `${ARP_HEAD}10.1.2.77                        (incomplete)                              br0\n10.1.2.1                 ether   02:00:00:00:00:01   CM                    br0\n`,
  );
  expect(text("arp -an | sort")).toBe(
    "? (10.1.2.1) at 02:00:00:00:00:01 [ether] PERM on br0\n? (10.1.2.77) at <incomplete> on br0\n",
  );
  expect(said("arp -s 10.1.2.50 02:11:22:33:44:55")).toEqual(["", 0]);
  expect(text("arp -n 10.1.2.50")).toBe(
    `${ARP_HEAD}10.1.2.50                ether   02:11:22:33:44:55   CM                    br0\n`,
  );
  expect(said("arp -d 10.1.2.50")).toEqual(["", 0]);
  expect(said("arp -d 10.1.2.50")).toEqual(["No ARP entry for 10.1.2.50\n", 255]);
  expect(said("arp 10.1.2.200")).toEqual(["10.1.2.200 (10.1.2.200) -- no entry\n", 0]);
  expect(said("arp -s 10.1.2.60")).toEqual(["arp: need hardware address\n", 255]);
  expect(said("arp -s 10.1.2.60 zz")).toEqual(["arp: invalid hardware address\n", 255]);
  expect(said("arp -d")).toEqual(["arp: need host name\n", 255]);
});

test("netstat shows sockets and devices", () => {
  a("nc -lk -p 8080 > /dev/null & nc -lu -p 5353 > /dev/null & sleep 0.1");
  const pids = text("pgrep nc").trim().split("\n");
  const columns = "Proto Recv-Q Send-Q Local Address           Foreign Address         State      ";
  expect(text("netstat -tulpn")).toBe(
    `Active Internet connections (only servers)\n${columns} PID/Program name    \n` +
      `tcp        0      0 0.0.0.0:8080            0.0.0.0:*               LISTEN      ${`${pids[0]}/nc`.padEnd(20)}\n` +
      `udp        0      0 0.0.0.0:5353            0.0.0.0:*                           ${`${pids[1]}/nc`.padEnd(20)}\n`,
  );
  a("echo | nc -N 10.1.2.3 8080");
  expect(text("netstat -tn").replace(/:[0-9]{5}/, ":PORT1")).toBe(
    `Active Internet connections (w/o servers)\n${columns}\n` +
      "tcp        0      0 10.1.2.3:PORT1          10.1.2.3:8080           TIME_WAIT  \n",
  );
  a("ip link set v1 promisc on; ip link set v0 allmulticast on");
  expect(
    text("netstat -i")
      .split("\n")
      .map((line) => line.replace(/ +\d+(?: +\d+){8} /, " ... ")),
  ).toEqual([
    "Kernel Interface table",
    "Iface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg",
    "br0 ... BMRU",
    "lo ... LRU",
    "v0 ... ABMRU",
    "v1 ... BMPRU",
    "",
  ]);
  expect(text("netstat -i | grep lo")).toBe(
    "lo              65536        8      0      0 0             8      0      0      0 LRU\n",
  );
});

test("ifconfig shows devices, their aliases and their counts", () => {
  a("ip addr add 10.1.2.4/24 dev br0 label br0:1; ip link set v1 promisc on; ping -c 1 -s 8770 127.0.0.1");
  const mac = (dev: string): string => text(`cat /sys/class/net/${dev}/address`).trim();
  expect(text("ifconfig lo")).toBe(`lo: flags=73<UP,LOOPBACK,RUNNING>  mtu 65536
        inet 127.0.0.1  netmask 255.0.0.0
        loop  txqueuelen 1000  (Local Loopback)
        RX packets 2  bytes 17596 (17.1 KiB)
        RX errors 0  dropped 0  overruns 0  frame 0
        TX packets 2  bytes 17596 (17.1 KiB)
        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0

`);
  expect(text("ifconfig v1 | head -2")).toBe(
    `v1: flags=4419<UP,BROADCAST,RUNNING,PROMISC,MULTICAST>  mtu 1500\n        ether ${mac("v1")}  txqueuelen 1000  (Ethernet)\n`,
  );
  expect(text("ifconfig br0:1")).toBe(
    `br0:1: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1500\n        inet 10.1.2.4  netmask 255.255.255.0  broadcast 0.0.0.0\n        ether ${mac("br0")}  txqueuelen 1000  (Ethernet)\n\n`,
  );
  expect(text("ifconfig | grep -c flags; ifconfig -a | grep -c flags")).toBe("5\n7\n");
  expect(text("ifconfig -s | tail -n +3 | head -1")).toBe(
    "br0:1            1500      - no statistics available -                        BMRU\n",
  );
  expect(said("ifconfig nope")).toEqual([
    "nope: error fetching interface information: Device not found\n",
    1,
  ]);
});

describe("brctl", () => {
  const id = (dev: string): string => text(`cat /sys/class/net/${dev}/address`).trim();

  test("shows bridges and their addresses", () => {
    const plain = (mac: string): string => mac.replaceAll(":", "");
    a("ip link add x0 type veth peer name x1; brctl addif br0 x0");
    expect(text("brctl show")).toBe(
      "bridge name\tbridge id\t\tSTP enabled\tinterfaces\n" +
        `br0\t\t8000.${plain(id("br0"))}\tno\t\tv0\n\t\t\t\t\t\t\tx0\n` +
        `br1\t\t8000.${plain(id("br1"))}\tno\t\t\n`,
    );
    expect(text("brctl showmacs br0")).toContain(`  1\t${id("v0")}\tyes\t\t   0.00\n`);
  });

  test("makes and takes them away", () => {
    expect(said("brctl addbr brx; brctl addif brx v1; brctl delif brx v1; brctl delbr brx")).toEqual(["", 0]);
  });

  test.each([
    ["show nope", "bridge nope does not exist!\n"],
    ["addbr br0", "device br0 already exists; can't create bridge with the same name\n"],
    ["addif br1 d9", "interface d9 does not exist!\n"],
    ["addif br1 v0", "device v0 is already a member of a bridge; can't enslave it to bridge br1.\n"],
    ["delif br1 v0", "device v0 is not a port of br1\n"],
    ["delbr br0", "bridge br0 is still up; can't delete it\n"],
    ["delbr nobr", "bridge nobr doesn't exist; can't delete it\n"],
    ["addbr", "Incorrect number of arguments for command\nUsage: brctl addbr <bridge>\t\tadd bridge\n"],
  ])("%s is refused", (words, told) => {
    expect(said(`brctl ${words}`)).toEqual([told, 1]);
  });
});

describe("those of busybox 1.35", () => {
  test("ifconfig", () => {
    a("ip addr add 10.1.2.4/24 dev br0 label br0:1; ping -c 1 -s 8770 127.0.0.1");
    const mac = text("cat /sys/class/net/br0/address").trim().toUpperCase();
    expect(text("busybox ifconfig lo")).toBe(`lo        Link encap:Local Loopback  
          inet addr:127.0.0.1  Mask:255.0.0.0
          UP LOOPBACK RUNNING  MTU:65536  Metric:1
          RX packets:2 errors:0 dropped:0 overruns:0 frame:0
          TX packets:2 errors:0 dropped:0 overruns:0 carrier:0
          collisions:0 txqueuelen:1000 
          RX bytes:17596 (17.1 KiB)  TX bytes:17596 (17.1 KiB)

`);
    expect(text("busybox ifconfig br0:1")).toBe(`br0:1     Link encap:Ethernet  HWaddr ${mac}  
          inet addr:10.1.2.4  Bcast:0.0.0.0  Mask:255.255.255.0
          UP BROADCAST RUNNING MULTICAST  MTU:1500  Metric:1

`);
    expect(said("busybox ifconfig nope")).toEqual([
      "ifconfig: nope: error fetching interface information: Device not found\n",
      1,
    ]);
  });

  test("route, netstat -r and arp", () => {
    expect(text("busybox route -n")).toBe(
      ROUTES.replace("10.77.0.0       -      ", "10.77.0.0       0.0.0.0").replace(
        "-        0 -",
        "0        0 *",
      ),
    );
    expect(
      text("busybox route | tail -n +3"),
    ).toBe(`default         10.1.2.1        0.0.0.0         UG    0      0        0 br0
10.1.2.0        *               255.255.255.0   U     0      0        0 br0
10.8.8.8        *               255.255.255.255 UH    0      0        0 br0
10.9.0.0        10.1.2.9        255.255.0.0     UG    5      0        0 br0
10.77.0.0       *               255.255.0.0     !     0      0        0 *
`);
    expect(text("busybox netstat -rn | tail -1")).toBe(
      "10.77.0.0       0.0.0.0         255.255.0.0     !         0 0          0 *\n",
    );
    a("printf x | nc -u -w 1 10.1.2.77 9");
    expect(text("busybox arp -n | sort")).toBe(
      "? (10.1.2.1) at 02:00:00:00:00:01 [ether] PERM on br0\n? (10.1.2.77) at <incomplete>  on br0\n",
    );
    expect(said("busybox arp -n 10.1.2.9")).toEqual(["No match found in 2 entries\n", 0]);
    a("busybox route add -net 10.5.0.0/16 gw 10.1.2.7");
    expect(said("busybox route add -net 10.5.0.0/16 gw 10.1.2.7")).toEqual([
      "route: SIOCADDRT: File exists\n",
      1,
    ]);
  });

  test("netstat", () => {
    a("nc -lk -p 8080 > /dev/null & sleep 0.1");
    expect(text("busybox netstat -tln")).toBe(
      "Active Internet connections (only servers)\nProto Recv-Q Send-Q Local Address           Foreign Address         State       \n" +
        "tcp        0      0 0.0.0.0:8080            0.0.0.0:*               LISTEN      \n",
    );
    expect(said("busybox netstat -tulpn")[0]).toMatch(/^netstat: invalid option -- 'p'\nBusyBox v1\.35\.0 /);
  });
});

/** What scaling, killing, draining and updating do to the data plane, as captures of a real cluster showed it. */
import { describe, expect, it } from "vitest";
import { connectTcp, openUdp, recvTcp, recvUdp, sendTcp } from "../../src/host/socket.ts";
import type { Lab } from "../../src/lab.ts";
import { iptablesSaveTool } from "../../src/tools/iptables/save.ts";
import { ipvsadm } from "../../src/tools/ipvsadm/ipvsadm.ts";
import { parseIp4 } from "../../src/wire/address.ts";
import { DNS_A, DNS_CLASS_IN, DNS_RD, decodeDns, encodeDns } from "../../src/wire/dns.ts";
import { docker, formSwarm, runIn, SEC, swarmLab } from "./swarm-lab.ts";

const MANAGER = "swarm-manager";

function swarmWithWeb(replicas = 2, seed = 1): Lab {
  const lab = swarmLab({}, seed);
  formSwarm(lab);
  docker(lab, MANAGER, "network create -d overlay mynet");
  docker(lab, MANAGER, `service create --name web --network mynet -p 8080:80 --replicas ${replicas} whoami`);
  return lab;
}

function balancer(lab: Lab, machine = MANAGER): string {
  return runIn(lab, machine, ipvsadm as never, ["-Sn"], lab.machine(machine).netns("ingress_sbox")).stdout;
}

function rules(lab: Lab, machine: string, name: string): string {
  return runIn(lab, machine, iptablesSaveTool as never, [], lab.machine(machine).netns(name)).stdout;
}

/** Host name in the answer of a published port. */
function get(lab: Lab, address: string, port = 8080, from = "client"): string {
  const client = lab.machine(from);
  let text = "";
  const process = client.spawn("curl", client.hostNs, function* (self) {
    const sk = yield* connectTcp(self, parseIp4(address)!, port, { timeoutNs: 3 * SEC });
    yield* sendTcp(sk, new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    text = new TextDecoder().decode(yield* recvTcp(sk));
    return 0;
  });
  expect(lab.runProcess(process, 10 * SEC)).toBe(true);
  return /Hostname: (\S+)/.exec(text)?.[1] ?? "";
}

/** A records that the resolver of a namespace gives for a name. */
function resolve(lab: Lab, machine: string, nsName: string, name: string): string[] {
  const host = lab.machine(machine);
  let found: string[] = [];
  const process = host.spawn("dig", host.netns(nsName), function* (self) {
    const sk = openUdp(self);
    const question = { name: `${name}.`, type: DNS_A, class: DNS_CLASS_IN };
    const query = {
      id: 7,
      flags: DNS_RD,
      questions: [question],
      answers: [],
      authorities: [],
      additionals: [],
    };
    sk.send(encodeDns(query, false), parseIp4("127.0.0.11")!, 53);
    const answer = yield* recvUdp(sk, SEC);
    const records = answer === null ? [] : decodeDns(answer.data)!.answers;
    found = records.map(({ data }) =>
      data.kind === "a" ? [24, 16, 8, 0].map((s) => (data.addr >>> s) & 255).join(".") : "",
    );
    return 0;
  });
  expect(lab.runProcess(process, 5 * SEC)).toBe(true);
  return found;
}

describe("a published service", () => {
  it("answers on every node, with all its tasks in turn", () => {
    const lab = swarmWithWeb();
    for (const node of ["192.168.200.10", "192.168.200.11", "192.168.200.12"]) {
      const first = get(lab, node);
      const second = get(lab, node);
      expect(first).toMatch(/^[0-9a-f]{12}$/);
      expect(second).not.toBe(first);
      expect(get(lab, node)).toBe(first);
    }
    lab.wait(200 * SEC);
    expect(lab.pool.outstanding).toBe(0);
  });

  it("leaves no trace on the data plane at 0 replicas, and comes back with its address and a new mark", () => {
    const lab = swarmWithWeb();
    docker(lab, MANAGER, "service scale -d web=0");
    lab.wait(8 * SEC);
    expect(balancer(lab)).toBe("");
    expect(rules(lab, MANAGER, "host")).not.toContain("8080");
    expect(rules(lab, MANAGER, "ingress_sbox")).not.toContain("MARK");
    docker(lab, MANAGER, "service scale web=3");
    expect(rules(lab, MANAGER, "ingress_sbox")).toContain(
      "-A INPUT -d 10.0.0.5/32 -j MARK --set-xmark 0x102/",
    );
    expect(balancer(lab).match(/-r 10\.0\.0\.(8|9|10):0/g)).toHaveLength(3);
  });

  it("first gets no new connections, then its container stops, when it is scaled down", () => {
    const lab = swarmWithWeb(2);
    docker(lab, MANAGER, "service scale -d web=1");
    lab.wait(SEC);
    expect(balancer(lab)).toMatch(/-w 0/);
    lab.wait(3 * SEC);
    expect(balancer(lab).match(/-a /g)).toHaveLength(1);
  });

  it("loses a killed task at once and gets it back after the restart delay", () => {
    const lab = swarmWithWeb(2);
    const machine = docker(lab, MANAGER, "ps -q").stdout !== "" ? MANAGER : "swarm-worker1";
    const id = docker(lab, machine, "ps -q").stdout.trim().split("\n")[0];
    docker(lab, machine, `kill ${id}`);
    lab.wait(0.3 * SEC);
    expect(balancer(lab).match(/-a .*-w 1/g)).toHaveLength(1);
    expect(balancer(lab)).not.toMatch(/-w 0/);
    lab.wait(15 * SEC);
    expect(balancer(lab).match(/-a /g)).toHaveLength(2);
    expect(docker(lab, MANAGER, "service ps web").stdout).toContain('"task: non-zero exit (137)"');
  });

  it("leaves a drained node, which still routes and has no namespace of the network any more", () => {
    const lab = swarmWithWeb(3);
    docker(lab, MANAGER, "node update --availability drain swarm-worker1");
    lab.wait(15 * SEC);
    const names = lab.machine("swarm-worker1").kernel.namespaces.map((ns) => ns.name);
    expect(names).toEqual(["host", "ingress_sbox", "ovl-ingress"]);
    expect(get(lab, "192.168.200.11")).not.toBe("");
  });
});

describe("a port published on the host only", () => {
  it("is translated for others, and served by docker-proxy on the loopback", () => {
    const lab = swarmLab();
    formSwarm(lab);
    docker(lab, MANAGER, "network create -d overlay mynet");
    const words =
      "--constraint node.hostname==swarm-worker1 --publish mode=host,target=80,published=8081 whoami";
    docker(lab, MANAGER, `service create --name hm --network mynet ${words}`);
    const name = get(lab, "192.168.200.11", 8081);
    expect(name).toMatch(/^[0-9a-f]{12}$/);
    expect(get(lab, "127.0.0.1", 8081, "swarm-worker1")).toBe(name);
    docker(lab, MANAGER, "service rm hm");
    lab.wait(10 * SEC);
    expect(rules(lab, "swarm-worker1", "host")).not.toContain("8081");
    expect(lab.machine("swarm-worker1").processes.some(({ comm }) => comm === "docker-proxy")).toBe(false);
  });
});

describe("names", () => {
  it("are the service's address, its tasks' addresses, and gone with the last task", () => {
    const lab = swarmWithWeb(3);
    const slot = lab.machine(MANAGER).kernel.namespaces.find((ns) => ns.name.startsWith("ctr-"))!.name;
    expect(resolve(lab, MANAGER, slot, "WEB")).toEqual(["10.0.1.2"]);
    expect(resolve(lab, MANAGER, slot, "web.mynet")).toEqual(["10.0.1.2"]);
    expect(resolve(lab, MANAGER, slot, "tasks.web").sort()).toEqual(["10.0.1.3", "10.0.1.4", "10.0.1.5"]);
    expect(resolve(lab, MANAGER, slot, "nobody")).toEqual([]);
  });
});

describe("chance", () => {
  it("is the seed's: two runs are equal, another seed is not", () => {
    const run = (seed: number): string => {
      const lab = swarmWithWeb(3, seed);
      return docker(lab, MANAGER, "service ps --no-trunc web").stdout + rules(lab, MANAGER, "ingress_sbox");
    };
    const strip = (text: string): string => text.replace(/^#.*$/gm, "");
    expect(strip(run(5))).toBe(strip(run(5)));
    expect(strip(run(5))).not.toBe(strip(run(6)));
  });
});

it.each([1, 2, 3, 4])("every node numbers the networks of a service alike (seed %i)", (seed) => {
  const lab = swarmWithWeb(3, seed);
  lab.wait(2 * SEC);
  for (const machine of [MANAGER, "swarm-worker1", "swarm-worker2"]) {
    expect(rules(lab, machine, "ingress_sbox")).toContain("--dport 8080 -j MARK --set-xmark 0x100/");
    expect(rules(lab, machine, "lb-mynet")).toContain("-j MARK --set-xmark 0x101/");
  }
});

it("making an overlay looks for rules of an encrypted one, which makes the host's mangle table", () => {
  const lab = swarmLab();
  formSwarm(lab);
  expect(rules(lab, "swarm-worker1", "host")).toContain("*mangle");
});

describe("the slots of an update", () => {
  /** Slots in the order in which an update replaced their tasks. */
  function updateOrder(seed: number, starts: readonly number[] = []): number[] {
    const tasks = Object.fromEntries(starts.map((place, i) => [`web.${i + 1}/2`, { starts: place }]));
    const lab = swarmLab({ tasks }, seed);
    formSwarm(lab);
    docker(lab, MANAGER, "service create -d --name web --replicas 4 whoami");
    lab.sim.runUntil(lab.sim.now + 20 * SEC);
    docker(lab, MANAGER, "service update -d --update-delay 3s --update-order start-first --env-add A=1 web");
    lab.sim.runUntil(lab.sim.now + 40 * SEC);
    const format = "{{.Name}}:{{.CurrentState}}";
    const { stdout } = docker(
      lab,
      MANAGER,
      `service ps --filter desired-state=running --format ${format} web`,
    );
    const found = [...stdout.matchAll(/web\.(\d):Running (\d+) seconds ago/g)];
    return found.sort((a, b) => Number(b[2]) - Number(a[2])).map(([, slot]) => Number(slot));
  }

  it("come in any order, the seed's", () => {
    const orders = [1, 2, 3].map((seed) => updateOrder(seed).join(""));
    expect(new Set(orders).size).toBeGreaterThan(1);
    expect(updateOrder(1).join("")).toBe(orders[0]);
  });

  it("or as the page pins the start of the new tasks", () => {
    expect(updateOrder(1, [3, 1, 4, 2])).toEqual([2, 4, 1, 3]);
  });
});

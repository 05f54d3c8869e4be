/** The control plane on the wire: joining, heartbeats, gossip, and what their loss does. */
import { describe, expect, it } from "vitest";
import type { Lab } from "../../src/lab.ts";
import { iptablesTool } from "../../src/tools/iptables/iptables.ts";
import { ipvsadm as ipvsadmTool } from "../../src/tools/ipvsadm/ipvsadm.ts";
import { ss as ssTool } from "../../src/tools/ss.ts";
import type { Tool } from "../../src/tools/tool.ts";
import { docker, formSwarm, runIn, SEC, swarmLab } from "./swarm-lab.ts";

const MANAGER = "swarm-manager";
const WORKER = "swarm-worker2";

function run(lab: Lab, machine: string, tool: unknown, words: string, netns = "host"): string {
  const ns = lab.machine(machine).netns(netns);
  return runIn(lab, machine, tool as Tool<never, never>, words.split(" "), ns).stdout;
}

/** Addresses of the backends that the ingress of a machine knows. */
function backends(lab: Lab, machine: string): string[] {
  const text = run(lab, machine, ipvsadmTool, "-Ln", "ingress_sbox");
  return [...text.matchAll(/-> (10\.[\d.]+):0/g)].map((match) => match[1]).sort();
}

function stateOf(lab: Lab, node: string): string {
  const line = docker(lab, MANAGER, "node ls")
    .stdout.split("\n")
    .find((row) => row.includes(node))!;
  return /Ready|Down|Unknown/.exec(line)![0];
}

function token(lab: Lab): string {
  return docker(lab, MANAGER, "swarm join-token -q worker").stdout.trim();
}

function cable(lab: Lab, verb: "cut" | "heal", machine: string): void {
  const segment = lab.segments.get("lan")!;
  segment[verb](segment.portOf(lab.cardOn("lan", machine)!)!);
}

function labWithService(): Lab {
  const lab = swarmLab();
  formSwarm(lab);
  docker(lab, MANAGER, "service create -d --name web -p 8080:80 --replicas 3 whoami");
  lab.wait(10 * SEC);
  return lab;
}

describe("the control plane", () => {
  it("listens on 2377 at managers and on 7946 everywhere", () => {
    const lab = swarmLab();
    formSwarm(lab);
    const manager = run(lab, MANAGER, ssTool, "-tuln");
    expect(manager).toMatch(/tcp +LISTEN .*\*:2377/);
    expect(manager).toMatch(/tcp +LISTEN .*\*:7946/);
    expect(manager).toMatch(/udp +UNCONN .*\*:7946/);
    const worker = run(lab, WORKER, ssTool, "-tuan");
    expect(worker).not.toMatch(/LISTEN .*:2377/);
    expect(worker).toMatch(/ESTAB +0 +0 +192\.168\.200\.12:\d+ +192\.168\.200\.10:2377/);
  });

  it("removes the records of a silent node after 5 to 8 s, and marks it down after three heartbeats", () => {
    const lab = labWithService();
    expect(backends(lab, MANAGER)).toHaveLength(3);
    cable(lab, "cut", WORKER);
    lab.wait(4 * SEC);
    expect(backends(lab, MANAGER)).toHaveLength(3);
    lab.wait(4 * SEC);
    expect(backends(lab, MANAGER)).toHaveLength(2);
    expect(stateOf(lab, WORKER)).toBe("Ready");
    expect(backends(lab, WORKER)).toHaveLength(1);
    lab.wait(9 * SEC);
    expect(stateOf(lab, WORKER)).toBe("Down");
  });

  it("takes a node back when it is heard again, and its old tasks end", () => {
    const lab = labWithService();
    cable(lab, "cut", WORKER);
    lab.wait(30 * SEC);
    cable(lab, "heal", WORKER);
    lab.wait(45 * SEC);
    expect(stateOf(lab, WORKER)).toBe("Ready");
    expect(backends(lab, WORKER)).toHaveLength(3);
    expect(backends(lab, WORKER)).toEqual(backends(lab, MANAGER));
    expect(docker(lab, MANAGER, "service ps web").stdout).toMatch(/\\_ web\.\d .*Shutdown +Shutdown/);
  });

  it("loses the records when 7946 is filtered, while the node stays ready and runs its tasks", () => {
    const lab = swarmLab();
    formSwarm(lab);
    for (const protocol of ["tcp", "udp"])
      run(lab, WORKER, iptablesTool, `-I INPUT -p ${protocol} --dport 7946 -j DROP`);
    lab.wait(10 * SEC);
    docker(lab, MANAGER, "service create -d --name web -p 8080:80 --replicas 3 whoami");
    lab.wait(20 * SEC);
    expect(stateOf(lab, WORKER)).toBe("Ready");
    expect(docker(lab, MANAGER, "service ls").stdout).toContain("3/3");
    expect(backends(lab, MANAGER)).toHaveLength(2);
    expect(backends(lab, WORKER)).toHaveLength(1);
  });

  it("brings what datagrams lost by the next bulk sync", () => {
    const lab = swarmLab();
    formSwarm(lab);
    run(lab, WORKER, iptablesTool, "-I INPUT -p udp --dport 7946 -j DROP");
    docker(
      lab,
      MANAGER,
      "service create -d --name web -p 8080:80 --replicas 1 --constraint node.hostname==swarm-manager whoami",
    );
    lab.wait(4 * SEC);
    expect(backends(lab, MANAGER)).toHaveLength(1);
    expect(backends(lab, WORKER)).toHaveLength(0);
    lab.wait(60 * SEC);
    expect(backends(lab, WORKER)).toHaveLength(1);
  });
});

describe("a machine that loses its power", () => {
  it("comes back as the same node, and its task is started anew", () => {
    const lab = labWithService();
    lab.crash(WORKER);
    lab.wait(9 * SEC);
    expect(backends(lab, MANAGER)).toHaveLength(2);
    lab.boot(WORKER);
    lab.wait(20 * SEC);
    expect(stateOf(lab, WORKER)).toBe("Ready");
    expect(backends(lab, WORKER)).toHaveLength(3);
    expect(backends(lab, WORKER)).toEqual(backends(lab, MANAGER));
    expect(docker(lab, MANAGER, "service ps --no-trunc web").stdout).toContain("task: non-zero exit (255)");
  });

  it("is marked down while it is off, and its tasks run elsewhere", () => {
    const lab = labWithService();
    lab.crash(WORKER);
    lab.wait(40 * SEC);
    expect(stateOf(lab, WORKER)).toBe("Down");
    expect(docker(lab, MANAGER, "service ls").stdout).toContain("3/3");
    expect(backends(lab, MANAGER)).toHaveLength(3);
  });

  it("leaves its swarm without a leader when it is the only manager, until it is back", () => {
    const lab = labWithService();
    lab.crash(MANAGER);
    lab.wait(60 * SEC);
    expect(backends(lab, WORKER)).toHaveLength(2);
    lab.boot(MANAGER);
    lab.wait(SEC);
    expect(stateOf(lab, WORKER)).toBe("Unknown");
    lab.wait(60 * SEC);
    expect(stateOf(lab, WORKER)).toBe("Ready");
    expect(backends(lab, WORKER)).toHaveLength(3);
    expect(backends(lab, WORKER)).toEqual(backends(lab, MANAGER));
  });
});

describe("docker swarm join", () => {
  const remote = (lab: Lab, words: string) =>
    docker(lab, WORKER, `swarm join --token ${token(lab)} ${words}`);

  it("tells of a machine that does not listen", () => {
    const lab = swarmLab();
    docker(lab, MANAGER, "swarm init --advertise-addr 192.168.200.10");
    const refused = remote(lab, "192.168.200.11:2377");
    expect(refused.stderr).toBe(
      'Error response from daemon: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial tcp 192.168.200.11:2377: connect: connection refused"\n',
    );
    expect(refused.status).toBe(1);
  });

  it("gives up after 20 s when nothing answers, and goes on in the background", () => {
    const lab = swarmLab();
    docker(lab, MANAGER, "swarm init --advertise-addr 192.168.200.10");
    run(lab, MANAGER, iptablesTool, "-I INPUT -p tcp --dport 2377 -j DROP");
    const before = lab.sim.now;
    expect(remote(lab, "192.168.200.10:2377").stderr).toContain("Timeout was reached before node joined.");
    expect((lab.sim.now - before) / SEC).toBeCloseTo(20, 0);
    expect(docker(lab, WORKER, "info").stdout).toContain(" Swarm: pending\n");
    run(lab, MANAGER, iptablesTool, "-F INPUT");
    lab.wait(30 * SEC);
    expect(stateOf(lab, WORKER)).toBe("Ready");
  });

  it("checks both halves of the token", () => {
    const lab = swarmLab();
    docker(lab, MANAGER, "swarm init --advertise-addr 192.168.200.10");
    const good = token(lab);
    const join = (text: string) =>
      docker(lab, WORKER, `swarm join --token ${text} 192.168.200.10:2377`).stderr;
    expect(join("SWMTKN-1-x-y")).toBe("Error response from daemon: invalid join token\n");
    const [, , digest, secret] = good.split("-");
    expect(join(`SWMTKN-1-${"0".repeat(49)}1-${secret}`)).toContain(
      `remote CA does not match fingerprint. Expected: ${"0".repeat(63)}1`,
    );
    expect(join(`SWMTKN-1-${digest}-${"0".repeat(25)}`)).toContain(
      "rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster",
    );
  });
});

it("an idle worker hears a few frames a second: a probe of each peer, a heartbeat", () => {
  const lab = swarmLab();
  formSwarm(lab);
  const received = () => lab.cardOn("lan", WORKER)!.rxPackets;
  const before = received();
  lab.wait(3600 * SEC);
  expect(stateOf(lab, WORKER)).toBe("Ready");
  const perSecond = (received() - before) / 3600;
  expect(perSecond).toBeGreaterThan(2);
  expect(perSecond).toBeLessThan(8);
}, 60_000);

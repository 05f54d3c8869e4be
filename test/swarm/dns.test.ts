/** What the embedded DNS server tells a task and what it asks others, as captures of a real cluster showed it. */
import { describe, expect, it } from "vitest";
import { openUdp, recvUdp } from "../../src/host/socket.ts";
import { createLab, type LabHandle } from "../../src/index.ts";
import type { Lab } from "../../src/lab.ts";
import { dig } from "../../src/tools/dig/dig.ts";
import { parseIp4 } from "../../src/wire/address.ts";
import {
  DNS_A,
  DNS_AA,
  DNS_CLASS_IN,
  DNS_NXDOMAIN,
  DNS_OPT,
  DNS_QR,
  DNS_REFUSED,
  DNS_SERVFAIL,
  type DnsMessage,
  decodeDns,
  encodeDns,
} from "../../src/wire/dns.ts";
import { docker, formSwarm, runIn, swarmLab } from "./swarm-lab.ts";

const MANAGER = "swarm-manager";
const PAGE = `---
seed: 3
segments:
  lan: { subnet: 192.168.200.0/24 }
machines:
  client: { lan: 192.168.200.1 }
  swarm-manager: { lan: 192.168.200.10, docker: true, dns: 192.168.200.1 }
---
`;

function oneNode(): LabHandle {
  const lab = createLab({ source: PAGE });
  const run = (command: string): string => lab.shell(MANAGER, command).stdout;
  run("docker swarm init --advertise-addr 192.168.200.10");
  run("docker network create -d overlay back; docker network create -d overlay front");
  run("docker service create -d --name web --network front --replicas 2 whoami");
  run("docker service create -d --name rr --endpoint-mode dnsrr --network front --replicas 2 whoami");
  run("docker service create -d --name api --network back --network front whoami");
  run("docker service create -d --name hidden --network back whoami");
  run("docker service create -d --name cli --network front busybox sleep 100000; sleep 15");
  return lab;
}

describe("names inside a swarm", () => {
  const lab = oneNode();
  const ask = (words: string): string =>
    lab.shell(MANAGER, `dig +short +tries=1 +time=1 @127.0.0.11 ${words}`, { netns: "ctr-cli.1" }).stdout;
  const flags = (words: string): string =>
    /status: (\w+).*\n;; flags: ([^;]*);/
      .exec(lab.shell(MANAGER, `dig @127.0.0.11 ${words}`, { netns: "ctr-cli.1" }).stdout)!
      .slice(1)
      .join(" ");
  const addresses = (words: string): string[] => ask(words).trim().split("\n").sort();

  it("gives the virtual address for a service, its tasks for tasks.NAME", () => {
    expect(addresses("web")).toHaveLength(1);
    expect(addresses("tasks.web")).toHaveLength(2);
    expect(addresses("tasks.web")).not.toContain(addresses("web")[0]);
    expect(flags("web A")).toBe("NOERROR qr rd ra");
  });

  it("gives the tasks for a service without a virtual address", () => {
    expect(addresses("rr")).toHaveLength(2);
    expect(addresses("rr")).toEqual(addresses("tasks.rr"));
  });

  it("draws the order of several addresses anew for each answer", () => {
    const orders = new Set(Array.from({ length: 20 }, () => ask("rr")));
    expect(orders.size).toBe(2);
  });

  it("knows containers by task name and by id, and their addresses backwards", () => {
    const [name, id] = lab
      .shell(MANAGER, "docker ps --filter name=web.1 --format '{{.Names}} {{.ID}}'")
      .stdout.trim()
      .split(" ");
    const [addr] = addresses(name);
    expect(addresses("tasks.web")).toContain(addr);
    expect(ask(id).trim()).toBe(addr);
    expect(ask(`-x ${addr}`)).toBe(`${name}.front.\n`);
  });

  it("answers AAAA and MX of a known name with nothing", () => {
    expect(flags("web AAAA")).toBe("NOERROR qr rd ra");
    expect(flags("web MX")).toBe("NOERROR qr rd ra");
    expect(ask("web AAAA")).toBe("");
  });

  it("does not look at case, and repeats the question as it was asked", () => {
    expect(ask("WeB")).toBe(ask("web"));
    expect(lab.shell(MANAGER, "dig @127.0.0.11 WeB", { netns: "ctr-cli.1" }).stdout).toMatch(
      /^WeB\.\t+600\tIN\tA/m,
    );
  });

  it("takes NAME.NETWORK of the asker's networks only", () => {
    expect(ask("web.front")).toBe(ask("web"));
    expect(ask("tasks.web.front").split("\n")).toHaveLength(3);
    expect(ask("api.front")).toBe(ask("api"));
    expect(ask("hidden")).toMatch(/timed out/);
    expect(ask("api.back")).toMatch(/timed out/);
  });

  it("gives one address of a name on several networks: of the network that comes first by name", () => {
    const answer = lab.shell(MANAGER, "dig +short @127.0.0.11 api", { netns: "ctr-api.1" }).stdout;
    expect(answer).toBe(lab.shell(MANAGER, "dig +short @127.0.0.11 api.back", { netns: "ctr-api.1" }).stdout);
  });

  it("is asked by nslookup and host of BIND, and by nslookup of busybox", () => {
    const vip = addresses("web")[0];
    const inside = (command: string): string => lab.shell(MANAGER, command, { netns: "ctr-cli.1" }).stdout;
    const head = "Server:\t\t127.0.0.11\nAddress:\t127.0.0.11";
    const record = `Non-authoritative answer:\nName:\tweb\nAddress: ${vip}\n\n`;
    expect(inside("nslookup web 127.0.0.11")).toBe(`${head}#53\n\n${record}`);
    expect(inside("host -t A web 127.0.0.11")).toMatch(new RegExp(`\\nweb has address ${vip}\\n$`));
    const exec = (command: string): string =>
      lab.shell(MANAGER, `docker exec $(docker ps -qf name=cli.1) ${command}`).stdout;
    expect(exec("nslookup web")).toBe(`${head}:53\n\n${record}Non-authoritative answer:\n\n`);
    expect(exec("nslookup nosuchname")).toBe(";; connection timed out; no servers could be reached\n\n");
  });

  it("is what the programs of a container ask", () => {
    const exec = (command: string): string =>
      lab.shell(MANAGER, `docker exec $(docker ps -qf name=cli.1) ${command}`).stdout;
    expect(exec("cat /etc/resolv.conf")).toBe("nameserver 127.0.0.11\noptions ndots:0\n");
    expect(exec("wget -qO- http://rr/")).toMatch(/^Hostname: [0-9a-f]{12}\n/);
    expect(exec("ping -c 1 web")).toContain(`PING web (${addresses("web")[0]}): 56 data bytes\n`);
    expect(lab.shell(MANAGER, "curl -sS http://rr/", { netns: "ctr-cli.1" }).stderr).toMatch(
      /Could not resolve host: rr/,
    );
  });

  it("answers over TCP too", () => {
    expect(ask("+tcp web")).toBe(ask("web"));
    expect(lab.shell(MANAGER, "dig +tcp @127.0.0.11 web", { netns: "ctr-cli.1" }).stdout).toContain("(TCP)");
  });

  it("has no answer when the name server outside refuses by ICMP", () => {
    const { stdout, status } = lab.shell(MANAGER, "dig +tries=1 +time=3 @127.0.0.11 nosuchname", {
      netns: "ctr-cli.1",
    });
    expect(stdout).toMatch(/^;; communications error to 127\.0\.0\.11#53: timed out\n/);
    expect(status).toBe(9);
  });

  it("forgets a service without tasks", () => {
    lab.shell(MANAGER, "docker service scale -d web=0; sleep 15");
    expect(ask("web")).toMatch(/timed out/);
  });
});

describe("questions for others", () => {
  /** A task on the manager whose name servers are programs on the client and on a worker. */
  function withServers(...answers: ((query: DnsMessage) => Partial<DnsMessage> | null)[]) {
    const lab: Lab = swarmLab();
    formSwarm(lab);
    docker(lab, MANAGER, "network create -d overlay mynet");
    docker(lab, MANAGER, "service create --name cli --network mynet --mode global busybox sleep 100000");
    const asked: DnsMessage[][] = answers.map(() => []);
    const machines = ["client", "swarm-worker1"];
    answers.forEach((answer, i) => {
      const machine = lab.machine(machines[i]);
      machine.spawn("named", machine.hostNs, function* (process) {
        const sk = openUdp(process, 0, 53);
        for (;;) {
          const { data, saddr, sport } = yield* recvUdp(sk);
          const query = decodeDns(data)!;
          asked[i].push(query);
          const reply = answer(query);
          if (reply !== null) sk.send(encodeDns({ ...query, flags: DNS_QR, ...reply }, false), saddr, sport);
        }
      });
    });
    const manager = lab.machine(MANAGER);
    manager.nameservers = answers.map((_, i) => parseIp4(["192.168.200.1", "192.168.200.11"][i])!);
    const ns = manager.kernel.namespaces.find(({ name }) => name.startsWith("ctr-cli"))!;
    const ask = (words: string): string =>
      runIn(lab, MANAGER, dig as never, `+tries=1 +time=20 @127.0.0.11 ${words}`.split(" "), ns).stdout;
    return { ask, asked };
  }
  const found = (query: DnsMessage): Partial<DnsMessage> => ({
    answers: [
      {
        name: query.questions[0].name,
        type: DNS_A,
        class: DNS_CLASS_IN,
        ttl: 60,
        data: { kind: "a", addr: parseIp4("198.51.100.7")! },
      },
    ],
    additionals: [],
  });

  it("go on as they are, EDNS and cookie included", () => {
    const { ask, asked } = withServers(found);
    expect(ask("+cookie=0123456789abcdef example.com")).toContain("198.51.100.7");
    expect(asked[0]).toHaveLength(1);
    const [opt] = asked[0][0].additionals;
    expect(opt.type).toBe(DNS_OPT);
    expect(opt.data).toEqual({
      kind: "raw",
      bytes: new Uint8Array([0, 10, 0, 8, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]),
    });
  });

  it.each([
    ["SERVFAIL", DNS_SERVFAIL],
    ["REFUSED", DNS_REFUSED],
    ["NXDOMAIN without authority", DNS_NXDOMAIN],
  ])("go to the next server after %s", (_, flags) => {
    const { ask } = withServers(() => ({ flags: DNS_QR | flags }), found);
    expect(ask("example.com")).toContain("198.51.100.7");
  });

  it("stop at an NXDOMAIN with authority", () => {
    const { ask, asked } = withServers(() => ({ flags: DNS_QR | DNS_AA | DNS_NXDOMAIN }), found);
    expect(ask("example.com")).toContain("status: NXDOMAIN");
    expect(asked[1]).toEqual([]);
  });

  it("wait four seconds for each server", () => {
    const { ask } = withServers(() => null, found);
    const text = ask("example.com");
    expect(text).toContain("198.51.100.7");
    expect(Number(/Query time: (\d+)/.exec(text)![1])).toBeGreaterThanOrEqual(4000);
  });
});

describe("many addresses", () => {
  const lab = createLab({ source: PAGE });
  lab.shell(MANAGER, "docker swarm init --advertise-addr 192.168.200.10");
  lab.shell(MANAGER, "docker network create -d overlay mynet");
  lab.shell(MANAGER, "docker service create -d --name many --network mynet --replicas 40 whoami; sleep 60");
  const ask = (words: string): string =>
    lab.shell(MANAGER, `dig @127.0.0.11 ${words}`, { netns: "ctr-many.1" }).stdout;

  it("fit into what EDNS allows", () => {
    expect(ask("tasks.many")).toContain("ANSWER: 40");
    expect(ask("tasks.many")).toContain("(UDP)");
  });

  it("are cut at 512 bytes without EDNS, and asked for again over TCP", () => {
    const text = ask("+noedns tasks.many");
    expect(text).toContain("ANSWER: 40");
    expect(text).toContain("(TCP)");
    expect(ask("+noedns +ignore tasks.many")).toMatch(/flags: qr tc rd ra;.*ANSWER: 18,/);
  });
});

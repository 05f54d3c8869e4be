/**
 * The state of every namespace after one published service has started, and after a second one, against dumps of a real
 * cluster: rules, devices with their numbers, addresses, routes, IPVS, peers. What is random is made equal first.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Lab } from "../../src/lab.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { bridge } from "../../src/tools/bridge.ts";
import { ip } from "../../src/tools/ip/ip.ts";
import { iptablesSaveTool } from "../../src/tools/iptables/save.ts";
import { ipvsadm } from "../../src/tools/ipvsadm/ipvsadm.ts";
import first from "./fixtures/s01-service.json" with { type: "json" };
import second from "./fixtures/s02-second-service.json" with { type: "json" };
import { docker, formSwarm, runIn, SEC, swarmLab } from "./swarm-lab.ts";

interface State {
  readonly rules: string[];
  readonly links: string[][];
  readonly routes: string[];
  readonly ipvs: string[];
  readonly fdb: string[];
  readonly neigh: string[];
}

const PINS = {
  tasks: {
    "web.1": { node: "swarm-worker1", starts: 1, addresses: { ingress: "10.0.0.6", mynet: "10.0.1.3" } },
    "web.2": { node: "swarm-manager", starts: 2, addresses: { ingress: "10.0.0.7", mynet: "10.0.1.4" } },
    "udpecho.1": { node: "swarm-worker2", starts: 2, addresses: { mynet: "10.0.1.8", ingress: "10.0.0.9" } },
    "udpecho.2": { node: "swarm-worker1", starts: 1, addresses: { ingress: "10.0.0.10", mynet: "10.0.1.9" } },
  },
  nodes: { "swarm-worker1": { lb: { mynet: "10.0.1.5" } }, "swarm-manager": { lb: { mynet: "10.0.1.6" } } },
};

let lab: Lab;

function startWeb(): void {
  lab = swarmLab(PINS);
  formSwarm(lab);
  docker(lab, "swarm-manager", "network create -d overlay mynet");
  docker(lab, "swarm-manager", "service create --name web --network mynet -p 8080:80 --replicas 2 whoami");
  lab.wait(SEC);
}

function startBoth(): void {
  startWeb();
  docker(
    lab,
    "swarm-manager",
    "service create --name udpecho --network mynet -p 5353:5353/udp --replicas 2 whoami",
  );
  lab.wait(SEC);
}

/** Tables that only looking at them has made are left out; so are ports and names that are random. */
function normaliseRules(lines: readonly string[]): string[] {
  const tables: string[][] = [];
  for (const line of lines) {
    if (line.startsWith("*")) tables.push([line]);
    else
      tables
        .at(-1)!
        .push(line.replace(/127\.0\.0\.11:\d+/, "127.0.0.11:PORT").replace(/--sport \d{5}/, "--sport PORT"));
  }
  return tables
    .filter((table) => table.length > 1)
    .sort((a, b) => (a[0] < b[0] ? -1 : 1))
    .flat();
}

const normaliseName = (text: string): string => text.replace(/veth[0-9a-f]{7}/, "vethNAME");

function links(machine: string, ns: NetNs): string[][] {
  const list: string[][] = [];
  for (const line of runIn(lab, machine, ip as never, ["addr"], ns).stdout.split("\n")) {
    const link = /^(\d+): ([^:]+): <.*> mtu (\d+) qdisc \S+(?: master (\S+))?/.exec(line);
    if (link !== null)
      list.push([`${link[1]}: ${link[2]} mtu ${link[3]}${link[4] ? ` master ${link[4]}` : ""}`]);
    const inet = /^ {4}inet (.*)$/.exec(line);
    if (inet !== null) list.at(-1)!.push(inet[1].trim());
  }
  return list.map((lines) => lines.map(normaliseName));
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

type Golden = Readonly<Record<string, State>>;
const scene = (name: string, golden: unknown, start: () => void) =>
  Object.keys(golden as Golden).map((where) => [name, where, golden as Golden, start] as const);
const SCENES = [...scene("one service", first, startWeb), ...scene("two services", second, startBoth)];

describe.each(SCENES)("%s: %s", (_scene, where, golden, start) => {
  beforeAll(start);
  const [machine, name] = where.split(" ");
  const expected = golden[where];
  const ns = (): NetNs => lab.machine(machine).netns(name);

  it("has the rules of the real one, in order", () => {
    const saved = lines(runIn(lab, machine, iptablesSaveTool as never, [], ns()).stdout);
    const rules = saved.filter((line) => line.startsWith("*") || line.startsWith("-A"));
    expect(normaliseRules(rules)).toEqual(normaliseRules(expected.rules));
  });

  it("has the devices of the real one, with numbers and addresses", () => {
    expect(links(machine, ns())).toEqual(expected.links.map((entry) => entry.map(normaliseName)));
  });

  it("has the routes of the real one", () => {
    const shown = lines(runIn(lab, machine, ip as never, ["route", "show", "table", "all"], ns()).stdout);
    expect(shown.map((line) => line.trimEnd())).toEqual(expected.routes);
  });

  it("has the virtual services of the real one", () => {
    expect(lines(runIn(lab, machine, ipvsadm as never, ["-Sn"], ns()).stdout)).toEqual(expected.ipvs);
  });

  it("knows the peers that the real one knows", () => {
    const fdb = lines(runIn(lab, machine, bridge as never, ["fdb"], ns()).stdout)
      .filter((line) => line.includes(" dst "))
      .map((line) => line.replace(/ link-netnsid \d+/, "").trim());
    expect(fdb.sort()).toEqual(expected.fdb);
    const neigh = lines(runIn(lab, machine, ip as never, ["neigh"], ns()).stdout).filter((l) =>
      l.includes("PERMANENT"),
    );
    expect(neigh.map((line) => line.trim()).sort()).toEqual(expected.neigh);
  });
});

describe("the order of the backends", () => {
  beforeAll(startBoth);

  it("is the order of their start, newest first, on every node", () => {
    for (const machine of ["swarm-manager", "swarm-worker1", "swarm-worker2"]) {
      const ns = lab.machine(machine).netns("ingress_sbox");
      const text = runIn(lab, machine, ipvsadm as never, ["-Ln", "--nosort"], ns).stdout;
      expect(text.match(/10\.0\.0\.\d+/g)).toEqual(["10.0.0.7", "10.0.0.6", "10.0.0.9", "10.0.0.10"]);
    }
  });
});

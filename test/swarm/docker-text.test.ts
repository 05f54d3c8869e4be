/** What the docker command prints, against outputs of the real one (20.10.24). Ids and durations are made equal first. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Lab } from "../../src/lab.ts";
import { renderTemplate } from "../../src/tools/docker/go-template.ts";
import { humanDuration } from "../../src/tools/docker/human.ts";
import { docker, formSwarm, SEC, swarmLab } from "./swarm-lab.ts";

const MANAGER = "swarm-manager";
const PINS = {
  tasks: { "web.1": { node: "swarm-worker1", starts: 1 }, "web.2": { node: "swarm-manager", starts: 2 } },
};

/** Ids become I's of the same length. */
function ids(text: string): string {
  return text
    .replace(/\b[0-9a-z]{25}\b/g, "I".repeat(25))
    .replace(/\b[0-9a-f]{64}\b/g, "F".repeat(64))
    .replace(/^[0-9a-z]{12}\b/gm, "I".repeat(12));
}

let lab: Lab;
let created = "";

beforeAll(() => {
  lab = swarmLab(PINS);
  formSwarm(lab);
  docker(lab, MANAGER, "network create -d overlay mynet");
  created = docker(
    lab,
    MANAGER,
    "service create --name web --network mynet -p 8080:80 --replicas 2 whoami",
  ).stdout;
  lab.wait(3 * SEC);
});

describe("docker", () => {
  it("prints the join command after swarm init", () => {
    const text = docker(swarmLab(), MANAGER, "swarm init").stdout;
    expect(
      text.replace(/SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}/, "TOKEN").replace(/\([0-9a-z]{25}\)/, "(ID)"),
    ).toBe(
      "Swarm initialized: current node (ID) is now a manager.\n\nTo add a worker to this swarm, run the following command:\n\n    docker swarm join --token TOKEN 192.168.200.10:2377\n\nTo add a manager to this swarm, run 'docker swarm join-token manager' and follow the instructions.\n\n",
    );
  });

  it("lists nodes", () => {
    const i = "I".repeat(25);
    expect(ids(docker(lab, MANAGER, "node ls").stdout)).toBe(
      `ID                            HOSTNAME        STATUS    AVAILABILITY   MANAGER STATUS   ENGINE VERSION\n${i} *   swarm-manager   Ready     Active         Leader           20.10.24+dfsg1\n${i}     swarm-worker1   Ready     Active                          20.10.24+dfsg1\n${i}     swarm-worker2   Ready     Active                          20.10.24+dfsg1\n`,
    );
  });

  it("lists services", () => {
    expect(ids(docker(lab, MANAGER, "service ls").stdout)).toBe(
      "ID             NAME      MODE         REPLICAS   IMAGE           PORTS\nIIIIIIIIIIII   web       replicated   2/2        whoami:latest   *:8080->80/tcp\n",
    );
  });

  it("lists tasks with trailing blanks where the real one has them", () => {
    const text = docker(lab, MANAGER, "service ps web").stdout.replace(/\d seconds ago /g, "N seconds ago ");
    expect(ids(text)).toBe(
      "ID             NAME      IMAGE           NODE            DESIRED STATE   CURRENT STATE           ERROR     PORTS\nIIIIIIIIIIII   web.1     whoami:latest   swarm-worker1   Running         Running N seconds ago             \nIIIIIIIIIIII   web.2     whoami:latest   swarm-manager   Running         Running N seconds ago             \n",
    );
  });

  it("tells the progress of a service line by line when nobody watches a terminal", () => {
    const lines = created.split("\n");
    expect(lines.slice(1, 5)).toEqual([
      "overall progress: 0 out of 2 tasks",
      "1/2:  ",
      "2/2:  ",
      "overall progress: 0 out of 2 tasks",
    ]);
    expect(lines.slice(-3)).toEqual([
      "verify: Waiting 1 seconds to verify that tasks are stable...",
      "verify: Service converged",
      "",
    ]);
    expect(lines.filter((line) => line.includes("Waiting 5 seconds"))).toHaveLength(5);
  });

  it("inspects a network as the real one does", () => {
    const [network] = JSON.parse(docker(lab, MANAGER, "network inspect -v mynet").stdout);
    expect(Object.keys(network)).toEqual(
      "Name Id Created Scope Driver EnableIPv6 IPAM Internal Attachable Ingress ConfigFrom ConfigOnly Containers Options Labels Peers Services".split(
        " ",
      ),
    );
    expect(network.IPAM).toEqual({
      Driver: "default",
      Options: null,
      Config: [{ Subnet: "10.0.1.0/24", Gateway: "10.0.1.1" }],
    });
    expect(network.Options).toEqual({ "com.docker.network.driver.overlay.vxlanid_list": "4097" });
    expect(network.Peers).toHaveLength(2);
    expect(network.Containers["lb-mynet"].Name).toBe("mynet-endpoint");
    expect(network.Services.web.VIP).toBe("10.0.1.2");
    expect(network.Services.web.LocalLBIndex).toBe(257);
  });

  it("fills templates from containers and services", () => {
    const id = docker(lab, MANAGER, "ps -qf name=web.").stdout.trim();
    expect(
      docker(lab, MANAGER, `inspect -f {{.NetworkSettings.Networks.mynet.IPAddress}} ${id}`).stdout,
    ).toMatch(/^10\.0\.1\.[34]\n$/);
    expect(
      docker(lab, MANAGER, [
        "service",
        "inspect",
        "-f",
        "{{range .Endpoint.VirtualIPs}}{{.Addr}};{{end}}",
        "web",
      ]).stdout,
    ).toBe("10.0.0.5/24;10.0.1.2/24;\n");
  });

  it("refuses a port that is in use, a second time the same name, and a worker's question", () => {
    const refusal = (words: string, machine = MANAGER): string => ids(docker(lab, machine, words).stderr);
    expect(refusal("service create -d --name b -p 8080:80 whoami")).toMatch(
      /^Error response from daemon: rpc error: code = InvalidArgument desc = port '8080' is already in use by service 'web' \(I{25}\) as an ingress port\n$/,
    );
    expect(refusal("service create -d --name web whoami")).toBe(
      "Error response from daemon: rpc error: code = AlreadyExists desc = name conflicts with an existing object: service web already exists\n",
    );
    expect(refusal("node ls", "swarm-worker1")).toContain(
      "This node is not a swarm manager. Worker nodes can't",
    );
  });

  it("tells what it wants when words are missing or unknown", () => {
    const missing = docker(lab, MANAGER, "service rm");
    expect(missing.stderr.split("\n")[0]).toBe('"docker service rm" requires at least 1 argument.');
    expect(missing.status).toBe(1);
    const unknown = docker(lab, MANAGER, "service create --bogus whoami");
    expect(unknown).toMatchObject({
      stdout: "",
      stderr: "unknown flag: --bogus\nSee 'docker service create --help'.\n",
      status: 125,
    });
  });

  it("says which real option is not modelled", () => {
    expect(() => docker(lab, MANAGER, "service create --secret x whoami")).toThrow(
      "docker service create --secret",
    );
  });
});

describe("a template", () => {
  it("knows range, if, variables, pipes and functions", () => {
    const data = { A: [1, 2], M: { b: "x", a: "y" }, S: "", N: { T: "t" } };
    expect(renderTemplate("{{range $i, $v := .A}}{{$i}}={{$v}} {{end}}", data)).toBe("0=1 1=2 ");
    expect(renderTemplate("{{range $k, $v := .M}}{{$k}}{{$v}}{{end}}", data)).toBe("aybx");
    expect(renderTemplate("{{if .S}}yes{{else}}no{{end}} {{len .A}} {{json .N}}", data)).toBe(
      'no 2 {"T":"t"}',
    );
    expect(renderTemplate('{{.N.T | upper}} {{index .M "b"}} {{printf "%s-%d" .N.T 3}}', data)).toBe(
      "T x t-3",
    );
  });

  it("knows else if, comments and the escapes of Go's strings", () => {
    const data = { A: 1, M: { b: "x", a: "y" }, S: "" };
    expect(renderTemplate("{{if .S}}s{{else if .A}}a{{else}}n{{end}}.", data)).toBe("a.");
    expect(renderTemplate("{{if .S}}s{{else if .S}}a{{else}}n{{end}}.", data)).toBe("n.");
    expect(renderTemplate('{{range .M}}{{.}}{{"\\n"}}{{end}}\\n{{/* no */}}', data)).toBe("y\nx\n\\n");
    expect(renderTemplate('{{"\\x41\\t\\""}}', data)).toBe('A\t"');
  });

  it.each([
    ['{{"a}}', "unterminated quoted string"],
    ['{{"\n"}}', "unterminated quoted string"],
    ["{{constructor}}", 'function "constructor" not defined'],
    ["{{.constructor}}", 'map has no entry for key "constructor"'],
    ['{{join .S ","}}', "wrong type for value"],
    ["{{if .S}}a{{else if .S}}b", "unexpected EOF"],
  ])("refuses %s", (template, text) => {
    expect(() => renderTemplate(template, { S: "s" })).toThrow(text);
  });
});

describe("a duration", () => {
  it.each([
    [0.2, "Less than a second"],
    [1, "1 second"],
    [59, "59 seconds"],
    [60, "About a minute"],
    [150, "2 minutes"],
    [3600, "About an hour"],
    [7200, "2 hours"],
    [3 * 86400, "3 days"],
  ])("of %s s is %s", (seconds, text) => {
    expect(humanDuration(seconds * SEC)).toBe(text);
  });
});

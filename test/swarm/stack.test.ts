/** docker stack: a Compose file becomes networks and services (docker 20.10). */
import { beforeEach, describe, expect, test } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";

const COMPOSE = `version: "3.6"

services:
  web:
    image: nginx
    ports:
      - "8080:80"
    command: [nginx-debug, '-g', 'daemon off;']
    deploy: { replicas: 2 }
  who:
    image: containous/whoami
    environment: { B: 2, A: 1 }
    networks:
      back: { aliases: [wer] }
      default:
networks:
  back: { attachable: true }
`;
const source = (files: Record<string, string>): string => `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24, latency: 200us }
machines:
  m: { lan: 192.168.200.10, docker: true }
  w: { lan: 192.168.200.11, docker: true }
---
${Object.entries(files)
  .map(([name, text]) => `\`\`\`yaml ${name}\n${text}\`\`\`\n`)
  .join("")}`;

let lab: LabHandle;
const m = (command: string) => lab.shell("m", command);
const text = (command: string): string => m(command).stdout;

function labWith(files: Record<string, string>): void {
  lab = createLab({ source: source(files) });
  m("docker swarm init --advertise-addr 192.168.200.10");
}

describe("the notes' file and one more service", () => {
  beforeEach(() => labWith({ "compose.yml": COMPOSE }));

  test("is deployed, listed, updated and removed", () => {
    expect(text("docker stack deploy -c compose.yml s")).toBe(
      "Creating network s_back\nCreating network s_default\nCreating service s_web\nCreating service s_who\n",
    );
    m("sleep 20");
    expect(text("docker stack ls")).toBe("NAME      SERVICES   ORCHESTRATOR\ns         2          Swarm\n");
    expect(text("docker stack services s --format '{{.Name}} {{.Mode}} {{.Replicas}} {{.Ports}}'")).toBe(
      "s_web replicated 2/2 *:8080->80/tcp\ns_who replicated 1/1 \n",
    );
    expect(text("docker stack ps s --format '{{.Name}} {{.Image}} {{.DesiredState}}'")).toBe(
      "s_web.1 nginx:latest Running\ns_web.2 nginx:latest Running\ns_who.1 containous/whoami:latest Running\n",
    );
    expect(text("curl -s 127.0.0.1:8080 | grep -c Hostname")).toBe("1\n");
    const again = m("docker stack deploy -c compose.yml s");
    expect(again.stdout).toMatch(
      /^Updating service s_web \(id: \w{25}\)\nUpdating service s_who \(id: \w{25}\)\n$/,
    );
    expect(text("sleep 5; docker stack ps -q s | wc -l")).toBe("3\n");
    expect(text("docker stack rm s")).toBe(
      "Removing service s_web\nRemoving service s_who\nRemoving network s_back\nRemoving network s_default\n",
    );
    m("sleep 15");
    expect(m("docker stack ps s")).toMatchObject({ stderr: "nothing found in stack: s\n", status: 1 });
    expect(m("docker stack services s")).toMatchObject({ stderr: "Nothing found in stack: s\n", status: 0 });
    expect(m("docker stack rm s")).toMatchObject({ stderr: "Nothing found in stack: s\n", status: 0 });
    expect(text("docker network ls -qf name=s_")).toBe("");
  });

  test("services find each other by their short names and aliases", () => {
    m("docker stack deploy -c compose.yml s");
    m("sleep 20; docker ps -qf name=s_who > who");
    const inside = (command: string): string => text(`docker exec $(cat who) ${command}`);
    for (const name of ["web", "s_web", "wer", "who", "s_who"])
      expect(inside(`wget -qO- http://${name}`)).toContain("Hostname: ");
    expect(inside("nslookup tasks.web").match(/Address: 10\./g)).toHaveLength(2);
    expect(text("docker service inspect -f '{{json .Spec.TaskTemplate.ContainerSpec.Env}}' s_who")).toBe(
      '["A=1","B=2"]\n',
    );
  });

  test("is for managers", () => {
    expect(lab.shell("w", "docker stack deploy -c compose.yml s").stderr).toBe(
      'this node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again\n',
    );
  });
});

const SERVICE = (more: string): string => `version: "3"\nservices:\n  a:\n    image: nginx\n${more}`;

test.each([
  ["-c none.yml", "open none.yml: no such file or directory"],
  ["-c old.yml", "unsupported Compose file version: 1.0"],
  ["-c typo.yml", "services.a Additional property imgae is not allowed"],
  ["-c nonet.yml", 'service "a" uses an undefined network "x"'],
  [
    "-c external.yml",
    'network "outside" is declared as external, but could not be found. You need to create a swarm-scoped network before the stack is deployed',
  ],
])("docker stack deploy %s s is refused", (words, said) => {
  labWith({
    "old.yml": "services:\n  a:\n    image: nginx\n",
    "typo.yml": SERVICE("    imgae: nginx\n"),
    "nonet.yml": SERVICE("    networks: [x]\n"),
    "external.yml": SERVICE("    networks: [x]\nnetworks:\n  x: { external: true, name: outside }\n"),
  });
  expect(m(`docker stack deploy ${words} s`)).toMatchObject({ stderr: `${said}\n`, status: 1 });
});

test("what a stack leaves aside is told", () => {
  labWith({ "a.yml": SERVICE("    restart: always\n    build: .\n    container_name: x\n") });
  expect(m("docker stack deploy -c a.yml s").stderr).toBe(
    "Ignoring unsupported options: build, restart\n\nIgnoring deprecated options:\n\ncontainer_name: Setting the container name is not supported.\n\n",
  );
});

test("limits are kept and shown", () => {
  labWith({
    "a.yml": SERVICE("    deploy:\n      resources:\n        limits: { cpus: '0.5', memory: 50M }\n"),
  });
  m("docker stack deploy -c a.yml s");
  m(
    "docker service create -d --name c --limit-cpu .5 nginx; docker service create -d --name b --limit-memory 1.5g nginx",
  );
  const shown = (name: string) =>
    text(`docker service inspect -f '{{json .Spec.TaskTemplate.Resources}}' ${name}`);
  expect(shown("s_a")).toBe('{"Limits":{"NanoCPUs":500000000,"MemoryBytes":52428800},"Reservations":{}}\n');
  expect(shown("c")).toBe('{"Limits":{"NanoCPUs":500000000},"Reservations":{}}\n');
  expect(shown("b")).toBe('{"Limits":{"MemoryBytes":1610612736},"Reservations":{}}\n');
  expect(text("docker service inspect --pretty s_a")).toContain(
    "Resources:\n Limits:\n  CPU:\t\t0.5\n  Memory:\t50MiB\n",
  );
  expect(m("docker service create --limit-memory much nginx")).toMatchObject({
    stderr:
      "invalid argument \"much\" for \"--limit-memory\" flag: invalid size: 'much'\nSee 'docker service create --help'.\n",
    status: 125,
  });
});

test("docker service create --network name=NET,alias=NAME gives the service another name", () => {
  labWith({});
  m("docker network create -d overlay net");
  m("docker service create -d --name a --network name=net,alias=b nginx");
  m("docker service create -d --name c --network net containous/whoami; sleep 20");
  expect(text("docker exec $(docker ps -qf name=c.1) wget -qO- http://b")).toContain("Hostname: ");
});

test("addresses of the host are left aside with a word", () => {
  const file = `version: "3"
services:
  w:
    image: nginx
    ports: ["127.0.0.1:8080-8081:80-81", "0.0.0.0:90:90", "127.0.0.1::70/udp", "1.2.3.4:60-61:60"]
`;
  labWith({ "c.yml": file });
  const { stdout, stderr } = m("docker stack deploy -c c.yml s");
  expect(stderr.replace(/time="[^"]*Z"/g, "T")).toBe(
    ["127.0.0.1:8080:80/tcp", "127.0.0.1:8081:81/tcp", "127.0.0.1::70/udp", "1.2.3.4:60-61:60/tcp"]
      .map((port) => `T level=warning msg="ignoring IP-address (${port}) service will listen on '0.0.0.0'"\n`)
      .join(""),
  );
  expect(stdout).toContain("Creating service s_w\n");
  expect(text("docker service ls --format '{{.Ports}}'")).toMatch(
    /^\*:60-61->60\/tcp, \*:90->90\/tcp, \*:8080-8081->80-81\/tcp, \*:\d+->70\/udp\n$/,
  );
});

test.each([
  ["deploy: { replicas: two }", "services.w.deploy.replicas must be a integer"],
  [
    "deploy: { placement: { zone: [] } }",
    "services.w.deploy.placement Additional property zone is not allowed",
  ],
  [
    "deploy: { update_config: { speed: 1 } }",
    "services.w.deploy.update_config Additional property speed is not allowed",
  ],
  ["ports: [{ target: x }]", "services.w.ports.0.target must be a integer"],
  ["ports: [{ hostip: 1 }]", "services.w.ports.0 Additional property hostip is not allowed"],
  [
    "networks: { default: { alias: [a] } }",
    "services.w.networks.default Additional property alias is not allowed",
  ],
])("%s is refused before anything is made", (words, refusal) => {
  labWith({ "c.yml": `version: "3"\nservices:\n  w:\n    image: nginx\n    ${words}\n` });
  expect(m("docker stack deploy -c c.yml s")).toMatchObject({
    stdout: "",
    stderr: `${refusal}\n`,
    status: 1,
  });
});

/** docker service logs, and docker inspect of a task and a node (docker 20.10). */
import { beforeAll, expect, test } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";

const SOURCE = `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24, latency: 200us }
machines:
  m: { lan: 192.168.200.10, docker: true }
  w: { lan: 192.168.200.11, docker: true }
---
`;
let lab: LabHandle;
const m = (command: string) => lab.shell("m", command);
const text = (command: string): string => m(command).stdout;
const id = (name: string): string => text(`docker service ps -q --no-trunc -f name=${name} say`).trim();

beforeAll(() => {
  lab = createLab({ source: SOURCE });
  m("docker swarm init --advertise-addr 192.168.200.10");
  lab.shell(
    "w",
    `docker swarm join --token ${text("docker swarm join-token -q worker").trim()} 192.168.200.10:2377`,
  );
  m(
    "docker service create -d --name say --replicas 2 busybox sh -c 'echo hello; sleep 1; echo $HOSTNAME >&2; sleep 1000'",
  );
  m("sleep 10");
});

test("every line stands behind its task, on whatever node", () => {
  const lines = text("docker service logs say").trim().split("\n").sort();
  expect(lines).toEqual(
    [1, 2]
      .map((slot) => {
        const node = text(`docker service ps -f name=say.${slot} --format '{{.Node}}' say`).trim();
        return `say.${slot}.${id(`say.${slot}`).slice(0, 12)}@${node}    | hello`;
      })
      .sort(),
  );
});

test("--raw, --tail, --no-task-ids, and one task", () => {
  expect(text("docker service logs --raw say")).toBe("hello\nhello\n");
  expect(m("docker service logs --raw -n 1 say").stderr.split("\n")).toHaveLength(3);
  expect(text("docker service logs --no-task-ids say")).toMatch(/^say\.\d@[mw] {4}\| hello\n/);
  const task = id("say.2");
  for (const name of [task, task.slice(0, 12), `say.2.${task}`])
    expect(text(`docker service logs --raw ${name}`)).toBe("hello\n");
  expect(text("docker service logs -t say")).toMatch(/^2026-11-21T04:00:\d\d\.\d{9}Z say\.\d\./);
});

test("what is not there", () => {
  expect(m("docker service logs none")).toMatchObject({
    stderr: "no such task or service: none\n",
    status: 1,
  });
  expect(lab.shell("w", "docker service logs say").stderr).toMatch(
    /^Error response from daemon: This node is not a swarm manager\./,
  );
});

test("docker inspect knows tasks and nodes", () => {
  const task = id("say.1");
  expect(text(`docker inspect -f '{{.ID}} {{.Slot}} {{.Status.State}} {{.DesiredState}}' ${task}`)).toBe(
    `${task} 1 running running\n`,
  );
  expect(text(`docker inspect -f '{{.Spec.ContainerSpec.Image}}' ${task.slice(0, 12)}`)).toBe(
    "busybox:latest\n",
  );
  expect(text("docker inspect -f '{{.Description.Hostname}}' w")).toBe("w\n");
  expect(m("docker inspect nothing").stderr).toBe("Error: No such object: nothing\n");
});

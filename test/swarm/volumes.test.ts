/** Volumes and docker cp (docker 20.10): files that outlive containers and that several share. */
import { beforeEach, expect, test } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";

const SOURCE = `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24, latency: 200us }
machines:
  m: { lan: 192.168.200.10, docker: true }
images:
  postgres: { http: 5432 }
---
`;
let lab: LabHandle;
const m = (command: string) => lab.shell("m", command);
const text = (command: string): string => m(command).stdout;

beforeEach(() => {
  lab = createLab({ source: SOURCE });
});

test("docker volume create, ls, inspect, rm", () => {
  expect(text("docker volume create data; docker volume create --label a=b other")).toBe("data\nother\n");
  expect(text("docker volume ls")).toBe("DRIVER    VOLUME NAME\nlocal     data\nlocal     other\n");
  expect(text("docker volume ls -qf label=a=b")).toBe("other\n");
  expect(text("docker volume inspect data")).toBe(`[
    {
        "CreatedAt": "2026-11-21T04:00:00Z",
        "Driver": "local",
        "Labels": {},
        "Mountpoint": "/var/lib/docker/volumes/data/_data",
        "Name": "data",
        "Options": {},
        "Scope": "local"
    }
]
`);
  expect(m("docker volume rm data none")).toMatchObject({
    stdout: "data\n",
    stderr: "Error: No such volume: none\n",
    status: 1,
  });
});

test("containers share a volume, and it outlives them", () => {
  text("docker run --rm -v data:/data busybox sh -c 'echo one > /data/a; echo own > /tmp/x'");
  expect(text("docker run --rm -v data:/srv busybox sh -c 'cat /srv/a; ls /srv'")).toBe("one\na\n");
  expect(m("docker run --rm -v data:/srv:ro busybox sh -c 'echo two > /srv/a'").stderr).toMatch(
    /\/srv\/a: Read-only file system/,
  );
  const id = text("docker run -d --mount type=volume,src=data,dst=/d busybox sleep 1000").trim();
  expect(m("docker volume rm data").stderr).toBe(
    `Error response from daemon: remove data: volume is in use - [${id}]\n`,
  );
  expect(text(`docker inspect -f '{{(index .Mounts 0).Name}}' ${id}`)).toBe("data\n");
  text(`docker rm -f ${id}`);
  expect(text("docker volume rm data; docker volume ls -q")).toBe("data\n");
});

test("a service makes its volume where its task runs", () => {
  text("docker swarm init --advertise-addr 192.168.200.10");
  text(
    "docker service create -d --name db --mount type=volume,source=db-data,target=/var/lib/postgresql/data postgres",
  );
  text("sleep 5");
  expect(text("docker volume ls -q")).toBe("db-data\n");
  expect(text("docker service inspect -f '{{json .Spec.TaskTemplate.ContainerSpec.Mounts}}' db")).toBe(
    '[{"Type":"volume","Source":"db-data","Target":"/var/lib/postgresql/data"}]\n',
  );
});

test("docker service update changes mounts and limits, and replaces the task for it", () => {
  text("docker swarm init --advertise-addr 192.168.200.10");
  text("docker service create -d --name db --limit-cpu 1 --mount source=aa,target=/a postgres; sleep 5");
  text(
    "docker service update -d --mount-add source=bb,target=/b --mount-rm /a --limit-memory 64M db; sleep 20",
  );
  expect(text("docker volume ls -q; docker service ps -q db | wc -l")).toBe("aa\nbb\n2\n");
  const spec =
    "docker service inspect -f '{{json .Spec.TaskTemplate.ContainerSpec.Mounts}} {{json .Spec.TaskTemplate.Resources.Limits}}' db";
  expect(text(spec)).toBe(
    '[{"Type":"volume","Source":"bb","Target":"/b"}] {"NanoCPUs":1000000000,"MemoryBytes":67108864}\n',
  );
  expect(
    text(
      "docker service update -d --mount-rm /b db; docker service inspect -f '{{json .Spec.TaskTemplate.ContainerSpec}}' db",
    ),
  ).not.toContain("Mounts");
});

test("a task whose volume cannot be is rejected", () => {
  text("docker swarm init --advertise-addr 192.168.200.10");
  text("docker service create -d --name db --mount source=a,target=/a postgres; sleep 5");
  expect(
    text("docker service ps --no-trunc --format '{{.CurrentState}} {{.Error}}' db | grep -m1 Rejected"),
  ).toMatch(
    /^Rejected .* "create a: volume name is too short, names should be at least two alphanumeric characters"\n$/,
  );
});

test("docker run says which volume cannot be", () => {
  expect(m("docker run -v a:/x busybox true")).toMatchObject({
    stderr:
      "docker: Error response from daemon: create a: volume name is too short, names should be at least two alphanumeric characters.\nSee 'docker run --help'.\n",
    status: 125,
  });
});

test("docker cp, both ways", () => {
  text("docker run -d --name box busybox sleep 1000; echo hi > note");
  expect(text("docker cp note box:/tmp/; docker exec box cat /tmp/note")).toBe("hi\n");
  expect(text("docker exec box sh -c 'echo back > /tmp/out'; docker cp box:/tmp/out .; cat out")).toBe(
    "back\n",
  );
  expect(m("docker cp box:/none .").stderr).toBe("Error: No such container:path: box:/none\n");
});

test.each([
  [
    "--mount type=volume,source=a",
    'invalid argument "type=volume,source=a" for "--mount" flag: target is required',
  ],
  [
    "--mount foo",
    'invalid argument "foo" for "--mount" flag: invalid field \'foo\' must be a key=value pair',
  ],
])("%s is refused", (words, said) => {
  expect(m(`docker run ${words} busybox true`)).toMatchObject({
    stderr: `${said}\nSee 'docker run --help'.\n`,
    status: 125,
  });
});

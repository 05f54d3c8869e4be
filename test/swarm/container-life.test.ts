/** Containers made, started, stopped and started again by hand; what they print; what the runtime cannot run. */
import { beforeAll, expect, test } from "vitest";
import { createLab, type LabHandle, NotModelledError } from "../../src/index.ts";

const PAGE = `---
seed: 6
segments:
  lan: { subnet: 192.168.200.0/24 }
machines:
  client: { lan: 192.168.200.1 }
  m: { lan: 192.168.200.10, docker: true }
---
`;
let lab: LabHandle;
const m = (command: string) => lab.shell("m", command);

beforeAll(() => {
  lab = createLab({ source: PAGE });
});

test("a container is made, started, stopped and started again with its ports", () => {
  expect(m("docker create --name web -p 8080:80 -p 5353:53/udp whoami").stdout).toMatch(/^[0-9a-f]{64}\n$/);
  expect(m("docker ps -a --format '{{.Names}} {{.Status}}'").stdout).toBe("web Created\n");
  expect(m("docker start web").stdout).toBe("web\n");
  expect(m("docker port web").stdout).toBe(
    "80/tcp -> 0.0.0.0:8080\n80/tcp -> :::8080\n53/udp -> 0.0.0.0:5353\n53/udp -> :::5353\n",
  );
  expect(m("docker port web 80").stdout).toBe("0.0.0.0:8080\n:::8080\n");
  expect(m("docker port web 81").stderr).toBe("Error: No public port '81/tcp' published for web\n");
  const answer = (): string => lab.shell("client", "curl -s -m 2 192.168.200.10:8080 | head -1").stdout;
  const first = answer();
  expect(first).toMatch(/^Hostname: [0-9a-f]{12}\n$/);
  m("docker stop web");
  expect(answer()).toBe("");
  expect(m("docker restart web").stdout).toBe("web\n");
  expect(answer()).toBe(first);
  expect(m("docker logs web").stderr).toBe("Starting up on port 80\nStarting up on port 80\n");
});

test("a container joins the networks that it has been connected to at every start", () => {
  m("docker network create one; docker network create two");
  m("docker run -d --name both --network one whoami; docker network connect two both");
  m("docker stop both; docker start both");
  expect(m("docker exec both ip -br addr | grep -c 172").stdout).toBe("2\n");
});

test("a name that nobody has is refused in each command's own words", () => {
  expect(m("docker start nope")).toMatchObject({
    stderr: "Error response from daemon: No such container: nope\nError: failed to start containers: nope\n",
    status: 1,
  });
  expect(m("docker restart nope").stderr).toBe("Error response from daemon: No such container: nope\n");
  expect(m("docker logs nope").stderr).toBe("Error: No such container: nope\n");
});

test("logs are lines of two streams with their times", () => {
  m("docker run -d --name talk alpine sh -c 'while true; do echo out; echo err >&2; sleep 1; done'; sleep 2");
  expect(m("docker logs talk 2>/dev/null | sort | uniq").stdout).toBe("out\n");
  expect(m("docker logs --tail 1 talk").text.split("\n")).toHaveLength(2);
  expect(m("docker logs -t -n 1 talk").text).toMatch(/^2026-11-21T04:\d\d:\d\d\.\d{9}Z (out|err)\n$/);
  expect(m("docker logs --since 1h talk").text).toBe(m("docker logs talk").text);
  expect(m("timeout 3 docker logs -f talk 2>/dev/null | wc -l").stdout.trim()).not.toBe("0");
  m("docker run -d --name ngx nginx");
  expect(() => m("docker logs ngx")).toThrow(NotModelledError);
});

test("what is no program is the runtime's to refuse", () => {
  const runc = (word: string, why: string): string =>
    `unable to start container process: exec: "${word}": ${why}: unknown`;
  expect(m("docker exec web nosuch")).toMatchObject({
    stdout: `OCI runtime exec failed: exec failed: ${runc("nosuch", "executable file not found in $PATH")}\r\n`,
    stderr: "",
    status: 126,
  });
  expect(m("docker exec web /bin/nosuch").stdout).toContain(
    runc("/bin/nosuch", "stat /bin/nosuch: no such file or directory"),
  );
  expect(m("docker exec web cd /").status).toBe(126);
  expect(m("docker exec web sh -c nosuch")).toMatchObject({ stderr: "sh: nosuch: not found\n", status: 127 });
  const create = "failed to create shim task: OCI runtime create failed: runc create failed:";
  expect(m("docker run --name bad busybox nosuch")).toMatchObject({
    stderr: `docker: Error response from daemon: ${create} ${runc("nosuch", "executable file not found in $PATH")}.\n`,
    status: 127,
  });
  expect(m("docker ps -a --filter name=bad --format '{{.Status}}'").stdout).toBe("Created\n");
});

test("docker run refuses ports before it asks for anything", () => {
  const said = (text: string): string => m(`docker run -p ${text} nobodysimage`).stderr;
  expect(said("99999:80")).toBe("docker: Invalid hostPort: 99999.\nSee 'docker run --help'.\n");
  expect(said("80:99999")).toBe("docker: Invalid containerPort: 99999.\nSee 'docker run --help'.\n");
  expect(said("1.2.3:80:80")).toBe("docker: Invalid ip address: 1.2.3.\nSee 'docker run --help'.\n");
  expect(said("published=1,x")).toBe(
    "docker: invalid publish opts format (should be name=value but got 'x').\nSee 'docker run --help'.\n",
  );
  expect(m("docker run -p 8080:80 whoami").stderr).toMatch(
    /^docker: Error response from daemon: driver failed programming external connectivity on endpoint [a-z]+_[a-z]+ \([0-9a-f]{64}\): Bind for 0\.0\.0\.0:8080 failed: port is already allocated\.\n$/,
  );
});

test("a server in the foreground prints until the client is told to end, and ends with it", () => {
  expect(m("timeout 2 docker run --rm --name fg whoami")).toMatchObject({
    stderr: "Starting up on port 80\n",
    status: 124,
  });
  m("sleep 1");
  expect(m("docker ps -aq --filter name=fg").stdout).toBe("");
});

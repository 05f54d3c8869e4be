/** docker tag, rmi and images: names of images are those of one machine (docker 20.10). */
import { expect, test } from "vitest";
import { createLab } from "../../src/index.ts";

const SOURCE = `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24, latency: 200us }
machines:
  m: { lan: 192.168.200.10, docker: true }
---
`;

test("a tag is a name more, and goes again", () => {
  const lab = createLab({ source: SOURCE });
  const m = (command: string) => lab.shell("m", command);
  expect(m("docker tag nginx localhost:5000/web:v1")).toMatchObject({ stdout: "", status: 0 });
  const id = m("docker images -q nginx").stdout.trim();
  expect(m("docker images localhost:5000/web").stdout).toBe(
    "REPOSITORY           TAG       IMAGE ID       CREATED   SIZE\n" +
      `localhost:5000/web   v1        ${id}   N/A       N/A\n`,
  );
  expect(
    m("docker run -d --name a -p 80:80 localhost:5000/web:v1; curl -s 127.0.0.1 | grep -c Hostname").stdout,
  ).toMatch(/\n1\n$/);
  expect(m("docker run -d localhost:5000/web").stderr).toMatch(
    /^Unable to find image 'localhost:5000\/web:latest' locally\n/,
  );
  expect(m("docker rmi localhost:5000/web:v1").stdout).toBe("Untagged: localhost:5000/web:v1\n");
  expect(m("docker rmi localhost:5000/web:v1")).toMatchObject({
    stderr: "Error: No such image: localhost:5000/web:v1\n",
    status: 1,
  });
  expect(m("docker tag none x").stderr).toBe("Error response from daemon: No such image: none:latest\n");
  expect(m("docker tag nginx Bad").stderr).toBe(
    'Error parsing reference: "Bad" is not a valid repository/tag: invalid reference format\n',
  );
});

test("an image has the same id on every machine, and goes by its beginning", () => {
  const idsOf = (machine: string) =>
    createLab({ source: SOURCE.replace("  m:", `  ${machine}:`) }).shell(
      machine,
      "docker images --no-trunc -q",
    ).stdout;
  expect(idsOf("x")).toBe(idsOf("m"));
  const ids = idsOf("m").trim().split("\n");
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
  const lab = createLab({ source: SOURCE });
  const m = (command: string) => lab.shell("m", command).stdout;
  m("docker run -d --name a $(docker images -q whoami)");
  const id = m("docker images -q --no-trunc whoami").trim();
  expect(m("docker inspect -f '{{.Image}} {{.Config.Image}}' a")).toBe(`${id} ${id.slice(7, 19)}\n`);
  expect(() => lab.shell("m", "docker inspect nginx")).toThrow("not modelled: docker inspect of an image");
});

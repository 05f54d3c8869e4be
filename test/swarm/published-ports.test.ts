/** Ports of containers on the host: at one address, from a range, of the engine's choice (libnetwork, docker 20.10). */
import { beforeEach, describe, expect, test } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";

const SOURCE = `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24, latency: 200us }
machines:
  a: { lan: 192.168.200.1, docker: true }
  b: { lan: 192.168.200.2 }
---
`;
let lab: LabHandle;
const on = (machine: string, command: string) => lab.shell(machine, command);
const text = (command: string): string => on("a", command).stdout;

beforeEach(() => {
  lab = createLab({ source: SOURCE });
});

describe("an address of the host", () => {
  test("is in the rule, and nobody else is served", () => {
    text("docker run -d --name web -p 127.0.0.1:8080:80 nginx");
    text("docker run -d --name dns -p 192.168.200.1:53:53/udp nginx");
    expect(text("iptables -t nat -S DOCKER")).toBe(
      "-N DOCKER\n-A DOCKER -i docker0 -j RETURN\n" +
        "-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n" +
        "-A DOCKER -d 192.168.200.1/32 ! -i docker0 -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.3:53\n",
    );
    expect(text("docker port web; docker port dns 53/udp")).toBe(
      "80/tcp -> 127.0.0.1:8080\n192.168.200.1:53\n",
    );
    expect(text("docker ps --format '{{.Names}} {{.Ports}}'")).toBe(
      "dns 192.168.200.1:53->53/udp, 80/tcp\nweb 127.0.0.1:8080->80/tcp\n",
    );
    expect(text("curl -s 127.0.0.1:8080 | grep -c Hostname")).toBe("1\n");
    expect(on("b", "curl -s 192.168.200.1:8080").status).toBe(7);
  });

  test("is free where another one is taken, as far as the kernel sees it so", () => {
    text("docker run -d -p 127.0.0.1:8080:80 nginx");
    expect(on("a", "docker run -d -p 192.168.200.1:8080:80 nginx").status).toBe(0);
    const refusal = (place: string): string =>
      on("a", `docker run -d --name x -p ${place}:80 nginx; docker rm x`).stderr.replace(
        /\([0-9a-f]+\)/,
        "(ID)",
      );
    const head =
      "docker: Error response from daemon: driver failed programming external connectivity on endpoint x (ID)";
    expect(refusal("127.0.0.1:8080")).toBe(
      `${head}: Bind for 127.0.0.1:8080 failed: port is already allocated.\n`,
    );
    expect(refusal("8080")).toBe(
      `${head}: Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use.\n`,
    );
    expect(refusal("10.9.9.9:81")).toBe(
      `${head}: Error starting userland proxy: listen tcp4 10.9.9.9:81: bind: cannot assign requested address.\n`,
    );
    expect(text("iptables -t nat -S DOCKER | grep -c DNAT")).toBe("2\n");
  });
});

describe("ports of the engine's choice", () => {
  test("-P takes the next ones for all that is named, and goes on when one is in use", () => {
    text("docker run -d -p 127.0.0.1::80 nginx");
    text("nc -l -p 49154 &");
    text("docker run -d --name all -P --expose 90-91 --expose 53/udp nginx");
    expect(text("docker port all | sort")).toBe(
      [
        "53/udp -> 0.0.0.0:49153",
        "53/udp -> :::49153",
        "80/tcp -> 0.0.0.0:49157",
        "80/tcp -> :::49157",
        "90/tcp -> 0.0.0.0:49156",
        "90/tcp -> :::49156",
        "91/tcp -> 0.0.0.0:49155",
        "91/tcp -> :::49155",
        "",
      ].join("\n"),
    );
  });

  test("a range of the host gives one port after the other", () => {
    for (const name of ["one", "two"]) text(`docker run -d --name ${name} -p 9000-9001:80 nginx`);
    expect(text("docker port one 80; docker port two 80")).toBe(
      "0.0.0.0:9000\n:::9000\n0.0.0.0:9001\n:::9001\n",
    );
    expect(on("a", "docker run -d -p 9000-9001:80 nginx").stderr).toMatch(/: all ports are allocated\.\n$/);
    text("docker rm -f one");
    text("docker run -d --name three -p 9000-9001:80 nginx");
    expect(text("docker port three 80")).toBe("0.0.0.0:9000\n:::9000\n");
  });
});

test("docker ps joins neighbours that keep their numbers; what is only named stands bare", () => {
  text("docker run -d -p 127.0.0.1:80-82:80-82 -p 9000:90 --expose 91-92 nginx");
  expect(text("docker ps --format '{{.Ports}}'")).toBe(
    "127.0.0.1:80-82->80-82/tcp, 91-92/tcp, 0.0.0.0:9000->90/tcp, :::9000->90/tcp\n",
  );
  expect(text("docker inspect -f '{{json .NetworkSettings.Ports}}' $(docker ps -q)")).toContain(
    '"81/tcp":[{"HostIp":"127.0.0.1","HostPort":"81"}],"82/tcp"',
  );
});

test.each([
  ["--expose 1:2", "docker: invalid port format for --expose: 1:2."],
  [
    "--expose 9-a",
    'docker: invalid range format for --expose: 9-a, error: strconv.ParseUint: parsing "a": invalid syntax.',
  ],
  ["-p 1-2:1-5", "docker: Invalid ranges specified for container and host Ports: 1-5 and 1-2."],
  ["-p 1.2.3:1:1", "docker: Invalid ip address: 1.2.3."],
])("docker run %s is refused", (words, said) => {
  const { stderr, status } = on("a", `docker run -d ${words} nginx`);
  expect([stderr, status]).toEqual([`${said}\nSee 'docker run --help'.\n`, 125]);
});

test("0.0.0.0 is IPv4 alone", () => {
  text("docker run -d --name v4 -p 0.0.0.0:8080:80 nginx");
  expect(text("docker ps --format '{{.Ports}}'; docker port v4")).toBe(
    "0.0.0.0:8080->80/tcp\n80/tcp -> 0.0.0.0:8080\n",
  );
  expect(on("b", "curl -s 192.168.200.1:8080").status).toBe(0);
});

test.each([
  ["create --name w -p 127.0.0.1:81:80 nginx", "127.0.0.1:81:80", "-p, --publish", "hostip is not supported"],
  ["create -p mode=x,target=80 nginx", "mode=x,target=80", "-p, --publish", "invalid publish mode value x"],
  ["update --publish-add 0.0.0.0:81:80 w", "0.0.0.0:81:80", "--publish-add", "hostip is not supported"],
])("docker service %s is refused", (words, value, option, why) => {
  text("docker swarm init --advertise-addr 192.168.200.1");
  expect(on("a", `docker service ${words}`)).toMatchObject({
    stderr: `invalid argument "${value}" for "${option}" flag: ${why}\nSee 'docker service ${words.split(" ")[0]} --help'.\n`,
    status: 125,
  });
});

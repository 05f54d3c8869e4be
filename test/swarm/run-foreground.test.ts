/** Containers that nobody plans: `docker run` in the foreground; and global services with ports of the host. */
import { describe, expect, test } from "vitest";
import { createLab, NotModelledError } from "../../src/index.ts";

const PAGE = `---
seed: 6
segments:
  lan: { subnet: 192.168.200.0/24 }
machines:
  client: { lan: 192.168.200.1 }
  m: { lan: 192.168.200.10, docker: true }
  w: { lan: 192.168.200.11, docker: true }
---
\`\`\`console
m$ docker swarm init --advertise-addr 192.168.200.10
m$ docker swarm join-token -q worker
<token>
w$ docker swarm join --token <token> 192.168.200.10:2377
\`\`\`
`;

describe("docker run in the foreground", () => {
  const lab = createLab({ source: PAGE });
  const netshoot =
    "docker run -it --rm -v /var/run/docker/netns:/netns --privileged=true nicolaka/netshoot nsenter --net=/netns/ingress_sbox";

  test("prints what the command prints and ends with its status", () => {
    expect(lab.shell("m", "docker run --rm alpine ip -br addr show eth0 | awk '{print $3}'").stdout).toBe(
      "172.17.0.2/16\n",
    );
    expect(lab.shell("m", "docker run --rm busybox sh -c 'exit 3'").status).toBe(3);
    expect(lab.shell("m", "docker ps -aq").stdout).toBe("");
  });

  test("looks into the namespaces of the machine by a volume", () => {
    expect(lab.shell("m", `${netshoot} ip -br addr show eth1 | awk '{print $3}'`).stdout).toBe(
      "172.18.0.2/16\n",
    );
    expect(lab.shell("m", `${netshoot} iptables -t nat -S POSTROUTING`).stdout).toContain(
      "-d 127.0.0.11/32 -j DOCKER_POSTROUTING",
    );
    expect(lab.shell("m", `${netshoot} sh -c 'ip route | head -1'`).stdout).toBe(
      "default via 172.18.0.1 dev eth1 \n",
    );
  });

  test("keeps the container without --rm, with its exit code", () => {
    lab.shell("m", "docker run --name once busybox false");
    expect(lab.shell("m", "docker ps -a --format '{{.Names}} {{.Status}}'").stdout).toMatch(
      /^once Exited \(1\)/,
    );
  });

  test("of a server whose words nobody knows, or with files of the machine, is not modelled", () => {
    expect(() => lab.shell("m", "docker run nginx")).toThrow(NotModelledError);
    expect(() => lab.shell("m", "docker run -v /srv:/srv busybox ls /srv")).toThrow(NotModelledError);
  });
});

describe("a global service with a port of the host", () => {
  const lab = createLab({ source: PAGE });
  lab.shell(
    "m",
    "docker service create -d --name g --mode global --publish mode=host,published=9000,target=80 nginx",
  );
  lab.wait(15e9);

  test("runs on every node and answers at each", () => {
    expect(lab.shell("m", "docker service ls --format '{{.Mode}} {{.Replicas}}'").stdout).toBe(
      "global 2/2\n",
    );
    for (const node of [10, 11])
      expect(lab.shell("client", `curl -s 192.168.200.${node}:9000 | head -1`).stdout).toMatch(/^Hostname: /);
  });

  test("leaves no node for a second one, which says why", () => {
    lab.shell(
      "m",
      "docker service create -d --name h --replicas 1 --publish mode=host,published=9000,target=80 nginx",
    );
    lab.wait(10e9);
    expect(
      lab.shell("m", "docker service ps h --no-trunc --format '{{.CurrentState}}: {{.Error}}'").stdout,
    ).toMatch(/^Pending .*: "no suitable node \(host-mode port already in use on 2 nodes\)"\n$/);
  });
});

test("ports can be changed while a service runs, and the service can go and come again", () => {
  const lab = createLab({ source: PAGE });
  const rules = (): string =>
    lab.shell("w", "iptables -t nat -S DOCKER-INGRESS | grep -o 'dport [0-9]*'").stdout;
  const answer = (port: number): string =>
    lab.shell("client", `curl -s -m 3 192.168.200.11:${port} | head -1`).stdout;
  lab.shell("m", "docker network create -d overlay net");
  lab.shell("m", "docker service create -d --name web --network net -p 443:80 --replicas 4 whoami");
  lab.wait(20e9);
  expect(rules()).toBe("dport 443\n");
  lab.shell("m", "docker service update -d --publish-add 8088:80 web");
  lab.wait(60e9);
  expect(rules()).toBe("dport 8088\ndport 443\n");
  expect(answer(8088)).toMatch(/^Hostname: /);
  lab.shell("m", "docker service update -d --publish-rm 80 web");
  lab.wait(60e9);
  expect(rules()).toBe("");
  lab.shell("m", "docker service rm web");
  lab.wait(20e9);
  expect(lab.shell("w", "ls /var/run/docker/netns | wc -l").stdout.trim()).toBe("2");
  lab.shell("m", "docker service create -d --name web --network net -p 443:80 --replicas 2 whoami");
  lab.wait(20e9);
  expect(answer(443)).toMatch(/^Hostname: /);
});

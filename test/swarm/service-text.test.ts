/** What Docker 20.10 says of services and programs for their ports, in the words and the order of real nodes. */
import { beforeAll, expect, it } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";

const PAGE = `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24 }
machines:
  m: { lan: 192.168.200.10, docker: true }
images:
  whoami: { http: 80, udp-echo: 5353 }
---
`;
let lab: LabHandle;
const m = (command: string): string => lab.shell("m", command).stdout;

beforeAll(() => {
  lab = createLab({ source: PAGE });
  m("docker swarm init --advertise-addr 192.168.200.10");
  m("docker network create -d overlay --opt encrypted one; docker network create -d overlay two");
  m("docker service create -d --name plain whoami");
  m("docker service create -d --name web --network two --network one -p 8085:80 -p 8086:80 whoami; sleep 5");
  m(
    "docker service create -d --name host --network one --publish mode=host,target=80,published=8081 --publish mode=host,target=5353,published=5454,protocol=udp whoami; sleep 5",
  );
});

it("a template sees empty fields that JSON leaves out", () => {
  expect(
    m(
      'docker service inspect -f "{{.Spec.Name}} {{json .Endpoint.VirtualIPs}} {{json .Endpoint.Ports}} {{json .UpdateStatus}}" plain',
    ),
  ).toBe("plain null null null\n");
  expect(m('docker service inspect -f "{{range .Endpoint.VirtualIPs}}{{.Addr}} {{end}}" plain')).toBe("\n");
});

it("published ports of one target are shown as a range", () => {
  expect(m('docker service ls --format "{{.Name}} {{.Ports}}"').split("\n")).toContain(
    "web *:8085-8086->80/tcp",
  );
});

it("hands networks over by id, and shows those that it has no part in as the store has them", () => {
  const ids = m('docker service inspect -f "{{range .Spec.TaskTemplate.Networks}}{{.Target}} {{end}}" web');
  expect(ids.trim().split(" ")).toEqual(ids.trim().split(" ").sort());
  m("docker network create -d overlay --opt encrypted idle");
  expect(m('docker network inspect -f "{{json .Containers}} {{json .Labels}} {{json .Options}}" idle')).toBe(
    'null null {"com.docker.network.driver.overlay.vxlanid_list":"4099","encrypted":""}\n',
  );
});

it("programs the ports of a task by greater port of the container", () => {
  expect(m("iptables-save -t nat | grep -E 'A (DOCKER|POSTROUTING).*(80|5353)' | grep -v INGRESS")).toBe(
    `-A POSTROUTING -s 172.18.0.4/32 -d 172.18.0.4/32 -p udp -m udp --dport 5353 -j MASQUERADE
-A POSTROUTING -s 172.18.0.4/32 -d 172.18.0.4/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER ! -i docker_gwbridge -p udp -m udp --dport 5454 -j DNAT --to-destination 172.18.0.4:5353
-A DOCKER ! -i docker_gwbridge -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.18.0.4:80
`,
  );
});

it("indents older tasks in tables only", () => {
  m("docker service update -d --force plain; sleep 15");
  expect(m('docker service ps --format "{{.Name}} {{.DesiredState}}" plain')).toBe(
    "plain.1 Running\nplain.1 Shutdown\n",
  );
  expect(m('docker service ps --format "table {{.Name}}" plain')).toBe("NAME\nplain.1\n \\_ plain.1\n");
});

it("finds namespaces by pattern", () => {
  const found = m("for f in /var/run/docker/netns/lb_*; do nsenter --net=$f ip -br -4 addr show eth0; done");
  expect(found.split("\n").filter((line) => line.startsWith("eth0"))).toHaveLength(2);
});

it("a network can go as soon as the services are gone, whatever their tasks do", () => {
  m(
    "docker network create -d overlay brief; docker service create -d --name short --network brief whoami; sleep 5",
  );
  expect(lab.shell("m", "docker network rm brief").stderr).toMatch(/is in use by service \w{25}\n$/);
  expect(m("docker service rm short; docker network rm brief")).toBe("short\nbrief\n");
});

it("an update puts new virtual addresses behind those that stay, and ports in the order of their texts", () => {
  m("docker service create -d --name grow --network two -p 9080:80 whoami; sleep 5");
  const networks = (): string[] =>
    m('docker service inspect -f "{{range .Endpoint.VirtualIPs}}{{.NetworkID}} {{end}}" grow')
      .trim()
      .split(" ");
  const before = networks();
  m(
    "docker service update -d --network-add one --publish-add 10080:81 --publish-add 53:53/udp grow; sleep 20",
  );
  const after = networks();
  expect(after.slice(0, 2)).toEqual(before);
  expect(after).toHaveLength(3);
  const ports = (): string =>
    m('docker service inspect -f "{{range .Spec.EndpointSpec.Ports}}{{.PublishedPort}} {{end}}" grow').trim();
  expect(ports()).toBe("10080 53 9080");
  m("docker service update -d --publish-add mode=host,target=82,published=82 grow; sleep 20");
  m("docker service update -d --publish-rm 82 --publish-rm 81 grow; sleep 20");
  expect(ports()).toBe("53 82 9080");
  m("docker service rm grow; sleep 5");
});

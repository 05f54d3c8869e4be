/**
 * Containers outside of the services on networks of the swarm and on bridges: where their addresses come from, who knows
 * their names, what stays when they go, and the texts of refusals, as Docker 20.10 has them.
 */
import { describe, expect, it } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";

const PAGE = `---
seed: 4
segments:
  lan: { subnet: 192.168.200.0/24 }
machines:
  client: { lan: 192.168.200.1 }
  m: { lan: 192.168.200.10, docker: true }
  w: { lan: 192.168.200.11, docker: true }
---
\`\`\`console
m$ docker swarm init --advertise-addr 192.168.200.10
m$ docker swarm join-token worker -q
<token>
w$ docker swarm join --token <token> 192.168.200.10:2377
m$ docker network create -d overlay --attachable --subnet 10.9.0.0/24 back
m$ docker network create -d overlay closed
\`\`\`
`;

interface Answer {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

function swarm() {
  const lab: LabHandle = createLab({ source: PAGE });
  const on =
    (machine: string) =>
    (command: string): Answer =>
      lab.shell(machine, command);
  return { lab, m: on("m"), w: on("w"), client: on("client") };
}

const addresses = (answer: Answer): string[] =>
  [...answer.stdout.matchAll(/inet ([\d./]+)/g)].map((a) => a[1]);
const namespaces = (answer: Answer): string[] => answer.stdout.trim().split(/\s+/);

describe("a container on an attachable overlay", () => {
  const { m, w, client } = swarm();
  m(
    "docker service create -d --name web --network back -p 8080:80 --constraint node.hostname==m whoami; sleep 10",
  );
  const before = m("nsenter --net=/var/run/docker/netns/ingress_sbox ipvsadm -Ln").stdout;
  const probe = w("docker run -d --name probe --network-alias db --network back busybox sleep 100000");
  m("docker run -d --ip 10.9.0.77 --name other --network back busybox sleep 100000");

  it("has its address from the manager's allocator, behind those of the service", () => {
    expect(probe.status).toBe(0);
    expect(addresses(w("docker exec probe ip -4 -o addr"))).toEqual([
      "127.0.0.1/8",
      "10.9.0.5/24",
      "172.18.0.3/16",
    ]);
    expect(w("docker exec probe ip route").stdout).toBe(
      "default via 172.18.0.1 dev eth1 \n10.9.0.0/24 dev eth0 scope link  src 10.9.0.5 \n172.18.0.0/16 dev eth1 scope link  src 172.18.0.3 \n",
    );
  });

  it("is reached by name, alias and short id from the other node, backwards too", () => {
    const id = probe.stdout.slice(0, 12);
    for (const name of ["probe", "db", id, "probe.back"])
      expect(m(`docker exec other ping -c 1 ${name}`).stdout).toContain(`PING ${name} (10.9.0.5)`);
    expect(m("docker exec other nslookup 10.9.0.5 127.0.0.11").stdout).toContain("name = probe.back");
    expect(w("docker exec probe ping -c 1 other").stdout).toContain("64 bytes from 10.9.0.77: seq=0 ttl=64");
  });

  it("does not give the load balancers of the network a name", () => {
    expect(m("docker exec other ping -c 1 back-endpoint").stderr).toContain("bad address");
  });

  it("asks services at their virtual address and leaves the mesh as it was", () => {
    expect(w("docker exec probe wget -qO- http://web/").stdout).toContain("RemoteAddr: 10.9.0.");
    expect(client("curl -s 192.168.200.11:8080").stdout).toContain("RemoteAddr: 10.0.0.");
    expect(
      m("nsenter --net=/var/run/docker/netns/ingress_sbox ipvsadm -Ln").stdout.split("\n").slice(0, 4),
    ).toEqual(before.split("\n").slice(0, 4));
  });

  it("stands in inspect and in verbose inspect, and in no list of tasks", () => {
    const settings = JSON.parse(w('docker inspect -f "{{json .NetworkSettings.Networks}}" probe').stdout);
    expect(settings.back).toMatchObject({
      IPAMConfig: { IPv4Address: "10.9.0.5" },
      Aliases: ["db", probe.stdout.slice(0, 12)],
      IPAddress: "10.9.0.5",
      Gateway: "",
      MacAddress: "02:42:0a:09:00:05",
    });
    const [network] = JSON.parse(m("docker network inspect -v back").stdout);
    const plain = network.Services[""].Tasks.map((task: { Name: string }) => task.Name);
    expect(plain.sort()).toEqual(["other", "probe"]);
    expect(m("docker node ps w").stdout).not.toContain("probe");
  });

  it("keeps the network while it runs, and frees its address when it goes", () => {
    m("docker service rm web; sleep 15");
    expect(m("docker network rm back").stderr).toMatch(
      /^Error response from daemon: rpc error: code = FailedPrecondition desc = network \w+ is in use by task \w+\n$/,
    );
    w("docker rm -f probe; sleep 2");
    expect(namespaces(w("ls /var/run/docker/netns"))).toHaveLength(2);
    expect(m("docker exec other ping -c 1 -W 1 probe").stderr).toContain("bad address");
    expect(w("docker run -d --name again --ip 10.9.0.5 --network back busybox sleep 100000").status).toBe(0);
    w("docker stop -t 0 again");
    m("docker rm -f other; sleep 2");
    expect(m("docker network rm back").status).toBe(0);
  });
});

describe("refusals", () => {
  const { m, w } = swarm();
  const fails = (answer: Answer): string => {
    expect(answer.status).toBe(125);
    return answer.stderr;
  };

  it("are those of the manager for networks of the swarm", () => {
    for (const on of [m, w]) {
      expect(fails(on("docker run -d --network closed busybox sleep 9"))).toBe(
        "docker: Error response from daemon: Could not attach to network closed: rpc error: code = PermissionDenied desc = network closed not manually attachable.\n",
      );
      expect(fails(on("docker run -d --network nope busybox sleep 9"))).toBe(
        "docker: Error response from daemon: Could not attach to network nope: rpc error: code = NotFound desc = network nope not found.\n",
      );
    }
  });

  it("come after twenty seconds when the address is taken", () => {
    m("docker run -d --ip 10.9.0.9 --network back busybox sleep 1000");
    expect(fails(w("docker run -d --ip 10.9.0.9 --network back busybox sleep 9"))).toBe(
      "docker: Error response from daemon: attaching to network failed, make sure your network options are correct and check manager logs: context deadline exceeded.\n",
    );
  });

  it("are those of the engine for bridges", () => {
    m("docker network create free; docker network create --subnet 10.5.0.0/16 given");
    const run = (words: string): string => fails(m(`docker run -d ${words} busybox sleep 9`));
    expect(run("--ip 172.17.0.9")).toContain(
      "user specified IP address is supported on user defined networks only.",
    );
    expect(run("--network-alias a")).toContain(
      "network-scoped alias is supported only for containers in user defined networks.",
    );
    expect(run("--ip 172.19.0.9 --network free")).toContain(
      "supported only when connecting to networks with user configured subnets.",
    );
    expect(run("--ip 10.6.0.9 --network given")).toContain(
      "Invalid address 10.6.0.9: It does not belong to any of this network's subnets.",
    );
    expect(run("--ip 10.5.0.1 --network given")).toContain("daemon: Address already in use.");
  });
});

describe("docker network connect and disconnect", () => {
  const { m, w } = swarm();
  w("docker network create mine");
  w("docker run -d --name a -p 8000:80 whoami; docker run -d --name b --network mine busybox sleep 100000");

  it("adds an overlay to a container on a bridge, which keeps its way out", () => {
    expect(w("docker network connect --ip 10.9.0.40 --alias aa back a").status).toBe(0);
    m("docker run -d --name c --network back busybox sleep 100000");
    expect(m("docker exec c wget -qO- http://aa/").stdout).toContain("IP: 10.9.0.40");
    expect(w("docker exec a ip route").stdout).toContain("default via 172.17.0.1 dev eth0");
    expect(w("docker network connect back a").stderr).toBe(
      "Error response from daemon: a is already attached to network back\n",
    );
  });

  it("gives docker_gwbridge to who loses its bridge, published ports and all", () => {
    expect(m("curl -s 192.168.200.11:8000").stdout).toContain("Hostname");
    expect(w("docker network disconnect bridge a").status).toBe(0);
    expect(w("docker exec a ip route").stdout).toContain("default via 172.18.0.1 dev eth2");
    expect(m("curl -s 192.168.200.11:8000").stdout).toContain("IP: 172.18.0.3");
    expect(w("docker network disconnect back a").status).toBe(0);
    expect(addresses(w("docker exec a ip -4 -o addr"))).toEqual(["127.0.0.1/8"]);
  });

  it("names the containers of a bridge of the user to each other", () => {
    expect(w("docker network connect mine a").status).toBe(0);
    expect(w("docker exec b ping -c 1 a").stdout).toContain("1 packets received");
    expect(w("docker network connect mine a").stderr).toBe(
      "Error response from daemon: endpoint with name a already exists in network mine\n",
    );
    w("docker network disconnect mine a");
    expect(w("docker exec b ping -c 1 a").stderr).toContain("bad address");
    expect(w("docker network disconnect mine a").stderr).toMatch(
      /^Error response from daemon: container [0-9a-f]{64} is not connected to network mine\n$/,
    );
    expect(w("docker network connect mine nobody").stderr).toBe(
      "Error response from daemon: No such container: nobody\n",
    );
  });

  it("takes containers off the swarm's networks when the node leaves the swarm", () => {
    w("docker run -d --name d --network back busybox sleep 100000");
    w("docker swarm leave");
    expect(addresses(w("docker exec d ip -4 -o addr"))).toEqual(["127.0.0.1/8"]);
    expect(w("docker network ls -f driver=overlay -q").stdout).toBe("");
    expect(w("docker run -d --network back busybox sleep 1").stderr).toBe(
      "docker: Error response from daemon: network back not found.\n",
    );
  });
});

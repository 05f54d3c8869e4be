/** A worker behind a translator that advertises the translator's address: what works there without and with forwarding. */
import { expect, it } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";

const PAGE = `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24 }
  dc2: { subnet: 10.99.0.0/24 }
machines:
  swarm-manager: { lan: 192.168.200.10, docker: true }
  natgw: { lan: 192.168.200.20, dc2: 10.99.0.1, forward: true }
  natworker: { dc2: 10.99.0.10, docker: true }
---
\`\`\`console
natgw$ ip addr add 203.0.113.20/32 dev eth0
natgw$ iptables -t nat -A POSTROUTING -o eth0 -s 10.99.0.0/24 -j SNAT --to-source 203.0.113.20
swarm-manager$ ip route add 203.0.113.20 via 192.168.200.20
swarm-manager$ docker swarm init --advertise-addr 192.168.200.10
swarm-manager$ docker swarm join-token worker -q
<token>
natworker$ iptables -A OUTPUT -p udp --dport 7946 -j DROP
natworker$ docker swarm join --advertise-addr 203.0.113.20 --token <token> 192.168.200.10:2377
lab$ wait 2s
natworker$ iptables -F OUTPUT
swarm-manager$ docker service create -d --name web -p 8080:80 --replicas 2 whoami
lab$ wait 60s
\`\`\`
`;

function backends(lab: LabHandle, machine: string): number {
  const { stdout } = lab.shell(machine, "ipvsadm -Ln | grep -c '10.0.0.*Masq'", { netns: "ingress_sbox" });
  return Number(stdout);
}

it("is ready and runs its tasks, but no overlay reaches it until 7946 is forwarded to it", () => {
  const lab = createLab({ source: PAGE });
  const ready = "docker node ls | grep -c Ready";
  expect(lab.shell("swarm-manager", ready).stdout).toBe("2\n");
  expect(lab.shell("swarm-manager", "docker service ls | grep -c 2/2").stdout).toBe("1\n");
  expect([backends(lab, "swarm-manager"), backends(lab, "natworker")]).toEqual([1, 1]);
  // The worker's first words come late here: the unwanted datagrams from outside hold the tuple, and its own get another port.
  const flows = lab.shell("natgw", "conntrack -L -p udp").stdout;
  expect(flows).toMatch(/src=192\.168\.200\.10 dst=203\.0\.113\.20 sport=7946 dport=7946 \[UNREPLIED\]/);
  expect(flows).toMatch(
    /src=10\.99\.0\.10 .*\[UNREPLIED\] .*dst=203\.0\.113\.20 sport=7946 dport=(?!7946)\d+ /,
  );

  for (const port of ["tcp/7946", "udp/7946", "udp/4789"]) {
    const [protocol, number] = port.split("/");
    lab.shell(
      "natgw",
      `iptables -t nat -A PREROUTING -i eth0 -d 203.0.113.20 -p ${protocol} --dport ${number} -j DNAT --to-destination 10.99.0.10`,
    );
  }
  lab.shell("natgw", "conntrack -F");
  lab.shell("lab", "wait 90s");
  expect([backends(lab, "swarm-manager"), backends(lab, "natworker")]).toEqual([2, 2]);
  const answers = lab.shell(
    "swarm-manager",
    "for i in 1 2; do curl -s -m 3 192.168.200.10:8080 | head -1; done",
  );
  expect(new Set(answers.stdout.trim().split("\n")).size).toBe(2);
});

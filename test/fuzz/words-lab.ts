/** Types command lines into a lab; what is neither output nor a refusal is a bug. */
import { createLab, type LabHandle, NotModelledError, UsageError } from "../../src/index.ts";
import type { Prng } from "../../src/util/prng.ts";
import { almost } from "./words.ts";

const PAGE = `---
seed: 4
segments:
  lan: { subnet: 192.168.200.0/24 }
machines:
  client: { lan: 192.168.200.1 }
  m: { lan: 192.168.200.10, docker: true }
  w1: { lan: 192.168.200.11, docker: true }
images:
  whoami: { http: 80, udp-echo: 5353 }
---
\`\`\`console
m$ docker swarm init --advertise-addr 192.168.200.10
m$ docker swarm join-token -q worker
<token>
w1$ docker swarm join --token <token> 192.168.200.10:2377
m$ docker network create -d overlay mynet
m$ docker service create -d --name web --network mynet -p 8080:80 -p 5300:5353/udp --replicas 2 whoami
lab$ wait 15s
\`\`\`
`;
/** Lines that one lab bears before it is replaced. */
const PER_LAB = 40;

export interface Bug {
  readonly line: string;
  readonly error: string;
}

export function runWords(prng: Prng, count: number): Bug[] {
  const bugs: Bug[] = [];
  let lab: LabHandle | null = null;
  for (let i = 0; i < count; i++) {
    if (lab === null || i % PER_LAB === 0) lab = createLab({ source: PAGE });
    const line = almost(prng);
    try {
      lab.shell(
        prng.pick(["m", "m", "w1", "client"]),
        `timeout 30 bash -c '${line.replaceAll("'", "'\\''")}'`,
      );
      lab.wait(prng.below(3) * 1e9);
    } catch (error) {
      if (error instanceof UsageError || error instanceof NotModelledError) continue;
      bugs.push({ line, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      lab = null;
    }
  }
  return bugs;
}

/**
 * iptables, iptables-save and iptables-restore of meshwire against the programs of this machine (1.8.9 legacy), on scripts
 * from a seed: `node test/netfilter/words-oracle/main.ts [--count N] [--seed S]`, as root. `--record FILE` writes the
 * scripts with the real answers instead, a line each, those left out that meshwire does not model.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { randomScript } from "./scripts.ts";
import { firstDifference, runMesh, runReal } from "./sides.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "300" },
    seed: { type: "string", default: "1" },
    record: { type: "string" },
  },
});

const lines: string[] = [];
let compared = 0;
let differing = 0;
const first = Number(values.seed);
for (let seed = first; seed < first + Number(values.count); seed++) {
  const script = randomScript(seed);
  const mesh = runMesh(script);
  if (mesh === null) continue;
  const real = runReal(script);
  compared++;
  if (values.record !== undefined) lines.push(JSON.stringify({ script, answers: real }));
  const difference = firstDifference(script, real, mesh);
  if (difference === null) continue;
  differing++;
  process.stdout.write(`seed ${seed}\n${difference}\n`);
}
if (values.record !== undefined) writeFileSync(values.record, `${lines.join("\n")}\n`);
process.stdout.write(`${compared} scripts compared, ${differing} differ\n`);
process.exitCode = differing > 0 ? 1 : 0;

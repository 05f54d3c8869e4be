/**
 * Records what the kernel of this machine does with the firewalls of `cases.ts`, as golden files: `node
 * test/netfilter/firewalls/record.ts`, as root. With `--compare` nothing is written, differences to meshwire are printed.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { firstDifference } from "../../oracle/compare.ts";
import { MeshSide } from "../../oracle/mesh-side.ts";
import { RealSide, whyNotReal } from "../../oracle/real-side.ts";
import { FIREWALLS } from "./cases.ts";
import { observe, toGolden } from "./observe.ts";

const why = whyNotReal();
if (why !== null) throw new Error(`the kernel cannot be asked: ${why}`);
const compare = process.argv.includes("--compare");
const wanted = process.argv.slice(2).filter((word) => !word.startsWith("--"));

for (const fire of FIREWALLS) {
  const { name } = fire.one;
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const side = new RealSide(fire.one);
  const real = observe(fire, side);
  side.close();
  if (compare) {
    const difference = firstDifference(fire.one, real, observe(fire, new MeshSide(fire.one, 1)));
    process.stdout.write(
      difference === null ? `ok ${name}\n` : `${name}: ${difference.where}\n${difference.text}\n`,
    );
  } else {
    const file = join(import.meta.dirname, "golden", `${name}.json`);
    writeFileSync(file, `${JSON.stringify(toGolden(real), null, 1)}\n`);
  }
}

/** `npm run fuzz:words -- [SEED] [COUNT]`: almost right command lines on a lab with a swarm. Exit status 1 for a bug. */
import { Prng } from "../../src/util/prng.ts";
import { runWords } from "./words-lab.ts";

const [seed = 1, count = 2000] = process.argv.slice(2).map(Number);
const bugs = runWords(new Prng(seed, "words"), count);
for (const { line, error } of bugs) console.error(`${line}\n${error}\n`);
console.log(`seed ${seed}: ${count} command lines, ${bugs.length} bugs`);
process.exitCode = bugs.length > 0 ? 1 : 0;

/** After the lab pages of this folder, every namespace of every node must be in the state that the real one was in. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createLab } from "../../src/index.ts";
import { blocks, canonical, DUMP_COMMANDS } from "./dumps.ts";

const HERE = import.meta.dirname;
const scenarios = readdirSync(HERE).filter(
  (name) => existsSync(join(HERE, `${name}.md`)) && existsSync(join(HERE, name, "dump")),
);

/** Dump files of the last moment of a scenario: `MACHINE.NETNS.MOMENT.txt`. */
function lastDumps(scenario: string): { machine: string; netns: string; text: string }[] {
  const dir = join(HERE, scenario, "dump");
  const files = readdirSync(dir).map((name) => /^(swarm-\w+)\.(.+)\.(\d\d-.+)\.txt$/.exec(name)!);
  const last = files
    .map((match) => match[3])
    .sort()
    .at(-1);
  return files
    .filter((match) => match[3] === last)
    .map(([name, machine, netns]) => ({ machine, netns, text: readFileSync(join(dir, name), "utf8") }));
}

describe.each(scenarios)("state after %s", (scenario) => {
  const file = join(HERE, `${scenario}.md`);
  const lab = createLab({ source: readFileSync(file, "utf8"), file });

  it.each(lastDumps(scenario))("$machine $netns", ({ machine, netns, text }) => {
    const real = blocks(text);
    for (const command of DUMP_COMMANDS) {
      const block = real.get(command);
      if (block === undefined) continue;
      const { stdout } = lab.shell(machine, command, { netns });
      expect(canonical(command, stdout, netns), command).toEqual(canonical(command, block, netns));
    }
  });
});

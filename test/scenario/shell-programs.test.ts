/**
 * Shell programs against bash 5.2: stored ones, and small ones made up from a seed, which run in both where there is a
 * bash. Network scripts against what they print on a real Linux 6.1.
 */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are words of the shell
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadPage, PageRun } from "../../src/scenario/run-page.ts";
import { goesOn } from "../../src/scenario/shell/parser.ts";
import { Prng } from "../../src/util/prng.ts";

const PAGE = `---
seed: 1
segments:
  lan: { subnet: 10.249.0.0/24 }
machines:
  m: { lan: 10.249.0.1 }
---
`;

function run(text: string) {
  const { live } = new PageRun(loadPage("x.md", PAGE), { traces: false, recordRun: false });
  live.filesOf("m").set("program.sh", text);
  return live.shell("m", "bash ./program.sh");
}

interface Program {
  readonly program: readonly string[];
  readonly stdout: string;
  readonly status: number;
}
const read = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8");
const programs: readonly Program[] = JSON.parse(read("shell-programs.json"));

describe("programs print what bash prints", () => {
  test.each(programs.map((one) => [one.program[0].slice(0, 60), one] as const))("%s", (_, {
    program,
    stdout,
    status,
  }) => {
    const result = run(`${program.join("\n")}\n`);
    expect(result.stdout).toBe(stdout);
    expect(result.status).toBe(status);
  });
});

describe("scripts of network commands print what they print on Linux 6.1", () => {
  test.each([
    "path-mtu",
    "vxlan-path-mtu",
    "port-clash",
    "told-by-arp",
    "redirect",
    "nft-related",
    "maps",
    "unanswered",
    "two-ways",
    "answers-for",
  ])("%s", (name) => {
    const result = run(read(`scripts/${name}.sh`));
    expect(result.stdout).toBe(read(`scripts/${name}.txt`));
    expect(result.status).toBe(0);
  });
});

describe("a script may be typed line by line", () => {
  test.each([
    ["if true; then", true],
    ["if true; then echo; fi", false],
    ["cat <<E", true],
    ["cat <<E\na", true],
    ["cat <<E\na\nE", false],
    ["echo 'a", true],
    ["echo $(ls", true],
    ["f() {\n a", true],
    ["f() {\n a; }", false],
    ["a \\", true],
    ["echo a)", false],
    ["case x in", true],
    ["[[ a ==", true],
  ])("%s", (text, more) => {
    expect(goesOn(text)).toBe(more);
  });
});

/** Makes up programs: assignments, tests, loops, functions, expansions, pipes, with words that are hard to split. */
class Maker {
  private readonly prng: Prng;
  private depth = 0;

  constructor(seed: number) {
    this.prng = new Prng(seed, "shell programs");
  }

  program(): string {
    const lines = [
      "a='x  y'; b=; c=3; set -- p 'q r' \"\"; arr=(one 'two three' '' 4)",
      'f() { echo "f:$#:$1"; return $((${#1} % 3)); }',
    ];
    for (let i = 0; i < 6; i++) lines.push(this.statement());
    return `${lines.join("\n")}\necho "end $? $c"\n`;
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.prng.below(list.length)];
  }

  private name(): string {
    return this.pick(["a", "b", "c", "un"]);
  }

  private number(): string {
    return this.pick(["0", "1", "7", "-2", "$c", "${#a}", "$(( c + 1 ))", "$(echo 5)", "010", "0x1f"]);
  }

  private expansion(): string {
    const name = this.name();
    return this.pick([
      `$${name}`,
      `\${${name}:-d  e}`,
      `\${${name}:+s t}`,
      `\${${name}-n}`,
      `\${${name}%x*}`,
      `\${${name}#?}`,
      `\${${name}##* }`,
      `\${${name}/ /_}`,
      `\${${name}// /-}`,
      `\${#${name}}`,
      `\${${name}:1:3}`,
      "$@",
      "$*",
      "$#",
      "$?",
      "${arr[@]}",
      "${arr[1]}",
      "${#arr[@]}",
      "${arr[@]:1:2}",
      `$((${this.number()} ${this.pick(["+", "-", "*", "<", "==", "&", "<<"])} 3))`,
      `$(echo "${this.pick(["u  v", "w"])}"; ${this.pick(["true", "false"])})`,
    ]);
  }

  private word(): string {
    const expansion = this.expansion();
    return this.pick([
      expansion,
      `"${expansion}"`,
      `l${expansion}r`,
      `"<${expansion}>"`,
      "'$a'",
      "plain",
      "{m,n}o",
    ]);
  }

  private test(): string {
    return this.pick([
      `[ "\${${this.name()}}" = "x  y" ]`,
      `[ -n "$${this.name()}" ]`,
      `[ -z "$${this.name()}" -o ${this.number().replace(/^0x1f$/, "3")} -lt 4 ]`,
      `[[ $a == x* && -z $b ]]`,
      `[[ $a =~ ^x\\ +(.)$ ]]`,
      `(( ${this.number()} > 2 ))`,
      "! true",
      "false",
      `f ${this.word()} >/dev/null`,
    ]);
  }

  private statement(): string {
    if (this.depth > 2) return `echo ${this.word()}`;
    this.depth++;
    const text = this.pick([
      () => `echo ${this.word()} ${this.word()}`,
      () => `printf '<%s>' ${this.word()} ${this.word()}; echo`,
      () => `${this.pick(["a", "b"])}=${this.word().replace(/^\{m,n\}o$/, "k")}`,
      () => `c=$((c ${this.pick(["+", "*", "-"])} 2))`,
      () => `if ${this.test()}; then ${this.statement()}; else ${this.statement()}; fi`,
      () => `${this.test()} && ${this.statement()} || echo other`,
      () => `for i in ${this.word()} ${this.word()}; do echo "[$i]"; ${this.statement()}; done`,
      () =>
        `case ${this.word()} in x*) echo star;; "") echo none;; [a-m]?*) echo range;; *) echo rest;; esac`,
      () =>
        `n=0; while [ $n -lt 3 ]; do n=$((n+1)); [ $n -eq 2 ] && ${this.pick(["continue", "break", ":"])}; echo n$n; done`,
      () => `f ${this.word()} ${this.word()}; echo "=$?"`,
      () => `( c=99; ${this.statement()} ); echo "c=$c"`,
      () => `{ echo ${this.word()}; echo z; } | while read -r k l; do echo "$l|$k"; done`,
      () => `echo ${this.word()} | tr a-z A-Z | sed 's/X/_/'`,
      () => (this.depth > 1 ? "echo deep" : `cat <<E\n${this.expansion()} \\$a "q"\nE`),
      () => `IFS=${this.pick([":", "' y'", "''"])}; set -- $a; echo "$#/$*"; unset IFS`,
      () => `x=$(${this.statement()}); echo "$x" | wc -l | tr -d ' '`,
      () =>
        `local_${this.name()}() { local c=5 a; a="in $1"; echo "$a$c"; }; local_${this.name()} ${this.word()} 2>/dev/null`,
    ])();
    this.depth--;
    return text;
  }
}

const hasBash = spawnSync("bash", ["-c", "echo ${BASH_VERSINFO[0]}"], { encoding: "utf8" }).stdout === "5\n";

describe.skipIf(!hasBash)("programs from a seed", () => {
  test("run in bash and here alike", () => {
    for (let seed = 1; seed <= 120; seed++) {
      const text = new Maker(seed).program();
      const folder = mkdtempSync(join(tmpdir(), "shell-"));
      const real = spawnSync("bash", ["-s"], { input: text, cwd: folder, encoding: "utf8" });
      rmSync(folder, { recursive: true });
      const ours = run(text);
      expect({ seed, text, stdout: ours.stdout, status: ours.status }).toEqual({
        seed,
        text,
        stdout: real.stdout,
        status: real.status,
      });
    }
  });
});

test("ls: files first, then folders; a long listing is not modelled", () => {
  const { live } = new PageRun(loadPage("x.md", PAGE), { traces: false, recordRun: false });
  live.shell("m", "echo > /tmp/x; echo > b; ip netns add n");
  const { stdout, stderr, status } = live.shell("m", "ls /tmp none b /run/netns");
  expect(stdout).toBe("b\n\n/run/netns:\nn\n\n/tmp:\nx\n");
  expect(stderr).toBe("ls: cannot access 'none': No such file or directory\n");
  expect(status).toBe(2);
  expect(live.shell("m", "ls -1 /run/netns /run/netns/n").stdout).toBe("/run/netns/n\n\n/run/netns:\nn\n");
  expect(() => live.shell("m", "ls -l")).toThrow("not modelled: ls -l");
});

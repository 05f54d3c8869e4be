/** The shell language and its text utilities against what bash 5.2, coreutils, grep, sed and awk of Debian 12 print. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Machine } from "../../src/host/machine.ts";
import { sleep } from "../../src/host/process.ts";
import { Kernel } from "../../src/net/core/kernel.ts";
import { SkbPool } from "../../src/net/core/skb.ts";
import { parseShell } from "../../src/scenario/shell/parser.ts";
import { startChild } from "../../src/scenario/shell/place.ts";
import { Shell } from "../../src/scenario/shell/shell.ts";
import { ShellState } from "../../src/scenario/shell/state.ts";
import { Input, TextSink } from "../../src/scenario/shell/streams.ts";
import { ShellSyntaxError } from "../../src/scenario/shell/syntax-error.ts";
import { MS, SEC, Sim } from "../../src/sim/sim.ts";
import type { Tool } from "../../src/tools/tool.ts";
import { NotModelledError } from "../../src/util/errors.ts";
import { Prng } from "../../src/util/prng.ts";

/** Says where it runs, then takes as long as it is told. */
const where: Tool<number, number> = {
  name: "where",
  parse: (argv) => Number(argv[0] ?? 0),
  *run(ms) {
    yield* sleep(ms * MS);
    return ms;
  },
  render: (_result, ms, { ns, stdin }) => ({
    stdout: `${ns.name} ${ms} ${stdin}\n`,
    stderr: "",
    status: ms === 13 ? 4 : 0,
  }),
};

const inside: Tool<readonly string[], { stdout: string; stderr: string; status: number }> = {
  name: "inside",
  parse: (argv) => argv,
  *run(argv, context) {
    return yield* context.exec(argv, context.machine.netns("box"));
  },
  render: (result) => result,
};

function desk(files: Record<string, string> = {}) {
  const sim = new Sim();
  const kernel = new Kernel("m1", sim, new SkbPool(), new Prng(1, "t"), []);
  kernel.createNs("box", "/run/netns/box");
  const machine = new Machine("m1", kernel);
  const tools = new Map([
    ["where", where as Tool],
    ["inside", inside as Tool],
  ]);
  const place = { machine, ns: machine.hostNs, tools, files: new Map(Object.entries(files)) };
  const state = new ShellState();
  const run = (text: string) => {
    const out = new TextSink();
    const err = new TextSink();
    const script = parseShell(text);
    const io = { input: new Input(""), out, err };
    const child = startChild(place, "bash", place.ns, (process) =>
      new Shell(place, process, state).run(script, io),
    );
    while (child.process.exitStatus === null && sim.step());
    if (child.error !== null) throw child.error;
    return { stdout: out.text, stderr: err.text, status: child.process.exitStatus };
  };
  return { run, sim, place, machine };
}

interface Vectors {
  readonly file: string;
  readonly vectors: readonly { command: string; stdout: string; status: number }[];
}
const { file, vectors }: Vectors = JSON.parse(
  readFileSync(new URL("fixtures/shell-vectors.json", import.meta.url), "utf8"),
);

describe("command lines print what bash prints", () => {
  test.each(vectors.map((vector) => [vector.command, vector] as const))("%s", (command, {
    stdout,
    status,
  }) => {
    const result = desk({ s: file }).run(command);
    expect(result.stdout).toBe(stdout);
    expect(result.status).toBe(status);
  });
});

describe("processes", () => {
  test("a command takes its virtual time, a background job none of the prompt's", () => {
    const { run, sim } = desk();
    run("where 500");
    const after = sim.now;
    expect(Math.floor(after / MS)).toBe(501);
    run("where 1000 &");
    expect(sim.now).toBe(after);
    expect(run("wait").stdout).toBe("");
    expect(Math.floor(sim.now / MS)).toBe(1502);
  });

  test("jobs run at the same time", () => {
    const { run, sim } = desk();
    const { stdout } = run("for i in 30 20 10; do where $i & done; wait");
    expect(stdout).toBe("host 10 \nhost 20 \nhost 30 \n");
    expect(Math.floor(sim.now / MS)).toBe(31);
  });

  test("timeout ends a command and says so by its status", () => {
    const { run, sim } = desk();
    expect(run("timeout 2 where 9000; echo $?").stdout).toBe("124\n");
    expect(sim.now).toBe(2 * SEC);
    expect(run("timeout 2 where 1; echo $?").stdout).toBe("host 1 \n0\n");
  });

  test("kill ends a job", () => {
    const { run, sim } = desk();
    expect(run("where 60000 & kill $!; wait $!; echo $?").stdout).toBe("143\n");
    expect(sim.now).toBeLessThan(SEC);
  });

  test("a tool runs other words in another namespace, with the shell's language", () => {
    const { run } = desk();
    expect(run("echo in | inside where 1").stdout).toBe("box 1 in\n\n");
    expect(run("inside sh -c 'where 2 | cut -c1-3; exit 9'; echo $?").stdout).toBe("box\n9\n");
    expect(run("inside nosuch").stderr).toBe("bash: nosuch: command not found\n");
  });

  test("sudo changes nothing, hostname and date come from the lab", () => {
    const { run } = desk();
    expect(run("sudo hostname; date; date +%T").stdout).toBe("m1\nSat Nov 21 04:00:00 UTC 2026\n04:00:00\n");
  });
});

describe("refusals", () => {
  test("an unknown command is 127 with bash's words", () => {
    expect(desk().run("foo bar")).toEqual({
      stdout: "",
      stderr: "bash: foo: command not found\n",
      status: 127,
    });
  });

  test("a command that exists in reality is not modelled", () => {
    expect(() => desk().run("tc qdisc")).toThrow(NotModelledError);
  });

  test.each([
    ["f() { f; }; f", "bash: f: maximum function nesting level exceeded (200)\n"],
    ["seq 1 100000000 | wc -l", "seq: more than 1000000 numbers were refused\n"],
    ["echo 1 2 | xargs -n 0 echo", "xargs: value 0 for -n option should be >= 1\n"],
  ])("%s comes to an end", (text, stderr) => {
    expect(desk().run(text).stderr).toBe(stderr);
  });

  test.each([
    ["echo 'a", 5, "unexpected EOF while looking for matching `''"],
    ['echo "a', 5, "unexpected EOF while looking for matching `\"'"],
    ["echo a | | b", 9, "syntax error near unexpected token `|'"],
    ["for i in 1; echo; done", 12, "syntax error near unexpected token `echo'"],
    ["echo a )", 7, "syntax error near unexpected token `)'"],
    ["if true; then echo", 18, "syntax error: unexpected end of file"],
    ["done", 0, "syntax error near unexpected token `done'"],
    ["echo >", 6, "syntax error near unexpected token `newline'"],
    ["echo $(echo 'x)", 7, "unexpected EOF while looking for matching `)'"],
  ])("%s is a syntax error at its place", (text, offset, message) => {
    try {
      parseShell(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ShellSyntaxError);
      expect((error as ShellSyntaxError).message).toBe(`bash: ${message}`);
      expect((error as ShellSyntaxError).offset).toBe(offset);
    }
  });
});

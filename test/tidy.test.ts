/** The house rules that a machine can check: layers, names, sizes, words. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const MAX_LINES = 400;
const MAX_FUNCTION_LINES = 60;

/** Folders from the bottom to the top; those of one row may not import each other unless they are mutually known. */
const LAYERS: readonly (readonly string[])[] = [
  ["util"],
  ["wire", "sim"],
  ["net/core"],
  ["net/ipv4"],
  ["net/bridge", "net/drivers", "net/netfilter", "net/ipvs", "net/xfrm"],
  ["net/ctl"],
  ["host", "capture"],
  ["swarm"],
  ["tools"],
  ["lab.ts"],
  ["scenario"],
  ["index.ts", "cli", "web"],
];

interface Source {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
}

function sources(folder: string): Source[] {
  const found: Source[] = [];
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) found.push(...sources(path));
    else if (path.endsWith(".ts")) {
      const text = readFileSync(join(ROOT, path), "utf8");
      found.push({ path, text, lines: text.split("\n") });
    }
  }
  return found;
}

const SRC = sources("src");
const TEST = sources("test");

/** Row of a file in LAYERS; -1 when its folder is in none. */
function layerOf(path: string): number {
  const inside = path.replace(/^src\//, "");
  return LAYERS.findIndex((row) =>
    row.some((folder) => inside === folder || inside.startsWith(`${folder}/`)),
  );
}

function imports({ path, text }: Source): string[] {
  return [...text.matchAll(/^\s*(?:import|export)\b[^;]*?from\s+"(\.[^"]+)"/gm)].map((match) =>
    relative(ROOT, resolve(ROOT, dirname(path), match[1])),
  );
}

/** The code without comments and the insides of strings. */
function bare(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .replace(/("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')/g, '""')
    .replace(/(^|[^:])\/\/.*$/gm, "$1");
}

/** Functions longer than allowed: a line that opens a function body and closes it at the same indent. */
function longFunctions({ path, lines }: Source): string[] {
  const long: string[] = [];
  lines.forEach((line, start) => {
    const opens =
      /^(\s*)(?:export |private |static |async |get |set |function|\*|[a-zA-Z_]\w*[(<]).*\{\s*$/.exec(line);
    const isFunction = /\bfunction\b/.test(line) || /\)\s*(?::[^=]*)?\{\s*$/.test(line);
    if (
      opens === null ||
      !isFunction ||
      /^\s*(?:if|for|while|switch|else|do|return|describe|it)\b/.test(line)
    )
      return;
    const end = lines.findIndex((other, i) => i > start && new RegExp(`^${opens[1]}}[,;)]*$`).test(other));
    if (end - start + 1 > MAX_FUNCTION_LINES) long.push(`${path}:${start + 1} (${end - start + 1} lines)`);
  });
  return long;
}

function hits(
  files: readonly Source[],
  pattern: RegExp,
  view: (text: string) => string = (text) => text,
): string[] {
  return files.flatMap(({ path, text }) =>
    view(text)
      .split("\n")
      .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim().slice(0, 80)}`] : [])),
  );
}

const LIBRARY = SRC.filter(({ path }) => !path.startsWith("src/cli/"));

describe("the layers", () => {
  it("have a place for every file", () => {
    expect(SRC.filter(({ path }) => layerOf(path) < 0).map(({ path }) => path)).toEqual([]);
  });

  it("import only downward", () => {
    const upward = SRC.flatMap((source) =>
      imports(source)
        .filter((target) => layerOf(target) > layerOf(source.path))
        .map((target) => `${source.path} -> ${target}`),
    );
    expect(upward).toEqual([]);
  });
});

describe("a source file", () => {
  it("is named in kebab-case", () => {
    const bad = [...SRC, ...TEST].filter(
      ({ path }) => !/^[a-z0-9-]+(\.test|\.config)?\.ts$/.test(path.split("/").at(-1)!),
    );
    expect(
      bad.map(({ path }) => path).filter((path) => !/test\/truth\//.test(path) && !/\/S\d+/.test(path)),
    ).toEqual([]);
  });

  it("has fewer than 400 lines", () => {
    const long = SRC.filter(({ lines }) => lines.length > MAX_LINES);
    expect(long.map(({ path, lines }) => `${path} (${lines.length} lines)`)).toEqual([]);
  });

  it("opens with a comment", () => {
    expect(SRC.filter(({ text }) => !text.startsWith("/**")).map(({ path }) => path)).toEqual([]);
  });

  it("has no function of more than 60 lines", () => {
    expect(SRC.flatMap(longFunctions)).toEqual([]);
  });
});

describe("the library", () => {
  it("knows no platform: no clock, no chance, no console, no node modules, no async", () => {
    const platform = /\bDate\b|Math\.random|\bconsole\.|\basync\b|\bawait\b/;
    expect(hits(LIBRARY, platform, bare)).toEqual([]);
    expect(hits(LIBRARY, /from "node:|require\(/)).toEqual([]);
  });

  it("has no default exports", () => {
    expect(hits(SRC, /\bexport default\b/, bare)).toEqual([]);
  });
});

describe("comments and texts", () => {
  it("leave nothing to do", () => {
    expect(hits(SRC, /\bTODO\b|\bFIXME\b|\bXXX\b/)).toEqual([]);
  });

  it("name no machine's paths and no way of working", () => {
    const words = [
      "/wo" + "rk/",
      "/tmp/" + "mw",
      "\\bprom" + "pt injection",
      "\\bClau" + "de\\b",
      "\\bAn" + "thropic\\b",
    ];
    expect(hits([...SRC, ...TEST], new RegExp(words.join("|")))).toEqual([]);
    const own = TEST.filter(({ path }) => path !== "test/tidy.test.ts");
    expect(hits([...SRC, ...own], /\bsessions?\b|\bissue #?\d/i)).toEqual([]);
  });
});

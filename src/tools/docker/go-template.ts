/**
 * Go templates as far as `--format` uses them (text/template): fields, variables, range, if, with, the functions json,
 * len, index, join, upper, lower, title, print, println, printf, eq, ne and not. Data are plain objects and arrays, and
 * what JSON leaves out because it is empty (`omitempty` in api/types) is there for a template, as nil.
 */
import { UsageError } from "../../util/errors.ts";

type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "pipe"; readonly words: string }
  | {
      readonly kind: "block";
      readonly head: string;
      readonly words: string;
      readonly body: Node[];
      readonly other: Node[];
    };

interface Scope {
  readonly dot: unknown;
  readonly root: unknown;
  readonly vars: Map<string, unknown>;
}

const NIL_LIST: readonly unknown[] = Object.freeze([]);
const NIL_MAP = Object.freeze({});

/** The fields that inspect leaves out when they are empty, and what a template sees of them then. */
const OMITTED: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ...["Ports", "VirtualIPs", "Networks", "Args", "Env", "Constraints", "Preferences", "Platforms"].map(
    (name) => [name, NIL_LIST] as const,
  ),
  ...["Labels", "Options", "Services"].map((name) => [name, NIL_MAP] as const),
  ...["PreviousSpec", "UpdateStatus", "ManagerStatus", "UpdateConfig", "RollbackConfig"].map(
    (name) => [name, undefined] as const,
  ),
]);

/** The text that `template` makes of `data`. UsageError with the words of Docker when it cannot. */
export function renderTemplate(template: string, data: unknown): string {
  const tokens = template.split(/(\{\{-?.*?-?\}\})/s);
  const position = { at: 0 };
  const nodes = parse(trimmed(tokens), position, false);
  return run(nodes, { dot: data, root: data, vars: new Map() });
}

function fail(text: string): never {
  throw new UsageError(`template parsing error: template: :1: ${text}\n`, 1);
}

/** `{{-` and `-}}` eat the white space on their side. */
function trimmed(tokens: readonly string[]): string[] {
  return tokens.map((token, i) => {
    if (token.startsWith("{{") && token.endsWith("}}")) return token;
    let text = token;
    if (tokens[i - 1]?.endsWith("-}}")) text = text.trimStart();
    if (tokens[i + 1]?.startsWith("{{-")) text = text.trimEnd();
    return text;
  });
}

function parse(tokens: readonly string[], position: { at: number }, inBlock: boolean): Node[] {
  const nodes: Node[] = [];
  while (position.at < tokens.length) {
    const token = tokens[position.at];
    if (!(token.startsWith("{{") && token.endsWith("}}"))) {
      if (token.includes("{{")) fail("unclosed action");
      nodes.push({ kind: "text", text: token });
      position.at++;
      continue;
    }
    const words = token
      .replace(/^\{\{-?/, "")
      .replace(/-?\}\}$/, "")
      .trim();
    const head = words.split(/\s+/)[0];
    if (head === "end" || head === "else") {
      if (!inBlock) fail(`unexpected {{${head}}}`);
      return nodes;
    }
    position.at++;
    if (words.startsWith("/*") && words.endsWith("*/")) continue;
    if (head !== "range" && head !== "if" && head !== "with") {
      nodes.push({ kind: "pipe", words });
      continue;
    }
    nodes.push(parseBlock(head, words, tokens, position));
  }
  if (inBlock) fail("unexpected EOF");
  return nodes;
}

/** What stands between `range`, `if` or `with` and its `end`; `{{else if X}}` opens a block that ends with the outer one. */
function parseBlock(head: string, words: string, tokens: readonly string[], position: { at: number }): Node {
  const body = parse(tokens, position, true);
  let other: Node[] = [];
  const otherwise = /^\{\{-?\s*else\s*(.*?)\s*-?\}\}$/s.exec(tokens[position.at] ?? "");
  if (otherwise !== null) {
    position.at++;
    const chained = otherwise[1];
    if (chained !== "")
      return {
        kind: "block",
        head,
        words: rest(words, head),
        body,
        other: [chain(chained, tokens, position)],
      };
    other = parse(tokens, position, true);
  }
  if (position.at >= tokens.length) fail("unexpected EOF");
  position.at++;
  return { kind: "block", head, words: rest(words, head), body, other };
}

function chain(words: string, tokens: readonly string[], position: { at: number }): Node {
  const head = words.split(/\s+/)[0];
  if (head !== "if" && head !== "with") fail(`unexpected <${head}> in else`);
  return parseBlock(head, words, tokens, position);
}

function rest(words: string, head: string): string {
  return words.slice(head.length).trim();
}

function run(nodes: readonly Node[], scope: Scope): string {
  let text = "";
  for (const node of nodes) {
    if (node.kind === "text") text += node.text;
    else if (node.kind === "pipe") text += runPipe(node.words, scope);
    else text += runBlock(node, scope);
  }
  return text;
}

function runPipe(words: string, scope: Scope): string {
  const assign = /^(\$\w+)\s*:?=\s*(.*)$/s.exec(words);
  if (assign === null) return goText(evaluate(words, scope));
  scope.vars.set(assign[1], evaluate(assign[2], scope));
  return "";
}

function runBlock(node: Node & { kind: "block" }, scope: Scope): string {
  const assign = /^(\$\w+)(?:\s*,\s*(\$\w+))?\s*:=\s*(.*)$/s.exec(node.words);
  const value = evaluate(assign?.[3] ?? node.words, scope);
  if (node.head !== "range") {
    const inner = node.head === "with" ? { ...scope, dot: value } : scope;
    if (assign !== null) inner.vars.set(assign[1], value);
    return run(truthy(value) ? node.body : node.other, truthy(value) ? inner : scope);
  }
  const entries = entriesOf(value);
  if (entries.length === 0) return run(node.other, scope);
  return entries
    .map(([key, item]) => {
      const vars = new Map(scope.vars);
      if (assign?.[2] !== undefined) vars.set(assign[1], key).set(assign[2], item);
      else if (assign !== null) vars.set(assign[1], item);
      return run(node.body, { ...scope, dot: item, vars });
    })
    .join("");
}

function entriesOf(value: unknown): [unknown, unknown][] {
  if (Array.isArray(value)) return value.map((item, i) => [i, item]);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

function truthy(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return entriesOf(value).length > 0;
  return value !== undefined && value !== null && value !== false && value !== 0 && value !== "";
}

/** Words of an expression: strings, parenthesised parts, pipes and plain words. */
function tokenize(text: string): string[] {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"?|`[^`]*`|\(|\)(?:\.[\w.]+)?|\||[^\s()|]+/g) ?? [];
  const out: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] !== "(") {
      out.push(tokens[i]);
      continue;
    }
    let depth = 1;
    let j = i + 1;
    while (j < tokens.length && depth > 0) {
      if (tokens[j] === "(") depth++;
      if (tokens[j].startsWith(")")) depth--;
      j++;
    }
    if (depth > 0) fail("unclosed left paren");
    // What stands behind it picks a field: `(index .Ports 0).HostPort`.
    out.push(`(${tokens.slice(i + 1, j - 1).join(" ")}${tokens[j - 1]}`);
    i = j - 1;
  }
  return out;
}

function evaluate(text: string, scope: Scope): unknown {
  let piped: unknown[] = [];
  let words: string[] = [];
  const finish = (): void => {
    if (words.length === 0) fail("missing value for command");
    piped = [call(words, scope, piped)];
    words = [];
  };
  for (const token of tokenize(text)) {
    if (token === "|") finish();
    else words.push(token);
  }
  finish();
  return piped[0];
}

function call(words: readonly string[], scope: Scope, piped: readonly unknown[]): unknown {
  const fn = Object.hasOwn(FUNCTIONS, words[0]) ? FUNCTIONS[words[0]] : undefined;
  if (fn === undefined) {
    if (/^[a-zA-Z]/.test(words[0]) && words[0] !== "true" && words[0] !== "false" && words[0] !== "nil")
      fail(`function "${words[0]}" not defined`);
    return operand(words[0], scope);
  }
  return fn([...words.slice(1).map((word) => operand(word, scope)), ...piped]);
}

function operand(word: string, scope: Scope): unknown {
  if (word.startsWith("(")) {
    const end = word.lastIndexOf(")");
    const path = word.slice(end + 2).split(".");
    return path.filter((part) => part !== "").reduce(field, evaluate(word.slice(1, end), scope));
  }
  if (word.startsWith('"')) return unquoted(word);
  if (word.startsWith("`")) return word.slice(1, -1);
  if (/^-?\d+$/.test(word)) return Number(word);
  if (word === "true") return true;
  if (word === "false") return false;
  if (word === "nil") return null;
  if (word.startsWith("$")) {
    const [name, ...path] = word.split(".");
    return path.reduce(field, name === "$" ? scope.root : scope.vars.get(name));
  }
  if (word.startsWith("."))
    return word
      .slice(1)
      .split(".")
      .filter((part) => part !== "")
      .reduce(field, scope.dot);
  return fail(`function "${word}" not defined`);
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
};

/** An interpreted string of Go. */
function unquoted(word: string): string {
  if (word.length < 2 || !word.endsWith('"') || word.includes("\n")) fail("unterminated quoted string");
  return word
    .slice(1, -1)
    .replace(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([0-7]{3})|(.))/g, (_, hex2, hex4, octal, letter) => {
      if (letter !== undefined)
        return ESCAPES[letter] ?? (letter === '"' || letter === "\\" ? letter : fail(`bad string ${word}`));
      return String.fromCharCode(
        octal === undefined ? Number.parseInt(hex2 ?? hex4, 16) : Number.parseInt(octal, 8),
      );
    });
}

function field(value: unknown, name: string): unknown {
  if (value === null || value === undefined) return value;
  if (typeof value !== "object" || Array.isArray(value)) return fail(`can't evaluate field ${name}`);
  const record = value as Record<string, unknown>;
  if (!Object.hasOwn(record, name) && OMITTED.has(name)) return OMITTED.get(name);
  if (!Object.hasOwn(record, name))
    throw new UsageError(
      `template: :1:2: executing "" at <.${name}>: map has no entry for key "${name}"\n`,
      1,
    );
  return record[name];
}

const FUNCTIONS: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
  json: ([value]) =>
    value === undefined || value === NIL_LIST || value === NIL_MAP ? "null" : JSON.stringify(value),
  len: ([value]) => (typeof value === "string" ? value.length : entriesOf(value).length),
  index: ([value, ...keys]) =>
    keys.reduce(
      (at, key) => (at === null || at === undefined ? at : (at as Record<string, unknown>)[String(key)]),
      value,
    ),
  join: ([list, separator]) =>
    Array.isArray(list)
      ? list.map(goText).join(String(separator))
      : fail(`wrong type for value; expected []string; got ${typeof list}`),
  split: ([text, separator]) => String(text).split(String(separator)),
  upper: ([text]) => String(text).toUpperCase(),
  lower: ([text]) => String(text).toLowerCase(),
  title: ([text]) => String(text).replace(/\b[a-z]/g, (c) => c.toUpperCase()),
  print: (args) => args.map(goText).join(""),
  println: (args) => `${args.map(goText).join(" ")}\n`,
  printf: ([format, ...args]) => {
    let i = 0;
    return String(format).replace(/%[svdq]/g, (verb) =>
      verb === "%q" ? JSON.stringify(args[i++]) : goText(args[i++]),
    );
  },
  eq: ([a, ...rest]) => rest.some((b) => a === b),
  ne: ([a, b]) => a !== b,
  not: ([value]) => !truthy(value),
  and: (args) => args.find((value) => !truthy(value)) ?? args.at(-1),
  or: (args) => args.find(truthy) ?? args.at(-1),
};

/** A value as fmt.Print writes it. */
function goText(value: unknown): string {
  if (value === undefined || value === null) return "<no value>";
  if (Array.isArray(value)) return `[${value.map(goText).join(" ")}]`;
  if (typeof value === "object")
    return `map[${entriesOf(value)
      .map(([k, v]) => `${k}:${goText(v)}`)
      .join(" ")}]`;
  return String(value);
}

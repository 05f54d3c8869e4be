/**
 * Command lines of a case as few scripts: what `ip`, `bridge` and `iptables` would do in many processes their batch forms
 * do in one, and parameters are written by the shell itself. Ends at the first command that fails.
 */
import type { Command } from "./case.ts";

/** Neighbouring commands of one namespace. */
export interface Script {
  readonly ns: string;
  readonly text: string;
}

const SYSCTL = /^sysctl -qw ([\w./-]+)=(.*)$/;
const IPTABLES = /^iptables (?:-t (\w+) )?(?:-N (\S+)|-P (\S+ \S+)|(-A .*))$/;

/** Groups command lines; `expand` puts in what a line says about other namespaces. */
export function scripts(commands: readonly Command[], expand: (line: string) => string): Script[] {
  const made: Script[] = [];
  for (let i = 0; i < commands.length; ) {
    const { ns } = commands[i];
    const lines: string[] = [];
    while (i < commands.length && commands[i].ns === ns) lines.push(expand(commands[i++].run));
    made.push({ ns, text: `set -e\n${scriptOf(lines)}` });
  }
  return made;
}

function scriptOf(lines: readonly string[]): string {
  const parts: string[] = [];
  for (let i = 0; i < lines.length; ) {
    const kind = kindOf(lines[i]);
    const first = i;
    while (i < lines.length && kindOf(lines[i]) === kind) i++;
    parts.push(BATCHES[kind](lines.slice(first, i)));
  }
  return parts.join("\n");
}

type Kind = "ip" | "bridge" | "sysctl" | "iptables" | "other";

function kindOf(line: string): Kind {
  if (line.startsWith("ip ")) return "ip";
  if (line.startsWith("bridge ")) return "bridge";
  if (SYSCTL.test(line)) return "sysctl";
  return IPTABLES.test(line) ? "iptables" : "other";
}

const batch = (tool: string) => (lines: readonly string[]) =>
  `${tool} -batch - <<'END'\n${lines.map((line) => line.slice(tool.length + 1)).join("\n")}\nEND`;

const BATCHES: Readonly<Record<Kind, (lines: readonly string[]) => string>> = {
  ip: batch("ip"),
  bridge: batch("bridge"),
  sysctl: (lines) => lines.map(parameter).join("\n"),
  iptables: (lines) => `iptables-legacy-restore --noflush <<'END'\n${restoreText(lines)}END`,
  other: (lines) => lines.join("\n"),
};

function parameter(line: string): string {
  const [, name, value] = SYSCTL.exec(line)!;
  return `echo '${value}' > /proc/sys/${name.replaceAll(".", "/")}`;
}

/** The tables in the order of their first command; chains before rules. */
function restoreText(lines: readonly string[]): string {
  const tables = new Map<string, { chains: string[]; rules: string[] }>();
  for (const line of lines) {
    const [, table = "filter", chain, policy, rule] = IPTABLES.exec(line)!;
    const { chains, rules } = tables.get(table) ?? { chains: [], rules: [] };
    tables.set(table, { chains, rules });
    if (chain !== undefined) chains.push(`:${chain} - [0:0]`);
    else if (policy !== undefined) chains.push(`:${policy} [0:0]`);
    else rules.push(rule);
  }
  return [...tables]
    .map(([table, { chains, rules }]) => `*${table}\n${[...chains, ...rules, "COMMIT"].join("\n")}\n`)
    .join("");
}

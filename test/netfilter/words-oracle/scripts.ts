/** Some commands one after the other in a fresh namespace, from a seed: plain data, so that a script is a line of a file. */
import { Prng } from "../../../src/util/prng.ts";
import { randomRule } from "./rule.ts";

export interface Step {
  readonly run: "iptables" | "iptables-save" | "iptables-restore";
  readonly argv: readonly string[];
  /** Standard input. */
  readonly input?: string;
}

export type Script = readonly Step[];

const TABLES = ["filter", "filter", "filter", "nat", "mangle", "raw"];
const CHAINS: Readonly<Record<string, readonly string[]>> = {
  filter: ["INPUT", "FORWARD", "OUTPUT"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  raw: ["PREROUTING", "OUTPUT"],
};

/** Right rules, without quotes. */
const RULES = [
  "-p tcp --dport 80 -j ACCEPT",
  "-s 10.0.0.0/8 -j DROP",
  "-p udp -m multiport --dports 53,67:68 -j ACCEPT",
  "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  "-j UC",
  "-g UC",
  "-j UC2 -m mark --mark 1",
  "-i eth0 -j RETURN",
  "-j LOG --log-prefix pre: --log-level 6",
  "-d 1.2.3.4,5.6.7.8 -j ACCEPT",
  "! -s 10.0.0.0/8 ! -p tcp -j ACCEPT",
  "-p tcp --tcp-flags SYN,ACK SYN -j REJECT --reject-with tcp-reset",
  "-f -j DROP",
  "-m limit --limit 5/min -j ACCEPT",
  "-p gre",
  "-s 127.0.0.1 -d 127.0.0.0/8",
  "",
];
const NAMES = ["INPUT", "FORWARD", "OUTPUT", "UC", "UC2"];
const ODD_NAMES = [
  "NOPE",
  "",
  "PREROUTING",
  "-A",
  "!x",
  "ACCEPT",
  "LOG",
  "x".repeat(28),
  "x".repeat(29),
  "a b",
];
const RULE_NUMBERS = ["1", "2", "9", "0", "-1", "foo", "", "1.5", "0x1", "99999999999"];
const COUNTERS = [
  "1 2",
  "99999 100000",
  "100499 100500",
  "9999499 9999500",
  "999949999 9999999999",
  "1,2",
  "x 1",
  "1",
];
const FLAGS = ["-v", "-n", "-x", "--line-numbers", "-w", "-4", "-vn", "-nvx", "-w 5", "-W 5", "-6"];
const MISTAKES = [
  "",
  "-j ACCEPT",
  "foo",
  "-A",
  "-A INPUT foo",
  "-A INPUT !",
  "-A INPUT ! ! -s 1.1.1.1",
  "! -A INPUT",
  "-t foo -L",
  "-nq -L",
  "-qn -L",
  "-A INPUT -s",
  "-A INPUT -- foo",
  "! -V",
  "-L -b",
  "-A INPUT -t nat -j DROP",
  "-A INPUT -j ACCEPT -j DROP",
  "-W 9999999 -L",
  "-A INPUT --s 1.1.1.1",
  "-A INPUT -j NOPE",
  "-A INPUT -m NOPE",
  "-A INPUT -p tcp --dport",
  "-A INPUT -p tcp -dport 80",
  "-A INPUT -p 47 --dport 80",
  "-A INPUT -ptcp",
  "-A INPUT --protocol=tcp",
  "-A INPUT -ieth0",
  "-A INPUT -jACCEPT",
  "-L -Z -S",
  "-F -X",
  "-S -Z INPUT 1",
];

const words = (text: string): string[] => (text === "" ? [] : text.split(" "));
const chance = (prng: Prng, one: number): boolean => prng.below(one) === 0;

function chainName(prng: Prng): string {
  return chance(prng, 6) ? prng.pick(ODD_NAMES) : prng.pick(NAMES);
}

/** A command of any kind. */
function command(prng: Prng): string[] {
  const chain = chainName(prng);
  const rule = words(prng.pick(RULES));
  const number = prng.pick(RULE_NUMBERS);
  const maybe = (argv: string[]): string[] => (chance(prng, 2) ? argv : []);
  switch (prng.pick(["A", "I", "D", "R", "C", "L", "S", "F", "Z", "N", "X", "E", "P", "bad"])) {
    case "A":
      return ["-A", chain, ...rule, ...(chance(prng, 3) ? ["-c", ...words(prng.pick(COUNTERS))] : [])];
    case "I":
      return ["-I", chain, ...maybe([number]), ...rule];
    case "D":
      return chance(prng, 2) ? ["-D", chain, number] : ["-D", chain, ...rule];
    case "R":
      return ["-R", chain, number, ...rule];
    case "C":
      return ["-C", chain, ...rule];
    case "L":
    case "S":
      return [prng.pick(["-L", "-S", "-nL", "-vL", "-vS"]), ...maybe([chain, ...maybe([number])])];
    case "F":
    case "X":
      return [prng.pick(["-F", "-X"]), ...maybe([chain])];
    case "Z":
      return ["-Z", ...maybe([chain, ...maybe([number])])];
    case "N":
      return ["-N", chain];
    case "E":
      return ["-E", chain, chainName(prng)];
    case "P":
      return ["-P", chain, prng.pick(["ACCEPT", "DROP", "REJECT", "accept", "UC", ""])];
    default:
      return words(prng.pick(MISTAKES));
  }
}

const LINES = [
  "# comment",
  "",
  "  ",
  "COMMIT ",
  "foo",
  "*nat",
  "-D INPUT 1",
  "-F UC",
  "-N UC3",
  "-E UC UC4",
  '-A INPUT -m comment --comment "a b" -j ACCEPT',
  '-A INPUT -m comment --comment "a b"-j ACCEPT',
  '-A INPUT -m comment --comment "a\\"b" -j ACCEPT',
  '-A INPUT -m comment --comment "" -j ACCEPT',
  "-A INPUT   -j\tACCEPT  ",
  "-A INPUT -j ACCEPT # x",
  "-A INPUT -t nat -j ACCEPT",
  "-A INPUT -w -j ACCEPT",
  "-A INPUT -6 -j ACCEPT",
  "-A INPUT -j NOPE",
  "-A INPUT -j DNAT --to-destination 1.1.1.1",
  "-A INPUT --bogus",
  "-S",
  "-A UC -j UC2",
  "-A UC2 -j UC",
];

function restoreLine(prng: Prng): string {
  const rule = `-A ${chainName(prng)} ${prng.pick(RULES)}`;
  switch (prng.below(8)) {
    case 0:
    case 1:
      return prng.pick(LINES);
    case 2:
      return `${prng.pick(["[1:2] ", "[1:2", "[12] ", "[a:b] ", "[] ", "[1:2:3] ", "[100000:123456789] "])}${rule}`;
    case 3:
      return `:${chainName(prng)} ${prng.pick(["ACCEPT", "DROP", "-", "-", "FOO", ""])} ${prng.pick(["[0:0]", "[1:2]", "", "[1]"])}`;
    default:
      return rule;
  }
}

function restore(prng: Prng): Step {
  const lines = [`*${prng.pick(["filter", "filter", "filter", "nat", "foo", "filter x"])}`];
  if (!chance(prng, 3)) lines.push(":UC - [0:0]", ":UC2 - [3:4]");
  for (let left = prng.below(5); left > 0; left--) lines.push(restoreLine(prng));
  if (!chance(prng, 12)) lines.push("COMMIT");
  if (chance(prng, 6)) lines.push("*mangle", prng.pick([":OUTPUT DROP [7:8]", "-A NOPE"]), "COMMIT");
  const flags = [
    "",
    "",
    "-n",
    "-c",
    "-t",
    "-v",
    "-n -c",
    "-T filter",
    "-T nat",
    "-w -W 5",
    "-b",
    "--bogus",
    "/none",
  ];
  const argv = words(prng.pick(flags));
  return { run: "iptables-restore", argv, input: `${lines.join("\n")}${chance(prng, 20) ? "" : "\n"}` };
}

function ruleScript(prng: Prng): Step[] {
  const table = prng.pick(TABLES);
  const chain = chance(prng, 16)
    ? prng.pick(["UC", "NOPE", "INPUT", "OUTPUT", ""])
    : prng.pick(CHAINS[table]);
  const rule = randomRule(prng, table);
  const run = (...argv: string[]): Step => ({ run: "iptables", argv: ["-t", table, ...argv] });
  const again = prng.pick(["-C", "-D", "-I"]);
  return [
    run("-N", "UC"),
    run("-A", chain, ...rule),
    run("-S", chain === "" ? "UC" : chain),
    run("-nvL", chain === "" ? "UC" : chain),
    run("-L", chain === "" ? "UC" : chain),
    ...(chance(prng, 5) ? [run(again, chain, ...rule)] : []),
  ];
}

function commandScript(prng: Prng): Step[] {
  const run = (argv: string[]): Step => ({ run: "iptables", argv });
  const steps = chance(prng, 3) ? [] : [run(["-N", "UC"]), run(["-N", "UC2"])];
  for (let left = 1 + prng.below(2); left > 0; left--)
    steps.push(run(["-A", prng.pick(NAMES), ...words(prng.pick(RULES))]));
  for (let left = 1 + prng.below(4); left > 0; left--) {
    if (chance(prng, 3)) steps.push(restore(prng));
    else steps.push(run([...command(prng), ...(chance(prng, 3) ? words(prng.pick(FLAGS)) : [])]));
  }
  return [...steps, { run: "iptables-save", argv: ["-c"] }, run(["-vL", "--line-numbers"])];
}

/** One rule in many ways, or many commands. */
export function randomScript(seed: number): Script {
  const prng = new Prng(seed, "iptables-words");
  return prng.below(3) === 0 ? commandScript(prng) : ruleScript(prng);
}

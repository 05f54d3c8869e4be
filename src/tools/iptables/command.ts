/**
 * The command language of iptables 1.8.9 legacy (iptables/iptables.c do_command4, iptables/xshared.c): words to one
 * command. Options of rules and extensions are read by `net/netfilter/words`.
 */

import { problem } from "../../net/netfilter/words/extension.ts";
import { Getopt, type LongOption, type Opt } from "../../net/netfilter/words/getopt.ts";
import { parseNumber } from "../../net/netfilter/words/names.ts";
import { refuse } from "../../net/netfilter/words/parse-rule.ts";
import { isTargetName } from "../../net/netfilter/words/registry.ts";
import { type ParsedRule, RULE_LONG, RuleParser } from "../../net/netfilter/words/rule-parser.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";

/** Letter of a command. */
export type CommandLetter = "A" | "C" | "D" | "R" | "I" | "L" | "S" | "F" | "Z" | "N" | "X" | "E" | "P";

export interface IptablesCommand {
  /** "V": only the version is asked. */
  readonly letter: CommandLetter | "V";
  readonly table: string;
  /** null where none was given. */
  readonly chain: string | null;
  /** Number of a rule from 1, 0 when none was given. */
  readonly ruleNumber: number;
  /** New name of -E, policy of -P. */
  readonly second: string;
  readonly rule: ParsedRule;
  readonly inIface: string;
  readonly outIface: string;
  /** The word behind -j or -g, and which. */
  readonly jumpTo: string | null;
  readonly isGoto: boolean;
  readonly verbose: boolean;
  readonly numeric: boolean;
  readonly exact: boolean;
  readonly lineNumbers: boolean;
  /** What goes to stderr though nothing is refused. */
  readonly warnings: string;
  /** -Z with -L or -S. */
  readonly zero: boolean;
  /** Number of the rule that -Z is about. */
  readonly zeroNumber: number | null;
  /** A `!` stood before -V. */
  readonly inverted: boolean;
}

const SHORT = "A:C:D:R:I:L::S::M:F::Z::N:X::E:P:Vh::o:p:s:d:j:i:fbvw::W::nt:m:xc:g:46";

const option = (name: string, arg: LongOption["arg"], key: string): LongOption => ({ name, arg, key });

const LONG: readonly LongOption[] = [
  option("append", "required", "A"),
  option("delete", "required", "D"),
  option("check", "required", "C"),
  option("insert", "required", "I"),
  option("replace", "required", "R"),
  option("list", "optional", "L"),
  option("list-rules", "optional", "S"),
  option("flush", "optional", "F"),
  option("zero", "optional", "Z"),
  option("new-chain", "required", "N"),
  option("delete-chain", "optional", "X"),
  option("rename-chain", "required", "E"),
  option("policy", "required", "P"),
  ...RULE_LONG,
  option("table", "required", "t"),
  option("numeric", "none", "n"),
  option("verbose", "none", "v"),
  option("wait", "optional", "w"),
  option("wait-interval", "optional", "W"),
  option("exact", "none", "x"),
  option("version", "none", "V"),
  option("help", "optional", "h"),
  option("line-numbers", "none", "0"),
  option("modprobe", "required", "M"),
  option("ipv4", "none", "4"),
  option("ipv6", "none", "6"),
];

const RULE_COMMANDS = "IDRAC";

/** Commands that an option may stand with; in the order of the check. */
const ALLOWED: readonly (readonly [string, string])[] = [
  ["n", "L"],
  ["s", RULE_COMMANDS],
  ["d", RULE_COMMANDS],
  ["p", RULE_COMMANDS],
  ["j", RULE_COMMANDS],
  ["x", "L"],
  ["i", RULE_COMMANDS],
  ["o", RULE_COMMANDS],
  ["0", "L"],
  ["c", "IRAP"],
  ["f", RULE_COMMANDS],
];

const MAX_CHAIN_NAME = 29;

/** Bad words, after warnings were given. */
export class WarnedError extends UsageError {
  readonly warnings: string;
  constructor(error: UsageError, warnings: string) {
    super(error.message, error.status);
    this.warnings = warnings;
  }
}

/** `-6` for iptables, which says nothing about it but where its help is; iptables-restore leaves such a line out. */
class OtherFamily extends Error {}

class CommandParser {
  private readonly getopt: Getopt;
  private readonly rule = new RuleParser(LONG);
  private readonly restoring: boolean;
  private letter: CommandLetter | "V" | "" = "";
  private table = "filter";
  private chain: string | null = null;
  private ruleNumber = 0;
  private second = "";
  private verbose = false;
  private zero = false;
  private zeroNumber: number | null = null;
  private invert = false;
  private waits = false;
  private waitInterval = false;

  constructor(words: readonly string[], table: string | null) {
    this.getopt = new Getopt(words, SHORT, table ?? "iptables");
    this.restoring = table !== null;
    if (table !== null) this.table = table;
  }

  parse(): IptablesCommand {
    for (;;) {
      const opt = this.getopt.next(this.rule.longOptions);
      if (opt.kind === "end") break;
      if (opt.kind === "word") this.word(opt.word);
      else if (opt.kind === "option") this.option(opt);
      else if (this.rule.loadProtocolMatch()) this.getopt.again();
      else refuse(opt);
      if (this.letter === "V") return this.result({ specs: [], counters: null });
    }
    return this.finish();
  }

  /** What was said so far. */
  get warnings(): string {
    return this.rule.warnings.join("");
  }

  private finish(): IptablesCommand {
    if (this.table === "nat" && (this.second === "DROP" || this.rule.jumpTo === "DROP"))
      problem('\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n');
    if (this.waitInterval && !this.waits) problem("--wait-interval only makes sense with --wait\n");
    const extensions = this.rule.finishExtensions();
    if (this.getopt.index < this.getopt.words.length) problem("unknown arguments found on commandline");
    if (this.letter === "") problem("no command specified");
    if (this.invert) problem("nothing appropriate following !");
    const rule = RULE_COMMANDS.includes(this.letter)
      ? this.rule.build(extensions)
      : { specs: [], counters: this.rule.counters };
    if (this.letter === "R" && rule.specs.length !== 1)
      problem("Replacement rule does not specify a unique address");
    this.checkOptions();
    if (this.chain !== null && this.chain.length >= MAX_CHAIN_NAME)
      problem(`chain name \`${this.chain}' too long (must be under ${MAX_CHAIN_NAME} chars)`);
    if (RULE_COMMANDS.includes(this.letter)) this.checkInterfaces();
    return this.result(rule);
  }

  private result(rule: ParsedRule): IptablesCommand {
    const { seen, inIface, outIface, jumpTo, isGoto } = this.rule;
    return {
      letter: this.letter as CommandLetter | "V",
      table: this.table,
      chain: this.chain,
      ruleNumber: this.ruleNumber,
      second: this.second,
      rule,
      inIface,
      outIface,
      jumpTo,
      isGoto,
      verbose: this.verbose,
      numeric: seen.has("n"),
      exact: seen.has("x"),
      lineNumbers: seen.has("0"),
      zero: this.zero,
      zeroNumber: this.zeroNumber,
      inverted: this.invert,
      warnings: this.warnings,
    };
  }

  private checkInterfaces(): void {
    const { chain } = this;
    const { seen } = this.rule;
    if ((chain === "PREROUTING" || chain === "INPUT") && seen.has("o"))
      problem(`Can't use -o with ${chain}\n`);
    if ((chain === "POSTROUTING" || chain === "OUTPUT") && seen.has("i"))
      problem(`Can't use -i with ${chain}\n`);
  }

  private checkOptions(): void {
    for (const [letter, commands] of ALLOWED)
      if (
        this.rule.seen.has(letter) &&
        (!commands.includes(this.letter) || (this.letter === "D" && (this.ruleNumber > 0 || letter === "c")))
      )
        problem(`Illegal option \`-${letter}' with this command`);
  }

  private word(word: string): void {
    if (word !== "!") problem(`Bad argument \`${word}'`);
    if (this.invert) problem("multiple consecutive ! not allowed");
    this.invert = true;
  }

  private option(opt: Opt & { kind: "option" }): void {
    const { invert } = this;
    this.invert = false;
    if (this.rule.take(opt, invert, this.getopt)) return;
    switch (opt.key) {
      case "n":
      case "x":
      case "0":
        this.rule.mark(opt.key, invert);
        return;
      case "v":
        if (this.verbose) throw new NotModelledError("iptables -vv");
        this.rule.mark("v", invert);
        this.verbose = true;
        return;
      case "t":
        if (invert) problem("unexpected ! flag before --table");
        if (this.restoring) problem("The -t option cannot be used in iptables-restore.\n");
        this.table = opt.value!;
        return;
      case "w":
      case "W":
        this.wait(opt.key, opt.value ?? this.getopt.argument());
        return;
      case "4":
      case "M":
        return;
      case "6":
        if (this.restoring) throw new OtherFamily();
        problem("");
        break;
      case "b":
        problem('Unknown arg "(null)"');
        break;
      case "h":
        throw new NotModelledError("iptables -h");
      case "V":
        this.letter = "V";
        this.invert = invert;
        return;
      default:
        this.command(opt.key as CommandLetter, opt.value, invert);
    }
  }

  private wait(letter: "w" | "W", value: string | null): void {
    if (this.restoring) problem(`You cannot use \`-${letter}' from iptables-restore`);
    this.rule.warnings.push(waitWarning(letter, value));
    if (letter === "w") this.waits = true;
    else this.waitInterval = true;
  }

  private command(letter: CommandLetter, value: string | null, invert: boolean): void {
    if (letter === "N") checkNewName(value!);
    if (invert) problem("unexpected '!' flag");
    const old = this.letter;
    const joins = (a: string, b: string): boolean => (a === "L" || a === "S") && b === "Z";
    if (old !== "" && !joins(old, letter) && !joins(letter, old))
      problem(`Cannot use -${letter} with -${old}`);
    this.zero = old === "Z" || (old !== "" && letter === "Z");
    if (old === "" || letter !== "Z") this.letter = letter;
    const chain = value ?? this.getopt.argument();
    if (chain !== null) this.chain = chain;
    this.operands(letter, chain !== null);
    if (letter !== "Z" || this.zeroNumber === null) return;
    // The counter of one rule to zero is the only command then: the list that was asked before is forgotten.
    this.letter = "Z";
    this.zero = false;
  }

  private operands(letter: CommandLetter, named: boolean): void {
    if (letter === "D" || letter === "I" || letter === "R" || "LSZ".includes(letter)) {
      const number = named ? this.getopt.argument() : null;
      if (number !== null) this.ruleNumber = ruleNumber(number);
      else if (letter === "R") problem("-R requires a rule number");
      if (number !== null && letter === "Z") this.zeroNumber = this.ruleNumber;
    } else if (letter === "E") {
      const name = this.getopt.argument();
      if (name === null) problem("-E requires old-chain-name and new-chain-name");
      this.second = name;
    } else if (letter === "P") {
      const policy = this.getopt.argument();
      if (policy === null) problem("-P requires a chain and a policy");
      this.second = policy;
    }
  }
}

/** Reads the time of -w or -W, which nobody needs here; the line for stderr. */
export function waitWarning(letter: "w" | "W", value: string | null): string {
  const number = value === null ? null : /^\s*[+-]?[0-9]+/.exec(value);
  if (letter === "w") {
    if (value !== null && number === null) problem("wait seconds not numeric");
    return "";
  }
  if (value === null) problem("wait interval value required");
  if (number === null) problem("wait interval not numeric");
  if (Number(number[0]) > 999999) problem(`too long usec wait ${Number(number[0])} > 999999 usec`);
  return "Ignoring deprecated --wait-interval option.\n";
}

function ruleNumber(text: string): number {
  const number = parseNumber(text);
  if (number === null || number < 1 || number > 0x7fffffff) problem(`Invalid rule number \`${text}'`);
  return number;
}

function checkNewName(name: string): void {
  if (name.length >= MAX_CHAIN_NAME)
    problem(`chain name \`${name}' too long (must be under ${MAX_CHAIN_NAME} chars)`);
  if (name.startsWith("-") || name.startsWith("!"))
    problem(`chain name not allowed to start with \`${name[0]}'`);
  if (isTargetName(name)) problem("chain name may not clash with target name");
  if (/\s/.test(name)) problem(`Invalid chain name \`${name}'`);
}

/** Reads the words of one command. */
export function parseCommand(words: readonly string[]): IptablesCommand {
  return parse(new CommandParser(words, null));
}

/** Reads a line of iptables-restore within a table; null for one that is for the other address family. */
export function parseRestoreLine(words: readonly string[], table: string): IptablesCommand | null {
  try {
    return parse(new CommandParser(words, table));
  } catch (error) {
    if (error instanceof OtherFamily) return null;
    throw error;
  }
}

function parse(parser: CommandParser): IptablesCommand {
  try {
    return parser.parse();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new WarnedError(error, parser.warnings);
  }
}

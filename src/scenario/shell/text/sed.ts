/** sed (GNU sed 4.9): addresses, `s`, `p`, `d`, `q`, `=`, with -n, -E and -e. Other commands are not modelled. */
import { NotModelledError, UsageError } from "../../../util/errors.ts";
import { posixRegex } from "./regex.ts";
import {
  ByLine,
  getopt,
  joinLines,
  linesOf,
  output,
  readAll,
  type StreamUtility,
  type Utility,
} from "./utility.ts";

type Address = { readonly line: number } | { readonly regex: RegExp } | "last";

interface SedCommand {
  readonly from: Address | null;
  readonly to: Address | null;
  readonly negated: boolean;
  readonly verb: string;
  readonly regex: RegExp | null;
  readonly replacement: string;
  /** Print after a substitution. */
  readonly print: boolean;
  active: boolean;
}

class SedParser {
  private at = 0;
  private readonly text: string;
  private readonly extended: boolean;

  constructor(text: string, extended: boolean) {
    this.text = text;
    this.extended = extended;
  }

  commands(): SedCommand[] {
    const found: SedCommand[] = [];
    for (;;) {
      while (" \t\n;".includes(this.text[this.at] ?? "x")) this.at++;
      if (this.at >= this.text.length) return found;
      found.push(this.command());
    }
  }

  private command(): SedCommand {
    const from = this.address();
    let to: Address | null = null;
    if (from !== null && this.text[this.at] === ",") {
      this.at++;
      to = this.address();
    }
    this.blank();
    const negated = this.text[this.at] === "!";
    if (negated) this.at++;
    this.blank();
    const verb = this.text[this.at++] ?? "";
    if (verb === "") throw new UsageError(`sed: -e expression #1, char ${this.at}: missing command`, 1);
    if (verb === "s") return { from, to, negated, verb, active: false, ...this.substitution() };
    if (!"pdq=".includes(verb)) throw new NotModelledError(`sed command ${verb}`);
    return { from, to, negated, verb, regex: null, replacement: "", print: false, active: false };
  }

  private substitution(): { regex: RegExp; replacement: string; print: boolean } {
    const delimiter = this.text[this.at++];
    const source = this.until(delimiter, "s");
    const replacement = this.until(delimiter, "s");
    const letters = /^[gpiI0-9]*/.exec(this.text.slice(this.at))![0];
    this.at += letters.length;
    if (/\d/.test(letters)) throw new NotModelledError(`sed s with a number`);
    const flags = (letters.includes("g") ? "g" : "") + (/[iI]/.test(letters) ? "i" : "");
    return {
      regex: posixRegex("sed", source, this.extended, flags),
      replacement,
      print: letters.includes("p"),
    };
  }

  private address(): Address | null {
    const number = /^\d+/.exec(this.text.slice(this.at));
    if (number !== null) {
      this.at += number[0].length;
      return { line: Number(number[0]) };
    }
    if (this.text[this.at] === "$") {
      this.at++;
      return "last";
    }
    if (this.text[this.at] !== "/") return null;
    this.at++;
    return { regex: posixRegex("sed", this.until("/", "address"), this.extended, "") };
  }

  private until(delimiter: string, what: string): string {
    let out = "";
    for (; this.at < this.text.length; this.at++) {
      const c = this.text[this.at];
      if (c === "\\" && this.text[this.at + 1] === delimiter) {
        out += delimiter;
        this.at++;
      } else if (c === "\\") out += c + (this.text[++this.at] ?? "");
      else if (c === delimiter) {
        this.at++;
        return out;
      } else out += c;
    }
    const name = what === "s" ? "unterminated `s' command" : "unterminated address regex";
    throw new UsageError(`sed: -e expression #1, char ${this.text.length}: ${name}`, 1);
  }

  private blank(): void {
    while (this.text[this.at] === " ") this.at++;
  }
}

function hits(address: Address, line: string, number: number, count: number): boolean {
  if (address === "last") return number === count;
  return "line" in address ? address.line === number : address.regex.test(line);
}

function chosen(command: SedCommand, line: string, number: number, count: number): boolean {
  if (command.from === null) return true;
  if (command.to === null) return hits(command.from, line, number, count);
  if (command.active) {
    const past = typeof command.to === "object" && "line" in command.to && number >= command.to.line;
    command.active = !past && !hits(command.to, line, number, count);
    return !(typeof command.to === "object" && "line" in command.to && number > command.to.line);
  }
  if (!hits(command.from, line, number, count)) return false;
  command.active = !(typeof command.to === "object" && "line" in command.to && command.to.line <= number);
  return true;
}

function substitute(line: string, command: SedCommand): string {
  return line.replace(command.regex!, (...found) => {
    const groups = found.slice(
      0,
      found.findIndex((part) => typeof part === "number"),
    ) as (string | undefined)[];
    return command.replacement.replace(/\\(\d)|\\n|\\(.)|&/gs, (token, digit?: string, other?: string) => {
      if (digit !== undefined) return groups[Number(digit)] ?? "";
      if (token === "\\n") return "\n";
      return other ?? groups[0]!;
    });
  });
}

interface SedScript {
  readonly commands: readonly SedCommand[];
  readonly silent: boolean;
  readonly files: readonly string[];
}

function sedScript(argv: readonly string[]): SedScript {
  const options = getopt("sed", argv, "nEru", "e", {
    "--quiet": "n",
    "--expression": "e",
    "--regexp-extended": "E",
    "--unbuffered": "u",
  });
  const operands = [...options.operands];
  const scripts = options.values.get("e") ?? operands.splice(0, 1);
  if (scripts.length === 0)
    throw new UsageError("Usage: sed [OPTION]... {script-only-if-no-other-script} [input-file]...", 1);
  const extended = options.flags.has("E") || options.flags.has("r");
  const commands = new SedParser(scripts.join("\n"), extended).commands();
  return { commands, silent: options.flags.has("n"), files: operands };
}

/** What the script prints about a line, and whether it ends with it. */
function sedLine(
  { commands, silent }: SedScript,
  text: string,
  number: number,
  count: number,
): { out: string; quit: boolean } {
  const out: string[] = [];
  let line: string | null = text;
  let quit = false;
  for (const command of commands) {
    if (chosen(command, line, number, count) === command.negated) continue;
    if (command.verb === "p") out.push(line);
    else if (command.verb === "=") out.push(String(number));
    else if (command.verb === "q") quit = true;
    else if (command.verb === "s") {
      const changed = substitute(line, command);
      if (command.print && changed !== line) out.push(changed);
      line = changed;
    } else line = null;
    if (line === null || quit) break;
  }
  if (line !== null && !silent) out.push(line);
  return { out: joinLines(out), quit };
}

export const sed: Utility = (argv, context) => {
  const script = sedScript(argv);
  const lines = linesOf(readAll(script.files, context));
  let text = "";
  for (let i = 0; i < lines.length; i++) {
    const { out, quit } = sedLine(script, lines[i], i + 1, lines.length);
    text += out;
    if (quit) break;
  }
  return output(text);
};

/** The last line is known when it was read: scripts that ask for it (`$`) take the whole input. */
export const sedStream: StreamUtility = (argv) => {
  const script = sedScript(argv);
  if (script.files.length > 0 || script.commands.some(({ from, to }) => from === "last" || to === "last"))
    return null;
  let number = 0;
  return new ByLine(
    (line, stream) => {
      const { out, quit } = sedLine(script, line, ++number, 0);
      stream.done = quit;
      return out;
    },
    () => output(""),
  );
};

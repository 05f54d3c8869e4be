/** Word expansion (POSIX XCU 2.6): parameters, command substitution, arithmetic, field splitting, file names, quote removal. */
import type { Co } from "../../host/process.ts";
import { UsageError } from "../../util/errors.ts";
import type { ParameterPart, ProcessPart, Script, Word, WordPart } from "./ast.ts";
import { expandBraces } from "./braces.ts";
import { FieldBuilder } from "./field-builder.ts";
import { isAll } from "./parameter-reader.ts";
import { cutPrefix, cutSuffix, replacePattern, substring } from "./parameter-text.ts";
import { escapePattern } from "./pattern.ts";
import type { ShellState } from "./state.ts";

/** What expansion needs of the shell. */
export interface ExpansionHost {
  readonly state: ShellState;
  /** Runs a command substitution and gives its output. */
  substitute(script: Script): Co<string>;
  /** Runs a process substitution and gives the name of its file. */
  processFile(part: ProcessPart): Co<string>;
  /** Value of a parameter that the shell computes: `$?`, `$1`, `$RANDOM`; undefined when it is none of those. */
  special(name: string): string | undefined;
  /** File names that a pattern describes, in order. */
  glob(pattern: string): readonly string[];
}

/** The texts that a parameter stands for; `list`: each a field of its own. */
interface Values {
  readonly texts: readonly string[];
  readonly list: boolean;
  readonly isSet: boolean;
}

/** An error that ends the shell, as `${x:?}` and `set -u` make one. */
export class ExpansionError extends UsageError {}

const DEFAULT_IFS = " \t\n";

export class Expander {
  private readonly host: ExpansionHost;
  private readonly state: ShellState;

  constructor(host: ExpansionHost) {
    this.host = host;
    this.state = host.state;
  }

  /** Words after splitting: one word may become none or several. */
  *words(words: readonly Word[]): Co<string[]> {
    const out: string[] = [];
    for (const word of words) for (const one of expandBraces(word)) out.push(...(yield* this.fields(one)));
    return out;
  }

  /** One word without splitting: assignments, file names, here-documents. */
  *text(word: Word): Co<string> {
    let out = "";
    for (const part of word.parts) out += yield* this.part(part);
    return tilde(word, out, this.state);
  }

  /** One word as a pattern: what was quoted means itself. */
  *pattern(word: Word): Co<string> {
    let out = "";
    for (const part of word.parts) {
      const text = yield* this.part(part);
      out += part.quoted ? escapePattern(text) : text;
    }
    return out;
  }

  private *fields(word: Word): Co<string[]> {
    const ifs = this.state.get("IFS") ?? DEFAULT_IFS;
    const builder = new FieldBuilder(ifs);
    yield* this.addParts(word.parts, builder);
    const fields = builder.finish();
    const names: string[] = [];
    for (const { text, pattern } of fields) {
      const found = pattern === null || this.state.options.has("f") ? [] : this.host.glob(pattern);
      if (found.length > 0) names.push(...found);
      else names.push(fields.length === 1 ? tilde(word, text, this.state) : text);
    }
    return names;
  }

  private *addParts(parts: readonly WordPart[], builder: FieldBuilder): Co<void> {
    for (const part of parts) {
      if (part.kind === "text") builder.add(part.text, part.quoted);
      else if (part.kind === "parameter") yield* this.addParameter(part, builder);
      else {
        const text = yield* this.part(part);
        if (part.quoted) builder.add(text, true);
        else builder.split(text);
      }
    }
  }

  private *addParameter(part: ParameterPart, builder: FieldBuilder): Co<void> {
    const chosen = yield* this.alternative(part);
    if (chosen !== null && !part.quoted) {
      yield* this.addOperand(chosen, builder);
      return;
    }
    const { texts, list } = yield* this.parameter(part);
    if (part.quoted && !list && texts.length === 0) builder.add("", true);
    texts.forEach((text, i) => {
      if (i > 0 && list && (part.quoted || builder.isOpen)) builder.end();
      if (part.quoted) builder.add(text, true);
      else builder.split(text);
    });
  }

  /** A default outside of quotes: its own text is split as well. */
  private *addOperand(word: Word, builder: FieldBuilder): Co<void> {
    for (const part of word.parts) {
      if (part.kind === "text" && !part.quoted) builder.split(part.text);
      else yield* this.addParts([part], builder);
    }
  }

  /** The word that stands in for the value: `:-` of an empty one, `:+` of a full one. Else null. */
  private *alternative(part: ParameterPart): Co<Word | null> {
    const { op, operand } = part;
    if (operand === null || !["-", ":-", "+", ":+"].includes(op)) return null;
    const { texts, isSet } = yield* this.values(part);
    const missing = !isSet || (op.startsWith(":") && texts.join("") === "");
    return missing === op.endsWith("-") ? operand : op.endsWith("+") ? { parts: [], offset: 0 } : null;
  }

  private *part(part: WordPart): Co<string> {
    switch (part.kind) {
      case "text":
        return part.text;
      case "command":
        return (yield* this.host.substitute(part.script)).replace(/\n+$/, "");
      case "arithmetic":
        return String(this.state.number(yield* this.text(part.text)));
      case "process":
        return yield* this.host.processFile(part);
      case "parameter": {
        const { texts } = yield* this.parameter(part);
        return texts.join(part.name === "*" || starIndex(part) ? this.separator() : " ");
      }
    }
  }

  private separator(): string {
    return (this.state.get("IFS") ?? DEFAULT_IFS).slice(0, 1);
  }

  /** The value as it is, before the operation. */
  private *values(part: ParameterPart): Co<Values> {
    const name = part.indirect ? (this.value(part.name, null) ?? "") : part.name;
    const indexed = /^(\w+)\[(.*)\]$/.exec(name);
    if (indexed !== null && part.indirect) return single(this.value(indexed[1], indexed[2]));
    if (name === "@" || name === "*") return this.all(this.state.positional.slice(1), part);
    if (part.index !== null && isAll(part.index))
      return this.all(
        this.state.elements(name).map(([, value]) => value),
        part,
      );
    const index = part.index === null ? null : yield* this.text(part.index);
    return single(this.value(name, index));
  }

  private all(texts: readonly string[], part: ParameterPart): Values {
    const star = part.name === "*" || starIndex(part);
    const isSet = texts.length > 0;
    if (star && part.quoted) return { texts: [texts.join(this.separator())], list: false, isSet };
    return { texts, list: true, isSet };
  }

  private value(name: string, index: string | null): string | undefined {
    return (index === null ? this.host.special(name) : undefined) ?? this.state.get(name, index);
  }

  private *parameter(part: ParameterPart): Co<Values> {
    const { op } = part;
    if (op === "keys")
      return this.all(
        this.state.elements(part.name).map(([key]) => key),
        part,
      );
    const values = yield* this.values(part);
    const { texts, isSet } = values;
    if (
      !isSet &&
      this.state.options.has("u") &&
      !/^[-:]*[-+=?]$/.test(op) &&
      !"@*".includes(part.name) &&
      !values.list
    )
      throw new ExpansionError(`bash: ${part.name}: unbound variable`, 1);
    switch (op) {
      case "":
        return values;
      case "length":
        return single(String(values.list || part.name === "*" ? texts.length : (texts[0] ?? "").length));
      case "-":
      case ":-":
      case "+":
      case ":+": {
        const chosen = yield* this.alternative(part);
        return chosen === null ? values : single(yield* this.text(chosen));
      }
      case "=":
      case ":=":
      case "?":
      case ":?":
        return yield* this.demand(part, values);
      case ":":
        return yield* this.part1(part, values);
      default: {
        const pattern = yield* this.pattern(part.operand!);
        const second = part.second === null ? "" : yield* this.text(part.second);
        return { ...values, texts: texts.map((text) => changed(text, op, pattern, second)) };
      }
    }
  }

  /** `${NAME:=WORD}` and `${NAME:?WORD}`. */
  private *demand(part: ParameterPart, values: Values): Co<Values> {
    const empty = part.op.startsWith(":") && values.texts.join("") === "";
    if (values.isSet && !empty) return values;
    const text = yield* this.text(part.operand!);
    if (part.op.endsWith("?")) {
      const said = text || (values.isSet ? "parameter null or not set" : "parameter null or not set");
      throw new ExpansionError(`bash: ${part.name}: ${said}`, 1);
    }
    this.state.set(part.name, text, part.index === null ? null : yield* this.text(part.index));
    return single(text);
  }

  /** `${NAME:OFFSET:LENGTH}` */
  private *part1(part: ParameterPart, values: Values): Co<Values> {
    const from = Number(this.state.number(yield* this.text(part.operand!)));
    const length = part.second === null ? null : Number(this.state.number(yield* this.text(part.second)));
    if (!values.list) return { ...values, texts: values.texts.map((text) => substring(text, from, length)) };
    const list = part.index === null ? this.state.positional : values.texts;
    const start = from < 0 ? Math.max(0, list.length + from) : from;
    return { ...values, texts: list.slice(start, length === null ? undefined : start + length) };
  }
}

function single(text: string | undefined): Values {
  return { texts: text === undefined ? [] : [text], list: false, isSet: text !== undefined };
}

function starIndex(part: ParameterPart): boolean {
  const first = part.index?.parts[0];
  return part.index !== null && isAll(part.index) && first?.kind === "text" && first.text === "*";
}

function changed(text: string, op: string, pattern: string, second: string): string {
  switch (op) {
    case "%":
    case "%%":
      return cutSuffix(text, pattern, op === "%%");
    case "#":
    case "##":
      return cutPrefix(text, pattern, op === "##");
    case "^":
      return text.slice(0, 1).toUpperCase() + text.slice(1);
    case "^^":
      return text.toUpperCase();
    case ",":
      return text.slice(0, 1).toLowerCase() + text.slice(1);
    case ",,":
      return text.toLowerCase();
    default:
      return replacePattern(text, op, pattern, second);
  }
}

function tilde(word: Word, text: string, state: ShellState): string {
  const first = word.parts[0];
  if (first?.kind !== "text" || first.quoted || !/^~(?:\/|$)/.test(first.text)) return text;
  return (state.get("HOME") ?? "/root") + text.slice(1);
}

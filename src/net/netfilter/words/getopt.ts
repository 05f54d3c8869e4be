/**
 * The option reader of iptables: getopt_long(3) of glibc with an option string that begins with `-`, so that other words
 * come in their place, and with long names that may be shortened when only one fits.
 */

export interface LongOption {
  readonly name: string;
  readonly arg: "none" | "required" | "optional";
  /** The short option that it stands for, or any key of the caller. */
  readonly key: string;
}

export type Opt =
  /** `long` is the entry that was found, null for a short option. */
  | {
      readonly kind: "option";
      readonly key: string;
      readonly long: LongOption | null;
      readonly value: string | null;
    }
  | { readonly kind: "word"; readonly word: string }
  | { readonly kind: "missing" | "unknown"; readonly text: string }
  | { readonly kind: "end" };

export class Getopt {
  readonly words: readonly string[];
  /** The next word. */
  index = 0;
  /** The word that the last answer came from, so that it can be read again. */
  private lastIndex = 0;
  private cluster = "";
  private lastCluster = "";
  private readonly short: ReadonlyMap<string, LongOption["arg"]>;

  private readonly before: string;

  /** `short` as getopt takes it, without the leading flags: `A:L::n`. `before`: the word before the first, for messages. */
  constructor(words: readonly string[], short: string, before = "") {
    this.words = words;
    this.before = before;
    this.short = new Map(
      [...short.matchAll(/([^:])(:{0,2})/g)].map(([, letter, colons]) => [
        letter,
        colons === "" ? "none" : colons === ":" ? "required" : "optional",
      ]),
    );
  }

  next(long: readonly LongOption[]): Opt {
    this.lastIndex = this.index;
    this.lastCluster = this.cluster;
    if (this.cluster !== "") return this.shortOption();
    if (this.index >= this.words.length) return { kind: "end" };
    const word = this.words[this.index++];
    if (word === "--") return { kind: "end" };
    if (word.startsWith("--")) return this.longOption(word.slice(2), long);
    if (!word.startsWith("-") || word === "-") return { kind: "word", word };
    this.cluster = word.slice(1);
    return this.shortOption();
  }

  /** Gives the last option back: the next call answers it again. */
  again(): void {
    this.index = this.lastIndex;
    this.cluster = this.lastCluster;
  }

  /** The word that was read last. */
  get lastWord(): string {
    return this.words[this.index - 1] ?? this.before;
  }

  /** The next word when it looks like no option, taken. */
  argument(): string | null {
    const word = this.words[this.index];
    if (this.cluster !== "" || word === undefined || word.startsWith("-") || word.startsWith("!"))
      return null;
    this.index++;
    return word;
  }

  private shortOption(): Opt {
    const letter = this.cluster[0];
    const arg = this.short.get(letter);
    this.cluster = this.cluster.slice(1);
    // In the middle of a word the reader has not passed it: the word before is the one that is shown.
    if (arg === undefined)
      return { kind: "unknown", text: this.words[this.index - (this.cluster === "" ? 1 : 2)] ?? this.before };
    if (arg === "none") return { kind: "option", key: letter, long: null, value: null };
    const attached = this.cluster;
    this.cluster = "";
    if (attached !== "") return { kind: "option", key: letter, long: null, value: attached };
    if (arg === "optional") return { kind: "option", key: letter, long: null, value: null };
    if (this.index >= this.words.length) return { kind: "missing", text: this.lastWord };
    return { kind: "option", key: letter, long: null, value: this.words[this.index++] };
  }

  private longOption(body: string, long: readonly LongOption[]): Opt {
    const equals = body.indexOf("=");
    const name = equals < 0 ? body : body.slice(0, equals);
    const found = findLong(name, long);
    if (found === null) return { kind: "unknown", text: `--${body}` };
    if (equals >= 0)
      return found.arg === "none"
        ? { kind: "unknown", text: `--${body}` }
        : { kind: "option", key: found.key, long: found, value: body.slice(equals + 1) };
    if (found.arg !== "required") return { kind: "option", key: found.key, long: found, value: null };
    if (this.index >= this.words.length) return { kind: "missing", text: `--${body}` };
    return { kind: "option", key: found.key, long: found, value: this.words[this.index++] };
  }
}

/** The entry of that name, or the only one that begins so; several that mean the same count as one. */
function findLong(name: string, long: readonly LongOption[]): LongOption | null {
  const exact = long.find((entry) => entry.name === name);
  if (exact !== undefined) return exact;
  const begun = long.filter((entry) => entry.name.startsWith(name));
  if (begun.length === 0) return null;
  return begun.every((entry) => entry.key === begun[0].key && entry.arg === begun[0].arg) ? begun[0] : null;
}

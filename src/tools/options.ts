/** Short and long options as getopt_long(3) reads them: permuted, clustered, values attached or apart. */
import { UsageError } from "../util/errors.ts";

export interface ReadOption {
  /** The short letter, or the long name. */
  readonly option: string;
  readonly value: string;
}

export class OptionReader {
  /** Words that are no options, in order. */
  readonly rest: string[] = [];
  private readonly name: string;
  private readonly argv: readonly string[];
  private readonly spec: string;
  private readonly status: number;
  private readonly longs: ReadonlyMap<string, string>;
  private at = 0;

  /**
   * `spec` is getopt's: letters, `:` behind one that takes a value. `longs` maps a long name to a letter of `spec`, or
   * to `NAME` or `NAME:` of its own. `status` is the exit status of a usage error.
   */
  constructor(
    name: string,
    argv: readonly string[],
    spec: string,
    status: number,
    longs: Record<string, string> = {},
  ) {
    this.name = name;
    this.argv = argv;
    this.spec = spec;
    this.status = status;
    this.longs = new Map(Object.entries(longs));
  }

  /** All options; afterwards {@link rest} is complete. */
  options(): ReadOption[] {
    const found: ReadOption[] = [];
    while (this.at < this.argv.length) {
      const word = this.argv[this.at++];
      if (word === "--") {
        this.rest.push(...this.argv.slice(this.at));
        break;
      }
      if (word.startsWith("--")) found.push(this.long(word.slice(2)));
      else if (word.startsWith("-") && word.length > 1) this.cluster(word.slice(1), found);
      else this.rest.push(word);
    }
    return found;
  }

  private cluster(letters: string, found: ReadOption[]): void {
    for (let i = 0; i < letters.length; i++) {
      const letter = letters[i];
      const at = letter === ":" ? -1 : this.spec.indexOf(letter);
      if (at < 0) throw this.usage(`invalid option -- '${letter}'`);
      if (this.spec[at + 1] !== ":") {
        found.push({ option: letter, value: "" });
        continue;
      }
      const attached = letters.slice(i + 1);
      found.push({
        option: letter,
        value: attached !== "" ? attached : this.next(`option requires an argument -- '${letter}'`),
      });
      return;
    }
  }

  private long(word: string): ReadOption {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const target = this.longs.get(name);
    if (target === undefined) throw this.usage(`unrecognized option '--${name}'`);
    const option = target.endsWith(":") ? target.slice(0, -1) : target;
    const takes =
      target.endsWith(":") || (target.length === 1 && this.spec[this.spec.indexOf(target) + 1] === ":");
    if (!takes) return { option, value: "" };
    return {
      option,
      value: equals >= 0 ? word.slice(equals + 1) : this.next(`option '--${name}' requires an argument`),
    };
  }

  private next(complaint: string): string {
    if (this.at >= this.argv.length) throw this.usage(complaint);
    return this.argv[this.at++];
  }

  private usage(complaint: string): UsageError {
    return new UsageError(`${this.name}: ${complaint}`, this.status);
  }
}

/**
 * The dump of a real node, as the script of `meshwire collect` writes it: text, versioned, in sections. A line that begins
 * with `@` is a mark: `@meshwire-dump 1`, `@machine NAME`, `@kernel RELEASE`, `@netns PATH`, `@docker`, `@section NAME`, `@end`. What stands
 * between the marks is the output of one command, as it was printed.
 */
import { ScenarioError } from "../../util/errors.ts";

/** Version of the format; another one is refused. */
export const DUMP_VERSION = "1";

/** Output of one command. */
export interface DumpSection {
  readonly text: string;
  /** Line of the dump on which it begins, from 1. */
  readonly line: number;
}

/** A namespace: outputs by the names of their sections. */
export interface DumpNetns {
  readonly path: string;
  readonly line: number;
  readonly sections: ReadonlyMap<string, DumpSection>;
}

export interface NodeDump {
  /** Name of the dump in messages. */
  readonly file: string;
  /** Host name of the node. */
  readonly machine: string;
  /** The host's namespace first. */
  readonly namespaces: readonly DumpNetns[];
  /** What the engine says: `networks`, `containers`. */
  readonly docker: ReadonlyMap<string, DumpSection>;
}

/** Path of the host's namespace in a dump. */
export const HOST_NETNS = "/proc/1/ns/net";

class Reader {
  readonly namespaces: DumpNetns[] = [];
  readonly docker = new Map<string, DumpSection>();
  machine = "";
  private readonly file: string;
  private readonly lines: readonly string[];
  private target: Map<string, DumpSection> | null = null;
  private ended = false;

  constructor(file: string, text: string) {
    this.file = file;
    this.lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  }

  read(): void {
    const [mark, version] = this.lines[0].split(" ");
    if (mark !== "@meshwire-dump")
      throw this.error(
        1,
        "no dump of a node: it must begin with `@meshwire-dump`; `meshwire collect` prints the script that makes one",
      );
    if (version !== DUMP_VERSION)
      throw this.error(
        1,
        `dump of version ${version}: expected ${DUMP_VERSION}; collect it again with this meshwire`,
      );
    let i = 1;
    while (i < this.lines.length) i = this.mark(i);
    if (!this.ended) throw this.error(this.lines.length, "the dump is cut off: no `@end`");
    if (this.namespaces[0]?.path !== HOST_NETNS)
      throw this.error(1, `the first namespace must be the host's: \`@netns ${HOST_NETNS}\``);
  }

  /** Takes the mark on line `i` with what belongs to it; the index of the next mark. */
  private mark(i: number): number {
    const [word, value = ""] = this.lines[i].split(/ (.*)/);
    if (word === "@section") return this.section(i, value);
    if (word === "@machine") this.machine = value;
    else if (word === "@end") this.ended = true;
    else if (word === "@docker") this.target = this.docker;
    else if (word === "@netns") {
      this.target = new Map();
      this.namespaces.push({ path: value, line: i + 1, sections: this.target });
    } else if (word !== "" && word !== "@kernel")
      throw this.error(
        i + 1,
        `expected a mark such as \`@section addr\`, found \`${this.lines[i].slice(0, 40)}\``,
      );
    return i + 1;
  }

  private section(i: number, name: string): number {
    if (this.target === null) throw this.error(i + 1, "a section before the first `@netns`");
    let end = i + 1;
    while (end < this.lines.length && !this.lines[end].startsWith("@")) end++;
    const text = this.lines.slice(i + 1, end).join("\n");
    this.target.set(name, { text: text.trim() === "" ? "" : text, line: i + 2 });
    return end;
  }

  private error(line: number, message: string): ScenarioError {
    return new ScenarioError(this.file, line, 1, message);
  }
}

/** Reads a dump. Throws a ScenarioError when it is none, of another version, or cut off. */
export function parseDump(file: string, text: string): NodeDump {
  const reader = new Reader(file, text);
  reader.read();
  const { machine, namespaces, docker } = reader;
  return { file, machine, namespaces, docker };
}

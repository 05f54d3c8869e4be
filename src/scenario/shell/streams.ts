/** What a command reads and writes: text, not bytes, and no concurrency: the left side of a pipe ends before the right begins. */
import { type Errno, SysError, UsageError } from "../../util/errors.ts";
import type { FileView } from "./files.ts";

export interface Sink {
  write(text: string): void;
}

/** Characters that one command may write: all of it stays in memory. */
const MAX_OUTPUT = 1 << 26;

/** Stops a command that writes without an end. */
function checkOutput(length: number): void {
  if (length > MAX_OUTPUT)
    throw new UsageError(`bash: more than ${MAX_OUTPUT >> 20} MiB of output were stopped`, 1);
}

export class TextSink implements Sink {
  text = "";
  write(text: string): void {
    checkOutput(this.text.length + text.length);
    this.text += text;
  }
}

export const NOWHERE: Sink = { write: () => {} };

/** A file that is open for writing. */
export class FileSink implements Sink {
  /** Why a write was refused, null when none was. */
  error: Errno | null = null;
  private readonly view: FileView;
  private readonly path: string;

  constructor(view: FileView, path: string) {
    this.view = view;
    this.path = path;
  }

  write(text: string): void {
    if (text === "") return;
    try {
      this.view.append(this.path, text);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      this.error = error.code;
    }
  }
}

/** Standard input: `read` takes a line at a time, everything else takes what is left. */
export class Input {
  private text: string;

  constructor(text: string) {
    this.text = text;
  }

  rest(): string {
    const text = this.text;
    this.text = "";
    return text;
  }

  /** The text up to `end`, without it, and whether it was there; null when nothing is left. */
  until(end: string): { text: string; ended: boolean } | null {
    if (this.text === "") return null;
    const at = this.text.indexOf(end);
    const text = at < 0 ? this.text : this.text.slice(0, at);
    this.text = at < 0 ? "" : this.text.slice(at + end.length);
    return { text, ended: at >= 0 };
  }

  /** The next `count` characters. */
  take(count: number): string {
    const text = this.text.slice(0, count);
    this.text = this.text.slice(count);
    return text;
  }
}

/** What is left of an input, taken at the first look and then kept: a command that does not look leaves it alone. */
export function takenOnce(input: Input): () => string {
  let text: string | null = null;
  return () => (text ??= input.rest());
}

/** Descriptors 0, 1 and 2, and those from 3 on by number. `exec` with redirections only changes them in place. */
export interface Io {
  input: Input;
  out: Sink;
  err: Sink;
  more?: ReadonlyMap<number, Sink | Input>;
}

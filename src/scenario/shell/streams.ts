/** What a command reads and writes: text, not bytes. */
import type { Co } from "../../host/process.ts";
import type { WaitQueue } from "../../sim/wait-queue.ts";
import { type Errno, SysError, UsageError } from "../../util/errors.ts";
import type { FileView } from "./files.ts";

export interface Sink {
  write(text: string): void;
}

/** Characters that one command may write: all of it stays in memory. */
const MAX_OUTPUT = 1 << 26;

/** Stops a command that writes without an end. */
export function checkOutput(length: number): void {
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

/** Where an input gets more from: the reading end of a pipe. */
export interface Source {
  readonly readable: WaitQueue;
  /** "": nothing now; null: nothing ever. */
  take(): string | null;
  closeRead(): void;
}

/** Standard input: text that is there already, and what comes behind it through a pipe. */
export class Input {
  private text: string;
  private readonly source: Source | null;

  constructor(text: string, source: Source | null = null) {
    this.text = text;
    this.source = source;
  }

  /** What is there now; "": nothing yet; null: the end. */
  available(): string | null {
    if (this.text === "") return this.source === null ? null : this.source.take();
    const taken = this.text;
    this.text = "";
    return taken;
  }

  /** Woken when there may be more; null: nothing comes that is not there. */
  get readable(): WaitQueue | null {
    return this.source?.readable ?? null;
  }

  /** What comes next, as much as is there; null at the end. */
  *chunk(): Co<string | null> {
    let text = this.available();
    while (text === "") {
      yield { queues: [this.source!.readable], promptly: true };
      text = this.available();
    }
    return text;
  }

  *rest(): Co<string> {
    let text = "";
    for (let part = yield* this.chunk(); part !== null; part = yield* this.chunk()) text += part;
    return text;
  }

  /** The text up to `end`, without it, and whether it was there; null when nothing is left. */
  *until(end: string): Co<{ text: string; ended: boolean } | null> {
    let text = yield* this.chunk();
    if (text === null) return null;
    let at = text.indexOf(end);
    while (at < 0) {
      const part = yield* this.chunk();
      if (part === null) return { text, ended: false };
      text += part;
      at = text.indexOf(end);
    }
    this.text = text.slice(at + end.length);
    return { text: text.slice(0, at), ended: true };
  }

  /** The next `count` characters, fewer at the end. */
  *take(count: number): Co<string> {
    let text = "";
    while (text.length < count) {
      const part = yield* this.chunk();
      if (part === null) break;
      text += part;
    }
    this.text = text.slice(count);
    return text.slice(0, count);
  }

  /** Nobody reads from it any more. */
  close(): void {
    this.source?.closeRead();
  }
}

/** Thrown at a command that looks at its whole input before it has come: it did nothing yet and is run again then. */
export class InputWanted extends Error {}

/**
 * The whole of an input for those who take it at once: taken at the first look and then kept, so that a command that does
 * not look leaves it alone.
 */
export class WholeInput {
  private text: string | null = null;
  private readonly input: Input;

  constructor(input: Input) {
    this.input = input;
  }

  /** Throws InputWanted before `fill`, unless nothing can come. */
  get(): string {
    if (this.text !== null) return this.text;
    if (this.input.readable !== null) throw new InputWanted();
    this.text = this.input.available() ?? "";
    return this.text;
  }

  *fill(): Co<void> {
    this.text = yield* this.input.rest();
  }
}

/** Descriptors 0, 1 and 2, and those from 3 on by number. `exec` with redirections only changes them in place. */
export interface Io {
  input: Input;
  out: Sink;
  err: Sink;
  more?: ReadonlyMap<number, Sink | Input>;
}

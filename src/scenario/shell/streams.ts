/** What a command reads and writes: text, not bytes, and no concurrency: the left side of a pipe ends before the right begins. */

export interface Sink {
  write(text: string): void;
}

export class TextSink implements Sink {
  text = "";
  write(text: string): void {
    this.text += text;
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

  /** The next line without its end; null at the end. */
  line(): string | null {
    if (this.text === "") return null;
    const end = this.text.indexOf("\n");
    const line = end < 0 ? this.text : this.text.slice(0, end);
    this.text = end < 0 ? "" : this.text.slice(end + 1);
    return line;
  }
}

/** What is left of an input, taken at the first look and then kept: a command that does not look leaves it alone. */
export function takenOnce(input: Input): () => string {
  let text: string | null = null;
  return () => (text ??= input.rest());
}

/** Descriptors 0, 1 and 2. */
export interface Io {
  readonly input: Input;
  readonly out: Sink;
  readonly err: Sink;
}

/**
 * What a program printed and has not written yet (stdio of glibc, setvbuf(3)): a terminal gets lines, a pipe or a file gets
 * blocks of 4096 bytes, and the rest when the program ends by itself.
 */
const BLOCK = 4096;

export type Buffering = "none" | "line" | "block";

export class Stdio {
  private kept = "";
  private readonly buffering: Buffering;
  private readonly write: (text: string) => void;

  constructor(buffering: Buffering, write: (text: string) => void) {
    this.buffering = buffering;
    this.write = write;
  }

  print(text: string): void {
    const kept = this.kept + text;
    const ready = this.ready(kept);
    this.kept = kept.slice(ready);
    if (ready > 0) this.write(kept.slice(0, ready));
  }

  /** The program ends, or writes all that it has. */
  flush(): void {
    const text = this.kept;
    this.kept = "";
    if (text !== "") this.write(text);
  }

  /** How much of the text is written now. */
  private ready(text: string): number {
    if (this.buffering === "line") return text.lastIndexOf("\n") + 1;
    return this.buffering === "none" ? text.length : text.length - (text.length % BLOCK);
  }
}

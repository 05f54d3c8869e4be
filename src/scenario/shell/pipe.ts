/**
 * A pipe between two programs that run at the same time (pipe(7), fs/pipe.c). Writing never waits by itself: who can wait
 * asks `drained` afterwards. Who writes when nobody reads any more is ended by SIGPIPE.
 */
import { type Co, KilledError } from "../../host/process.ts";
import { WaitQueue } from "../../sim/wait-queue.ts";
import { checkOutput, type Sink } from "./streams.ts";

const CAPACITY = 65536;
export const SIGPIPE = 13;

export class Pipe implements Sink {
  /** Woken when there is text, or the last writer is gone. */
  readonly readable = new WaitQueue();
  private readonly writable = new WaitQueue();
  private text = "";
  private writers = 1;
  private isRead = true;

  write(text: string): void {
    if (text === "") return;
    if (!this.isRead) throw new KilledError(SIGPIPE);
    checkOutput(this.text.length + text.length);
    this.text += text;
    this.readable.wake();
  }

  /** One more program writes. */
  hold(): void {
    this.writers++;
  }

  /** A writer has closed its end. */
  release(): void {
    this.writers--;
    if (this.writers === 0) this.readable.wake();
  }

  closeRead(): void {
    this.isRead = false;
    this.text = "";
    this.writable.wake();
  }

  /** All that is in it; "": nothing now; null: nothing ever. */
  take(): string | null {
    if (this.text === "") return this.writers === 0 ? null : "";
    const { text } = this;
    this.text = "";
    this.writable.wake();
    return text;
  }

  /** Waits while more is in it than it holds: there the write itself would wait. */
  *drained(): Co<void> {
    if (this.text.length <= CAPACITY) return;
    while (this.isRead && this.text.length > CAPACITY) yield { queues: [this.writable], promptly: true };
    if (!this.isRead) throw new KilledError(SIGPIPE);
  }
}

/** Waits until what was written has room. */
export function* drained(sink: Sink): Co<void> {
  if (sink instanceof Pipe) yield* sink.drained();
}

/**
 * What the processes of a container print (daemon/logger, the json-file driver): lines of its two streams with their
 * time, in one order. A line that has no end yet is kept back until it has one or the container ends.
 */
import { WaitQueue } from "../sim/wait-queue.ts";

export type LogStream = "stdout" | "stderr";

export interface LogLine {
  readonly atNs: number;
  readonly stream: LogStream;
  /** With its line end, unless the program ended without one. */
  readonly text: string;
}

export class ContainerLog {
  readonly lines: LogLine[] = [];
  /** Woken by every line, and when the container has ended. */
  readonly changed = new WaitQueue();
  private readonly open = { stdout: "", stderr: "" };
  private readonly now: () => number;

  constructor(now: () => number) {
    this.now = now;
  }

  write(stream: LogStream, text: string): void {
    if (text === "") return;
    const parts = (this.open[stream] + text).split("\n");
    this.open[stream] = parts.pop()!;
    for (const part of parts) this.lines.push({ atNs: this.now(), stream, text: `${part}\n` });
    if (parts.length > 0) this.changed.wake();
  }

  /** The programs have ended. */
  finish(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const text = this.open[stream];
      this.open[stream] = "";
      if (text !== "") this.lines.push({ atNs: this.now(), stream, text });
    }
    this.changed.wake();
  }
}

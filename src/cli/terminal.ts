/** Where the commands print: colours and progress only on a terminal, NO_COLOR obeyed (no-color.org). */

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** A line that is overwritten by the next; nothing unless standard error is a terminal. */
  progress(text: string): void;
  red(text: string): string;
  green(text: string): string;
  dim(text: string): string;
}

export function processTerminal(): Terminal {
  const colour = process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === "";
  const paint = (code: number) => (text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
  let shown = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // The reader went away (`| head`): nobody is left to print for.
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  const clear = () => {
    if (shown) process.stderr.write("\r\x1b[K");
    shown = false;
  };
  return {
    out: (text) => {
      clear();
      process.stdout.write(text);
    },
    err: (text) => {
      clear();
      process.stderr.write(text);
    },
    progress: (text) => {
      if (process.stderr.isTTY !== true) return;
      clear();
      const width = Math.max(20, (process.stderr.columns ?? 80) - 1);
      process.stderr.write(text.replace(/\s+/g, " ").slice(0, width));
      shown = true;
    },
    red: paint(31),
    green: paint(32),
    dim: paint(2),
  };
}

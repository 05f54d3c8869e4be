/** How the commands end: exit statuses, and the words for each kind of error. */
import { CaptureError } from "../capture/capture-error.ts";
import { NotModelledError, ScenarioError, UsageError } from "../util/errors.ts";
import type { Terminal } from "./terminal.ts";

export const OK = 0;
export const EXPECTATION_FAILED = 1;
export const BAD_INPUT = 2;
export const BUG = 70;

/** A file that cannot be read or written, in the system's words. */
export class FileError extends Error {}

/** Says what went wrong; `repeat` is the command line that repeats it, `seed` the lab's seed where there is one. */
export function reportFailure(
  error: unknown,
  terminal: Terminal,
  repeat: string,
  seed: number | null,
): number {
  if (error instanceof ScenarioError || error instanceof CaptureError) terminal.err(`${error.message}\n`);
  else if (error instanceof NotModelledError || error instanceof UsageError || error instanceof FileError)
    terminal.err(`${error.message.startsWith("meshwire") ? "" : "meshwire: "}${error.message}\n`);
  else {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    terminal.err(`meshwire: a bug in meshwire: ${message}\n`);
    terminal.err(`${seed === null ? "" : `seed ${seed}; `}to repeat it: ${repeat}\n`);
    if (process.env["MESHWIRE_DEBUG"] !== undefined && error instanceof Error)
      terminal.err(`${error.stack}\n`);
    else terminal.err("set MESHWIRE_DEBUG=1 to see where\n");
    return BUG;
  }
  return BAD_INPUT;
}

/** The shape of a builtin of the shell. */
import type { Co } from "../../host/process.ts";
import type { RunningShell } from "./place.ts";
import type { Io } from "./streams.ts";

/** Runs other words in the same shell. */
export type RunWords = (shell: RunningShell, words: readonly string[], io: Io) => Co<number>;

export type Builtin = (shell: RunningShell, argv: readonly string[], io: Io, run: RunWords) => Co<number>;

/** A builtin that ends at once. */
export const now = (run: (shell: RunningShell, argv: readonly string[], io: Io) => number): Builtin =>
  // biome-ignore lint/correctness/useYield: a builtin is a routine even if it never waits
  function* (shell, argv, io) {
    return run(shell, argv, io);
  };

/** Parameters that the shell computes (POSIX XCU 2.5.2, bash's variables). */
import type { Process } from "../../host/process.ts";
import { SEC } from "../../sim/sim.ts";
import { unixSeconds } from "../../sim/wall-clock.ts";
import type { ShellState } from "./state.ts";

export interface ParameterContext {
  readonly state: ShellState;
  readonly process: Process;
}

/** Undefined when the name is none of them. */
export function computedParameter(name: string, { state, process }: ParameterContext): string | undefined {
  if (/^\d+$/.test(name)) return state.positional[Number(name)];
  const { sim } = process.machine.kernel;
  switch (name) {
    case "?":
      return String(state.status);
    case "!":
      return state.lastJob === 0 ? undefined : String(state.lastJob);
    case "$":
      return String(state.pid);
    case "#":
      return String(state.positional.length - 1);
    case "-":
      return [...state.options].filter((option) => option.length === 1).join("");
    case "RANDOM":
      return String(state.nextRandom());
    case "SECONDS":
      return String(Math.floor(sim.now / SEC));
    case "EPOCHSECONDS":
      return String(unixSeconds(sim));
    case "LINENO":
      return String(state.line);
    case "BASHPID":
      return String(process.pid);
    case "PPID":
      return "1";
    case "UID":
    case "EUID":
      return "0";
    case "BASH_VERSION":
      return "5.2.15(1)-release";
    default:
      return undefined;
  }
}

/** Values that the client itself refuses, before it asks the daemon (spf13/pflag, cli/opts). */
import { UsageError } from "../../util/errors.ts";
import type { Flags } from "./flags.ts";
import { badOption, parsePort } from "./port-option.ts";

const NUMBERS = [
  "replicas",
  "replicas-max-per-node",
  "restart-max-attempts",
  "update-parallelism",
  "rollback-parallelism",
];
const DURATIONS = [
  "stop-grace-period",
  "restart-delay",
  "update-delay",
  "update-monitor",
  "rollback-delay",
  "rollback-monitor",
];
const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** `5s`, `1m30s`, `200ms` in ns; `name` is the option that has the value. Throws UsageError. */
export function parseDuration(text: string, name: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)];
  if (text === "0") return 0;
  if (parts.length > 0 && parts.map((part) => part[0]).join("") === text)
    return parts.reduce((sum, [, value, unit]) => sum + Math.round(Number(value) * UNITS[unit]), 0);
  const what = /^\d+(\.\d+)?$/.test(text) ? "missing unit in duration" : "invalid duration";
  throw new UsageError(`invalid argument "${text}" for "--${name}" flag: time: ${what} "${text}"\n`, 125);
}

/** Throws UsageError for the first value that its option does not take; `path` is the command, e.g. `docker service create`. */
export function checkFlagValues(flags: Flags, path: string): void {
  try {
    for (const name of NUMBERS)
      for (const text of flags.list(name))
        if (!/^\d+$/.test(text))
          throw new UsageError(
            `invalid argument "${text}" for "--${name}" flag: strconv.ParseUint: parsing "${text}": invalid syntax\n`,
            125,
          );
    for (const name of DURATIONS) for (const text of flags.list(name)) parseDuration(text, name);
    if (path.startsWith("docker service")) {
      for (const text of flags.list("publish")) parsePort(text);
      for (const name of ["publish-add", "publish-rm"])
        for (const text of flags.list(name)) parsePort(text, badOption(text, `--${name}`));
    }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${error.message}See '${path} --help'.\n`, error.status);
  }
}

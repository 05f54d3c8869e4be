/** dmesg(1) of util-linux: the kernel's log. */
import { formatCtime, wallTimeAt } from "../sim/wall-clock.ts";
import { UsageError } from "../util/errors.ts";
import type { Tool } from "./tool.ts";

interface DmesgArgs {
  /** How the time of a line is shown. */
  readonly time: "boot" | "wall" | "none";
  readonly clear: boolean;
  readonly print: boolean;
}

const NS_PER_US = 1000;

function stamp(atNs: number, time: DmesgArgs["time"]): string {
  if (time === "none") return "";
  if (time === "wall") return `[${formatCtime(wallTimeAt(atNs))}] `;
  const us = Math.floor(atNs / NS_PER_US);
  const seconds = String(Math.floor(us / 1e6)).padStart(5);
  return `[${seconds}.${String(us % 1e6).padStart(6, "0")}] `;
}

export const dmesg: Tool<DmesgArgs, string> = {
  name: "dmesg",
  parse(argv) {
    let args: DmesgArgs = { time: "boot", clear: false, print: true };
    for (const word of argv) {
      if (word === "-T" || word === "--ctime") args = { ...args, time: "wall" };
      else if (word === "-t" || word === "--notime") args = { ...args, time: "none" };
      else if (word === "-c" || word === "--read-clear") args = { ...args, clear: true };
      else if (word === "-C" || word === "--clear") args = { ...args, clear: true, print: false };
      else {
        const what = word.startsWith("--")
          ? `unrecognized option '${word}'`
          : `invalid option -- '${word[1]}'`;
        throw new UsageError(`dmesg: ${what}\nTry 'dmesg --help' for more information.\n`);
      }
    }
    return args;
  },
  run(args, { machine }) {
    const { log } = machine.kernel;
    const text = log.map(({ atNs, text }) => `${stamp(atNs, args.time)}${text}\n`).join("");
    if (args.clear) log.length = 0;
    return args.print ? text : "";
  },
  render: (stdout) => ({ stdout, stderr: "", status: 0 }),
};

/** Runs a script with the iptables of this machine, and with meshwire's. */
import { spawnSync } from "node:child_process";
import { NotModelledError } from "../../../src/util/errors.ts";
import { closeFd, currentNetns, enterNetns, newNetns } from "../../oracle/libc.ts";
import { iptables, makeBox, restore, save } from "../lab.ts";
import type { Script, Step } from "./scripts.ts";

export interface Answer {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

const DATE = / on [A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}/g;

function withoutDate(text: string): string {
  return text.replace(DATE, " on <date>");
}

/** In a namespace of its own; needs root. */
export function runReal(script: Script): Answer[] {
  const home = currentNetns();
  const fresh = newNetns();
  try {
    return script.map(({ run, argv, input = "" }) => {
      const program = `/usr/sbin/${run.replace("iptables", "iptables-legacy")}`;
      const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
      const { stdout, stderr, status, error } = spawnSync(program, argv, {
        argv0: run,
        input,
        env,
        encoding: "utf8",
        timeout: 20_000,
      });
      // A program that ends before it has read its input is no fault.
      if (error !== undefined && (error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
      return { stdout: withoutDate(stdout), stderr, status: status ?? -1 };
    });
  } finally {
    enterNetns(home);
    closeFd(fresh);
    closeFd(home);
  }
}

/** null: a command said that something is not modelled. */
export function runMesh(script: Script): Answer[] | null {
  const { ns } = makeBox();
  const run = ({ run: program, argv, input = "" }: Step): Answer => {
    if (program === "iptables") return iptables(ns, argv);
    return program === "iptables-save" ? save(ns, argv) : restore(ns, argv, input);
  };
  try {
    return script.map((step) => {
      const { stdout, stderr, status } = run(step);
      return { stdout: withoutDate(stdout), stderr, status };
    });
  } catch (error) {
    if (error instanceof NotModelledError) return null;
    throw error;
  }
}

export function firstDifference(
  script: Script,
  real: readonly Answer[],
  mesh: readonly Answer[],
): string | null {
  const at = script.findIndex((_, i) => JSON.stringify(real[i]) !== JSON.stringify(mesh[i]));
  if (at < 0) return null;
  const told = script.slice(0, at + 1).map(({ run, argv, input }) => JSON.stringify([run, ...argv, input]));
  return `${told.join("\n")}\nreal     ${JSON.stringify(real[at])}\nmeshwire ${JSON.stringify(mesh[at])}`;
}

/** The command iptables 1.8.9 (legacy). */
import type { NetNs } from "../../net/core/net-ns.ts";
import { IptcError } from "../../net/ctl/iptables.ts";
import { SysError, UsageError } from "../../util/errors.ts";
import type { Tool, ToolOutput } from "../tool.ts";
import { type IptablesCommand, parseCommand, WarnedError } from "./command.ts";
import { NoTableError, runCommand } from "./run-command.ts";

/** The words of xtables_error: `Bad argument` comes without the program's name. */
export function usageText(program: string, message: string, where: string): string {
  const named =
    message === "" || message.startsWith("Bad argument") ? message : `${program} v1.8.9 (legacy): ${message}`;
  const line = message === "" ? "" : `${named}\n`;
  return `${line}${where}Try \`${program} -h' or '${program} --help' for more information.\n`;
}

function failure(error: Error, args: IptablesCommand | null): ToolOutput | null {
  const refused = refusal(error);
  if (refused === null) return null;
  const warnings = args?.warnings ?? (error instanceof WarnedError ? error.warnings : "");
  return { ...refused, stderr: warnings + refused.stderr };
}

function refusal(error: Error): ToolOutput | null {
  if (error instanceof UsageError)
    return { stdout: "", stderr: usageText("iptables", error.message, ""), status: error.status };
  if (error instanceof NoTableError) {
    const reason =
      "Table does not exist (do you need to insmod?)\nPerhaps iptables or your kernel needs to be upgraded.";
    const text = `can't initialize iptables table \`${error.table}': ${reason}`;
    return { stdout: "", stderr: `iptables v1.8.9 (legacy): ${text}\n`, status: 3 };
  }
  if (error instanceof IptcError) {
    const hint = error.code === "EINVAL" ? " Run `dmesg' for more information." : "";
    return { stdout: "", stderr: `iptables: ${error.text}.${hint}\n`, status: 1 };
  }
  return null;
}

/** What was printed, and what was refused in the end. */
interface Outcome {
  readonly stdout: string;
  readonly error: SysError | null;
}

function run(command: IptablesCommand, ns: NetNs): Outcome {
  const printed: string[] = [];
  let refused: SysError | null = null;
  try {
    runCommand(ns, command, (text) => printed.push(text));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    refused = error;
  }
  return { stdout: printed.join(""), error: refused };
}

function render({ stdout, error }: Outcome, command: IptablesCommand): ToolOutput {
  if (error === null) return { stdout, stderr: command.warnings, status: 0 };
  const output = failure(error, command);
  if (output === null) throw error;
  return { ...output, stdout };
}

export const iptablesTool: Tool<IptablesCommand, Outcome> = {
  name: "iptables",
  parse: (argv) => parseCommand(argv),
  run: (command, { ns }) => run(command, ns),
  render,
  failure,
};

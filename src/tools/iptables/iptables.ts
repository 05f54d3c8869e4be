/** The command iptables 1.8.9 (legacy). */
import { IptcError } from "../../net/ctl/iptables.ts";
import { UsageError } from "../../util/errors.ts";
import type { Tool, ToolOutput } from "../tool.ts";
import { type IptablesCommand, parseCommand } from "./command.ts";
import { NoTableError, runCommand } from "./run-command.ts";

/** The words of xtables_error: `Bad argument` comes without the program's name. */
export function usageText(program: string, message: string, where: string): string {
  const named =
    message === "" || message.startsWith("Bad argument") ? message : `${program} v1.8.9 (legacy): ${message}`;
  const line = message === "" ? "" : `${named}\n`;
  return `${line}${where}Try \`${program} -h' or '${program} --help' for more information.\n`;
}

function failure(error: Error): ToolOutput | null {
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

export const iptablesTool: Tool<IptablesCommand, string> = {
  name: "iptables",
  parse: (argv) => parseCommand(argv),
  run: (command, { ns }) => runCommand(ns, command),
  render: (stdout) => ({ stdout, stderr: "", status: 0 }),
  failure,
};

/** What `ip` itself takes before the object (iproute2 ip/ip.c), and the shape of the objects' handlers. */
import { type SysError, strerror } from "../../util/errors.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";

export interface IpOptions {
  /** -d */
  readonly details: boolean;
  /** -s */
  readonly stats: boolean;
  /** -br */
  readonly brief: boolean;
  /** -o: one line a record, line ends shown as `\`. */
  readonly oneline: boolean;
  /** -j */
  readonly json: boolean;
  /** -4, -6; 0 when not given. */
  readonly family: 0 | 4 | 6;
}

/** Runs `ip OBJECT ARGV` in `context.ns`. Throws SysError for what the kernel refuses, UsageError for wrong words. */
export type IpObject = (argv: readonly string[], options: IpOptions, context: ToolContext) => ToolOutput;

/** The handler's result when all went well. */
export function ipOutput(stdout: string): ToolOutput {
  return { stdout, stderr: "", status: 0 };
}

/**
 * What iproute2 prints for a refused request: the kernel's own words when the error's detail has them (`Error: ...`), else
 * those of the errno.
 */
export function rtnetlinkFailure(error: SysError, status: number): ToolOutput {
  const own = error.detail.startsWith("Error: ");
  const text = own ? error.detail : `RTNETLINK answers: ${strerror(error.code)}`;
  return { stdout: "", stderr: `${text}\n`, status };
}

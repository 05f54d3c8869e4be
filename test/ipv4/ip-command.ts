/** Runs `ip` in a namespace of a test's world. */
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { ip as ipTool } from "../../src/tools/ip/ip.ts";
import { runTool } from "../../src/tools/run-tool.ts";
import type { ToolContext, ToolOutput } from "../../src/tools/tool.ts";

/** `ipIn(ns, "route show table all")`. */
export function ipIn(ns: NetNs, line: string): ToolOutput {
  const context = { machine: { kernel: ns.kernel }, ns } as unknown as ToolContext;
  const done = runTool(ipTool, line.split(" "), context).next();
  if (!done.done) throw new Error("ip waits");
  return done.value;
}

/** The text that it prints; fails the test when it complains. */
export function ipText(ns: NetNs, line: string): string {
  const { stdout, stderr, status } = ipIn(ns, line);
  if (status !== 0 || stderr !== "") throw new Error(`ip ${line}: ${stderr}`);
  return stdout;
}

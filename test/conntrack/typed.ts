/** Command lines typed in a namespace of a small lab. */
import { Machine } from "../../src/host/machine.ts";
import type { Co } from "../../src/host/process.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { conntrack } from "../../src/tools/conntrack.ts";
import { dmesg } from "../../src/tools/dmesg.ts";
import { nsenter } from "../../src/tools/nsenter.ts";
import { runTool } from "../../src/tools/run-tool.ts";
import { sysctl } from "../../src/tools/sysctl.ts";
import type { Tool, ToolContext, ToolOutput } from "../../src/tools/tool.ts";
import type { Lab } from "./packets.ts";

const TOOLS = [conntrack, dmesg, nsenter, sysctl] as unknown as readonly Tool[];

function finish<T>(routine: Co<T>): T {
  const { done, value } = routine.next("woken");
  if (!done) throw new Error("the tool waits");
  return value as T;
}

/** Runs a command line in the first namespace (or `ns`) of the lab. */
export function run(
  lab: Lab,
  line: string,
  files: Record<string, string> = {},
  ns: NetNs = lab.ns,
): ToolOutput {
  const machine = new Machine("n1", lab.kernel);
  const [name, ...argv] = line.match(/'[^']*'|\S+/g)!.map((word) => word.replaceAll("'", ""));
  const context: ToolContext = {
    print: () => {},
    machine,
    ns,
    process: { pid: 742 } as never,
    stdin: "",
    files: new Map(Object.entries(files)),
    // biome-ignore lint/correctness/useYield: nothing to wait for
    *exec(words, where) {
      return run(lab, words.join(" "), files, where);
    },
  };
  return finish(runTool(TOOLS.find((tool) => tool.name === name)!, argv, context));
}

/** The applets that a busybox container has instead of a machine's commands of the same names. */
import type { Co } from "../../host/process.ts";
import { runTool } from "../run-tool.ts";
import type { Tool, ToolOutput } from "../tool.ts";
import { busyboxIp } from "./ip.ts";
import { busyboxArp, busyboxIfconfig, busyboxNetstat, busyboxRoute } from "./net-tools.ts";
import { busyboxNslookup } from "./nslookup.ts";
import { busyboxPing } from "./ping.ts";
import { busyboxTraceroute } from "./traceroute.ts";
import { busyboxWget } from "./wget.ts";

export const APPLETS: ReadonlyMap<string, Tool> = new Map(
  (
    [
      busyboxArp,
      busyboxIfconfig,
      busyboxIp,
      busyboxNetstat,
      busyboxNslookup,
      busyboxPing,
      busyboxRoute,
      busyboxTraceroute,
      busyboxWget,
    ] as unknown as readonly Tool[]
  ).map((tool) => [tool.name, tool] as const),
);

/** `busybox APPLET ARGUMENT…`, as a machine calls an applet too. */
export const busybox: Tool<readonly string[], ToolOutput> = {
  name: "busybox",
  parse: (argv) => argv,
  *run(argv, context): Co<ToolOutput> {
    const [name, ...rest] = argv;
    const applet = name === undefined ? undefined : APPLETS.get(name);
    if (applet !== undefined) return yield* runTool(applet, rest, context);
    if (name !== undefined) return yield* context.exec(argv, context.ns);
    return { stdout: "BusyBox v1.35.0 multi-call binary.\n", stderr: "", status: 0 };
  },
  render: (output) => output,
};

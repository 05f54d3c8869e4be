/**
 * `ip` of busybox 1.35 (networking/libiproute): iproute2's lines of long ago. What is shown is made by the present `ip`;
 * what came later is left out.
 */
import type { Co } from "../../host/process.ts";
import { type IpArgs, ip } from "../ip/ip.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";

/** The first line of a device: no state, no group; a device at the other end that is not here counts as down. */
function deviceLine(line: string): string {
  const old = line.replace(/ (state|mode|group) \S+/g, "");
  return /^\d+: \S+@if\d+:/.test(old) ? old.replace(">", ",M-DOWN>") : old;
}

function oldLine(line: string): string {
  if (/^\d+: /.test(line)) return deviceLine(line);
  if (line.startsWith("    link/")) return line.replace(/ link-netnsid \d+$/, "");
  if (line.startsWith(" ")) return line;
  return line.replace(/ proto \S+/, "").replace(/ scope link src /, " scope link  src ");
}

export const busyboxIp: Tool<IpArgs, ToolOutput> = {
  ...ip,
  *run(args: IpArgs, context: ToolContext): Co<ToolOutput> {
    const started = ip.run(args, context);
    const output = "next" in started ? yield* started : started;
    if (args.options.json) return output;
    return { ...output, stdout: output.stdout.split("\n").map(oldLine).join("\n") };
  },
};

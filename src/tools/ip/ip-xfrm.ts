/** `ip xfrm` (iproute2 6.1 ip/ipxfrm.c): the object below it. */
import { NotModelledError } from "../../util/errors.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import type { IpOptions } from "./ip-options.ts";
import { xfrmPolicy } from "./ip-xfrm-policy.ts";
import { xfrmState } from "./ip-xfrm-state.ts";
import { isCommand } from "./words.ts";

const USAGE =
  "Usage: ip xfrm XFRM-OBJECT { COMMAND | help }\nwhere  XFRM-OBJECT := state | policy | monitor\n";

/** `ip xfrm ARGV`. */
export function ipXfrm(argv: readonly string[], options: IpOptions, context: ToolContext): ToolOutput {
  const [object = "", ...rest] = argv;
  if (options.json || options.oneline) throw new NotModelledError("ip -j or -o xfrm");
  if (isCommand(object, "state", "sa")) return xfrmState(rest, options, context);
  if (isCommand(object, "policy")) return xfrmPolicy(rest, options, context);
  if (isCommand(object, "monitor")) throw new NotModelledError("ip xfrm monitor");
  return { stdout: "", stderr: USAGE, status: 255 };
}

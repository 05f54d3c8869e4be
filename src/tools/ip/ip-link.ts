/** `ip link`: show, add, set, del (iproute2 6.1 ip/iplink.c). */
import { linkAdd, linkDel, linkSetNetns, linkSetUp } from "../../net/ctl/link.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { parseLinkAdd } from "./link-add.ts";
import { linksOf, parseLinkFilter } from "./link-filter.ts";
import { linkBrief, linkJson, linkText, toJson } from "./link-format.ts";
import { linkSet } from "./link-set.ts";
import { deviceNamed } from "./words.ts";

/** `ip link ARGV`. */
export function ipLink(argv: readonly string[], options: IpOptions, context: ToolContext): ToolOutput {
  const [command = "show", ...rest] = argv;
  if (matches(command, ["show", "list", "lst"])) return ipOutput(showLinks(rest, options, context));
  if (matches(command, ["add"])) {
    const { spec, ns, moveTo, up } = parseLinkAdd(rest, context);
    const dev = linkAdd(ns, spec);
    if (moveTo !== null) linkSetNetns(dev, moveTo);
    if (up) linkSetUp(dev);
    return ipOutput("");
  }
  if (matches(command, ["set", "change"])) {
    linkSet(rest, context);
    return ipOutput("");
  }
  if (matches(command, ["delete"])) {
    const words = rest[0] === "dev" ? rest.slice(1) : rest;
    linkDel(deviceNamed(context.ns, words[0] ?? ""));
    return ipOutput("");
  }
  if (["help", "property", "xstats", "afstats"].includes(command))
    throw new NotModelledError(`ip link ${command}`);
  throw new UsageError(`Command "${command}" is unknown, try "ip link help".`, 255);
}

function matches(word: string, commands: readonly string[]): boolean {
  return word !== "" && commands.some((command) => command.startsWith(word));
}

function showLinks(argv: readonly string[], options: IpOptions, context: ToolContext): string {
  const devs = linksOf(context.ns, parseLinkFilter(argv, context.ns));
  if (options.json) return `${toJson(devs.map((dev) => linkJson(dev, options, true)))}\n`;
  return devs.map((dev) => (options.brief ? linkBrief(dev) : linkText(dev, options, true))).join("");
}

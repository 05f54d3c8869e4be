/** `ip netns`: list, add, delete, exec (iproute2 6.1 ip/ipnetns.c). Named namespaces are those below /run/netns. */
import type { Co } from "../../host/process.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { netnsSetId } from "../../net/ctl/netns.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { toJson } from "./link-format.ts";
import { invarg } from "./words.ts";

const NAMED = /^\/(?:var\/)?run\/netns\/([^/]+)$/;

/** The name of a namespace for `ip netns`; null when it has none. */
function netnsName(ns: NetNs): string | null {
  return NAMED.exec(ns.path)?.[1] ?? null;
}

/** The namespace of that name, as `ip -n` and `ip netns exec` open it. */
export function namedNetns(context: ToolContext, name: string): NetNs {
  const { namespaces } = context.machine.kernel;
  const found = namespaces.find((ns) => (name.includes("/") ? ns.path === name : netnsName(ns) === name));
  if (found === undefined) {
    throw new UsageError(`Cannot open network namespace "${name}": No such file or directory`, 1);
  }
  return found;
}

/** `ip netns ARGV`. */
export function ipNetns(
  argv: readonly string[],
  options: IpOptions,
  context: ToolContext,
): ToolOutput | Co<ToolOutput> {
  const [command = "list", ...rest] = argv;
  const { kernel } = context.machine;
  if (command === "list" || command === "show") return listNetns(options, context);
  if (command === "add") {
    const name = nameOf(rest);
    if (kernel.namespaces.some((ns) => netnsName(ns) === name)) {
      throw new UsageError(`Cannot create namespace file "/run/netns/${name}": File exists`, 1);
    }
    kernel.createNs(name, `/run/netns/${name}`);
    return ipOutput("");
  }
  if (command === "delete" || command === "del") {
    const name = nameOf(rest);
    const found = kernel.namespaces.find((ns) => netnsName(ns) === name);
    if (found === undefined) {
      const text = `Cannot remove namespace file "/run/netns/${name}": No such file or directory`;
      throw new UsageError(text, 1);
    }
    kernel.deleteNs(found);
    return ipOutput("");
  }
  if (command === "exec") {
    if (rest.length === 0) throw new UsageError("No netns name specified", 1);
    if (rest.length === 1) throw new UsageError("No command specified", 255);
    return context.exec(rest.slice(1), namedNetns(context, rest[0]));
  }
  if (command === "pids") {
    const ns = namedNetns(context, nameOf(rest));
    const pids = context.machine.processes.filter((process) => process.ns === ns).map(({ pid }) => pid);
    return ipOutput(pids.map((pid) => `${pid}\n`).join(""));
  }
  if (command === "identify") {
    const pid = rest[0] === undefined || rest[0] === "self" ? context.process.pid : Number(rest[0]);
    const process = context.machine.processes.find((one) => one.pid === pid);
    if (process === undefined)
      throw new UsageError(`Cannot open network namespace: No such file or directory`, 1);
    const name = netnsName(process.ns);
    return ipOutput(name === null ? "" : `${name}\n`);
  }
  if (command === "set") return setId(rest, context);
  if (["attach", "monitor", "list-id", "help"].includes(command)) {
    throw new NotModelledError(`ip netns ${command}`);
  }
  throw new UsageError(`Command "${command}" is unknown, try "ip netns help".`, 255);
}

/** Gives a namespace the id under which this one knows it; `auto`: the lowest free one (RTM_NEWNSID). */
function setId(words: readonly string[], context: ToolContext): ToolOutput {
  const name = nameOf(words);
  if (words.length === 1) throw new UsageError("No nsid specified", 1);
  const [, text] = words;
  if (text !== "auto" && !/^\d+$/.test(text)) throw invarg('Invalid "netnsid" value', text);
  netnsSetId(context.ns, namedNetns(context, name), text === "auto" ? null : Number(text));
  return ipOutput("");
}

function nameOf(words: readonly string[]): string {
  if (words.length === 0) throw new UsageError("No netns name specified", 1);
  return words[0];
}

/** The newest first, with the id under which this namespace knows it. */
function listNetns(options: IpOptions, context: ToolContext): ToolOutput {
  const named = [...context.machine.kernel.namespaces].reverse().filter((ns) => netnsName(ns) !== null);
  const rows = named.map((ns) => ({ name: netnsName(ns)!, id: context.ns.peerNetns.indexOf(ns) }));
  if (options.json) {
    return ipOutput(`${toJson(rows.map(({ name, id }) => (id < 0 ? { name } : { name, id })))}\n`);
  }
  return ipOutput(rows.map(({ name, id }) => (id < 0 ? `${name}\n` : `${name} (id: ${id})\n`)).join(""));
}

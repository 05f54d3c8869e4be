/** `ip nexthop`: next hops with numbers (iproute2 6.1 ip/ipnexthop.c). */
import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { type NexthopSpec, nexthopAdd, nexthopDel, nexthopDump } from "../../net/ctl/nexthop.ts";
import type { Nexthop, NexthopMember } from "../../net/ipv4/nexthop.ts";
import { NotModelledError, SysError, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { toJson } from "./link-format.ts";
import { deviceNamed, invarg, ip4Word, isCommand, numberWord, PROTOCOLS, SCOPES, Words } from "./words.ts";

/** `ip nexthop ARGV`. */
export function ipNexthop(argv: readonly string[], options: IpOptions, { ns }: ToolContext): ToolOutput {
  const [command = "show", ...rest] = argv;
  if (isCommand(command, "add", "replace")) {
    nexthopAdd(ns, parseSpec(rest, ns), isCommand(command, "replace"));
    return ipOutput("");
  }
  if (isCommand(command, "delete")) {
    nexthopDel(ns, idOf(rest));
    return ipOutput("");
  }
  if (isCommand(command, "get")) {
    const id = idOf(rest);
    const found = nexthopDump(ns).filter((one) => one.id === id);
    if (found.length === 0) throw new SysError("ENOENT");
    return listed(found, options);
  }
  if (isCommand(command, "list", "show", "lst")) return listed(filtered(rest, ns), options);
  if (isCommand(command, "flush")) return flush(rest, ns);
  if (["help", "bucket"].includes(command)) throw new NotModelledError(`ip nexthop ${command}`);
  throw new UsageError(`Command "${command}" is unknown, try "ip nexthop help".`, 255);
}

function idOf(argv: readonly string[]): number {
  const words = new Words(argv);
  if (words.peek() !== "id") throw new NotModelledError(`ip nexthop: ${words.peek()}`);
  words.next();
  return numberWord(words.next(), "invalid id value");
}

function parseSpec(argv: readonly string[], ns: NetNs): NexthopSpec {
  const spec = { id: 0, gateway: 0, dev: null as NetDevice | null, onlink: false, blackhole: false };
  let members: readonly NexthopMember[] = [];
  let protocol = 0;
  const words = new Words(argv);
  while (!words.done) {
    const word = words.next();
    if (word === "id") spec.id = numberWord(words.next(), "invalid id value");
    else if (word === "via") {
      const next = words.next();
      spec.gateway = ip4Word(next === "inet" ? words.next() : next);
    } else if (word === "dev") spec.dev = namedDevice(words.next(), ns);
    else if (word === "onlink") spec.onlink = true;
    else if (word === "blackhole") spec.blackhole = true;
    else if (word === "group") members = parseGroup(words.next());
    else if (isCommand(word, "protocol")) protocol = PROTOCOLS.parse(words.next());
    else throw new NotModelledError(`ip nexthop: ${word}`);
  }
  return { ...spec, members, protocol };
}

function namedDevice(name: string, ns: NetNs): NetDevice {
  if (ns.device(name) === undefined) throw invarg("Device does not exist\n", name);
  return deviceNamed(ns, name);
}

/** `1,3/2`: numbers with weights. */
function parseGroup(text: string): readonly NexthopMember[] {
  return text.split("/").map((one) => {
    const [id, weight = "1"] = one.split(",");
    const parsed = { id: Number(id), weight: Number(weight) };
    const valid = Number.isInteger(parsed.id) && parsed.weight >= 1 && parsed.weight <= 256;
    if (!valid) throw invarg('"group" value is invalid\n', text);
    return parsed;
  });
}

function filtered(argv: readonly string[], ns: NetNs): readonly Nexthop[] {
  const words = new Words(argv);
  let shown = nexthopDump(ns);
  while (!words.done) {
    const word = words.next();
    if (word === "id") {
      const id = numberWord(words.next(), "invalid id value");
      shown = shown.filter((one) => one.id === id);
      if (shown.length === 0) throw new SysError("ENOENT");
    } else if (word === "dev") {
      const dev = namedDevice(words.next(), ns);
      shown = shown.filter((one) => one.kind === "hop" && one.path.dev === dev);
    } else if (word === "groups") shown = shown.filter(({ kind }) => kind === "group");
    else throw new NotModelledError(`ip nexthop show ${word}`);
  }
  return shown;
}

function flush(argv: readonly string[], ns: NetNs): ToolOutput {
  let count = 0;
  for (const { id } of filtered(argv, ns)) {
    if (!nexthopDump(ns).some((one) => one.id === id)) continue;
    nexthopDel(ns, id);
    count++;
  }
  return ipOutput(count === 0 ? "Nothing to flush\n" : `Flushed ${count} nexthops\n`);
}

function listed(nexthops: readonly Nexthop[], options: IpOptions): ToolOutput {
  if (options.json) return ipOutput(`${toJson(nexthops.map(nexthopJson))}\n`);
  return ipOutput(nexthops.map((one) => `${nexthopText(one, options.details)}\n`).join(""));
}

function nexthopText(nexthop: Nexthop, details: boolean): string {
  let text = `id ${nexthop.id} `;
  if (nexthop.kind === "group")
    text += `group ${nexthop.members.map(({ id, weight }) => (weight === 1 ? id : `${id},${weight}`)).join("/")} `;
  else if (nexthop.kind === "blackhole") text += details ? "scope global blackhole " : "blackhole ";
  else {
    const { gateway, dev, nhScope, onlink } = nexthop.path;
    if (gateway !== 0) text += `via ${formatIp4(gateway)} `;
    text += `dev ${dev.name} scope ${SCOPES.text(nhScope)} `;
    if (onlink) text += "onlink ";
  }
  if (details || nexthop.protocol !== 0) text += `proto ${PROTOCOLS.text(nexthop.protocol)} `;
  return text;
}

function nexthopJson(nexthop: Nexthop): Record<string, unknown> {
  const out: Record<string, unknown> = { id: nexthop.id };
  if (nexthop.kind === "group")
    out.group = nexthop.members.map(({ id, weight }) => (weight === 1 ? { id } : { id, weight }));
  else if (nexthop.kind === "blackhole") out.blackhole = null;
  else {
    const { gateway, dev, nhScope } = nexthop.path;
    if (gateway !== 0) out.gateway = formatIp4(gateway);
    out.dev = dev.name;
    out.scope = SCOPES.text(nhScope);
  }
  if (nexthop.protocol !== 0) out.protocol = PROTOCOLS.text(nexthop.protocol);
  out.flags = nexthop.kind === "hop" && nexthop.path.onlink ? ["onlink"] : [];
  return out;
}

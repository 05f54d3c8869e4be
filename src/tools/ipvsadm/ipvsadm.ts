/** `ipvsadm` 1.31: virtual services of the namespace, by net/ctl/ipvs. */

import type { NetNs } from "../../net/core/net-ns.ts";
import {
  connList,
  destAdd,
  destDel,
  destEdit,
  flush,
  getTimeouts,
  serviceAdd,
  serviceDel,
  serviceEdit,
  serviceList,
  setTimeouts,
  zero,
} from "../../net/ctl/ipvs.ts";
import { SysError, strerror, UsageError } from "../../util/errors.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { type IpvsadmArgs, parseIpvsadm } from "./parse.ts";
import { renderConns, renderList, renderRules } from "./render.ts";

/** What the library says of a refused request, by what was asked and errno (ipvs_strerror of libipvs.c). */
const REFUSALS: Record<string, Record<string, string>> = {
  "service add": { EEXIST: "Service already exists" },
  "service edit": { ESRCH: "No such service" },
  "service delete": { ESRCH: "No such service" },
  "dest add": {
    ESRCH: "Service not defined",
    EEXIST: "Destination already exists",
    EINVAL: "Invalid operation.  Possibly wrong module version, address not unicast, ...",
  },
  "dest edit": { ESRCH: "Service not defined", ENOENT: "No such destination" },
  other: { ESRCH: "No such service" },
  "dest delete": { ESRCH: "Service not defined", ENOENT: "No such destination" },
};

const VERSION_WORDS: readonly (string | undefined)[] = ["-v", "--version"];
const VERSION = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n";

export const ipvsadm: Tool<IpvsadmArgs | { readonly kind: "version" }, string> = {
  name: "ipvsadm",
  parse: (argv) => (VERSION_WORDS.includes(argv[0]) ? { kind: "version" } : parseIpvsadm(argv)),
  run: (args, context) => (args.kind === "version" ? VERSION : perform(args, context)),
  render: (stdout) => ({ stdout, stderr: "", status: 0 }),
  failure(error, args): ToolOutput | null {
    if (error instanceof UsageError)
      return { stdout: "", stderr: `${error.message}\n`, status: error.status };
    if (!(error instanceof SysError) || args === null) return null;
    const words = "verb" in args ? REFUSALS[`${args.kind} ${args.verb}`] : REFUSALS.other;
    return { stdout: "", stderr: `${words[error.code] ?? strerror(error.code)}\n`, status: 255 };
  },
};

function perform(args: IpvsadmArgs, context: ToolContext): string {
  const ns = context.ns;
  switch (args.kind) {
    case "list":
      return list(args, ns);
    case "save":
      return renderRules(serviceList(ns));
    case "restore":
      return restore(context);
    case "clear":
      flush(ns);
      return "";
    case "zero":
      zero(ns, args.key ?? undefined);
      return "";
    case "set":
      setTimeouts(ns, ...args.seconds);
      return "";
    case "service":
      changeService(args, ns);
      return "";
    case "dest":
      changeDest(args, ns);
      return "";
  }
}

function list({ format, key }: Extract<IpvsadmArgs, { kind: "list" }>, ns: NetNs): string {
  if (format.timeouts) {
    const { tcp, tcpFin, udp } = getTimeouts(ns);
    return `Timeout (tcp tcpfin udp): ${tcp} ${tcpFin} ${udp}\n`;
  }
  if (format.daemon) return "";
  if (format.conns) return renderConns(connList(ns));
  const services = serviceList(ns);
  if (key === null) return renderList(services, format);
  const one = services.filter((service) => JSON.stringify(service.key) === JSON.stringify(key));
  if (one.length === 0) throw new UsageError("No such service", 1);
  return withoutTitle(renderList(one, format));
}

/** The program's version stands only above the list of all. */
function withoutTitle(text: string): string {
  return text.slice(text.indexOf("\n") + 1);
}

function restore(context: ToolContext): string {
  for (const line of context.stdin.split("\n")) {
    const words = line.trim().split(/\s+/);
    if (words[0] !== "") perform(parseIpvsadm(words), context);
  }
  return "";
}

function changeService(args: Extract<IpvsadmArgs, { kind: "service" }>, ns: NetNs): void {
  if (args.verb === "add") serviceAdd(ns, args.key, args.options);
  else if (args.verb === "edit") serviceEdit(ns, args.key, args.options);
  else serviceDel(ns, args.key);
}

function changeDest(args: Extract<IpvsadmArgs, { kind: "dest" }>, ns: NetNs): void {
  if (args.verb === "add") destAdd(ns, args.key, args.dest);
  else if (args.verb === "edit") destEdit(ns, args.key, args.dest);
  else destDel(ns, args.key, args.dest.addr, args.dest.port);
}

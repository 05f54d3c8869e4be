/** Packet filter, virtual services and kernel parameters of a dump. */
import { destAdd, serviceAdd } from "../../net/ctl/ipvs.ts";
import { NotModelledError, SysError, UsageError } from "../../util/errors.ts";
import { restoreText } from "../iptables/restore.ts";
import { type IpvsadmArgs, parseIpvsadm } from "../ipvsadm/parse.ts";
import type { DumpSection } from "./dump.ts";
import type { ImportedNs } from "./imported-ns.ts";
import type { Problems } from "./problems.ts";

interface TableText {
  readonly name: string;
  /** Line of `*NAME` in the dump. */
  readonly line: number;
  readonly lines: readonly string[];
}

function tablesOf({ text, line }: DumpSection): TableText[] {
  const tables: { name: string; line: number; lines: string[] }[] = [];
  text.split("\n").forEach((row, i) => {
    if (row.startsWith("*")) tables.push({ name: row.slice(1), line: line + i, lines: [] });
    tables.at(-1)?.lines.push(row);
  });
  return tables;
}

/** A table without rules whose policies let all pass. */
function isIdle({ lines }: TableText): boolean {
  return lines.every((line) => !/^(\[\d+:\d+\] )?-A/.test(line) && !/^:\S+ DROP/.test(line));
}

/** The tables, the one that iptables-save lists last first: so they are listed in the same order again. */
export function importIptables(at: ImportedNs, problems: Problems): void {
  const section = at.dump.sections.get("iptables");
  if (section === undefined) return;
  for (const table of tablesOf(section).reverse()) {
    if (table.name === "security" && isIdle(table)) continue;
    try {
      restoreText(at.ns, `${table.lines.join("\n")}\n`, { counters: true });
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof NotModelledError || error instanceof SysError))
        throw error;
      nameBadLines(at, table, problems);
    }
  }
}

/** Takes the table line by line, so that every line that is refused is named. */
function nameBadLines(at: ImportedNs, { name, line, lines }: TableText, problems: Problems): void {
  const block = (body: readonly string[]) => [`*${name}`, ...body, "COMMIT", ""].join("\n");
  problems.attempt(line, `table ${name}`, () => {
    restoreText(at.ns, block(lines.filter((row) => row.startsWith(":"))), { counters: true });
    lines.forEach((row, i) => {
      if (!/^(\[\d+:\d+\] )?-/.test(row)) return;
      problems.attempt(line + i, `${at.ns.name} ${name}: ${row}`, () =>
        restoreText(at.ns, block([row]), { counters: true, noflush: true }),
      );
    });
  });
}

type Service = Extract<IpvsadmArgs, { kind: "service" }>;
type Dest = Extract<IpvsadmArgs, { kind: "dest" }>;

/** Places of the destinations in the kernel's lists, by service and address: `FWM 256` -> `10.0.0.6:0`, …. */
function kernelOrder(section: DumpSection | undefined): Map<string, string[]> {
  const order = new Map<string, string[]>();
  let list: string[] | null = null;
  for (const row of (section?.text ?? "").split("\n")) {
    const [first, second] = row.trim().split(/\s+/);
    if (["FWM", "TCP", "UDP"].includes(first)) {
      list = [];
      order.set(`${first} ${second}`, list);
    } else if (first === "->" && second !== "RemoteAddress:Port") list?.push(second);
  }
  return order;
}

/** `-a -f 256 -r 10.0.0.6:0` -> service and destination as a listing names them. */
function namesOf(words: readonly string[]): { service: string; dest: string } {
  const after = (flag: string) => words[words.indexOf(flag) + 1];
  const service = words.includes("-f")
    ? `FWM ${after("-f")}`
    : words.includes("-t")
      ? `TCP ${after("-t")}`
      : `UDP ${after("-u")}`;
  return { service, dest: after("-r") };
}

/**
 * Services and destinations. The kernel puts a new destination in front of the others, so they are added from the last of
 * its list to the first; without a listing in the kernel's order, in the order of `ipvsadm -S`, as `ipvsadm -R` would.
 */
export function importIpvs(at: ImportedNs, problems: Problems): void {
  const section = at.dump.sections.get("ipvs");
  if (section === undefined) return;
  const order = kernelOrder(at.dump.sections.get("ipvs-order"));
  const dests: { place: number; line: number; row: string; args: Dest }[] = [];
  section.text.split("\n").forEach((row, i) => {
    const line = section.line + i;
    const words = row.trim().split(/\s+/);
    if (words[0] === "") return;
    problems.attempt(line, row, () => {
      const args = parseIpvsadm(words);
      if (args.kind === "service") addService(at, args);
      else if (args.kind === "dest") {
        const { service, dest } = namesOf(words);
        dests.push({ place: -(order.get(service)?.indexOf(dest) ?? 0), line, row, args });
      } else throw new UsageError("expected what `ipvsadm -Sn` prints");
    });
  });
  dests.sort((a, b) => a.place - b.place);
  for (const { line, row, args } of dests)
    problems.attempt(line, row, () => destAdd(at.ns, args.key, args.dest));
}

function addService({ ns }: ImportedNs, { key, options }: Service): void {
  serviceAdd(ns, key, options);
}

/** Parameters that change others when they are written come first. */
function rank(name: string): number {
  if (name === "net.ipv4.ip_forward") return 0;
  if (name.includes(".conf.all.")) return 1;
  return name.includes(".default.") ? 2 : 3;
}

const SHOWN = 5;
/** Parameters that the kernel sizes by its memory, or that concern the synchronisation daemon of IPVS, which never runs. */
const WITHOUT_EFFECT =
  /^net\.(ipv4\.(tcp_mem|udp_mem|vs\.(sync_|backup_only|debug_level|am_droprate|amemthresh))|netfilter\.nf_conntrack_(count|buckets))/;

/** Sets every parameter that the lab's kernel has and that differs; says once which ones it does not have. */
export function importSysctls(all: readonly ImportedNs[], problems: Problems): void {
  const unknown = new Set<string>();
  for (const { ns, dump } of all) {
    const section = dump.sections.get("sysctl");
    if (section === undefined) continue;
    if (section.text.includes("net.bridge.bridge-nf-call-iptables")) ns.kernel.bridgeNetfilter = true;
    const known = new Set(ns.sysctl.names());
    const rows = section.text.split("\n").map((row, i) => {
      const [name, value = ""] = row.split(/\s*=\s*(.*)/);
      return { name: name.trim(), value: value.trim().replace(/\s+/g, "\t"), line: section.line + i };
    });
    for (const { name, value, line } of rows.sort((a, b) => rank(a.name) - rank(b.name))) {
      if (!name.startsWith("net.") || name.startsWith("net.ipv6.") || WITHOUT_EFFECT.test(name)) continue;
      if (!known.has(name)) unknown.add(name.replace(/\.(conf|neigh)\.[^.]+\./, ".$1.*."));
      else if (ns.sysctl.get(name).replace(/\s+/g, "\t") !== value)
        problems.attempt(line, `${ns.name} ${name}`, () => ns.sysctl.set(name, value));
    }
  }
  if (unknown.size === 0) return;
  const names = [...unknown].sort();
  const more = names.length > SHOWN ? `, … (${names.length})` : "";
  problems.note(`kernel parameters that are not modelled: ${names.slice(0, SHOWN).join(", ")}${more}`);
}

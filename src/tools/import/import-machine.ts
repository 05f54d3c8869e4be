/**
 * A real node from its dump: its namespaces with all that decides about packets stand as they stood there. Everything goes
 * through `net/ctl`. What the dump has and meshwire does not model is named in one error; what does no harm in a note.
 */
import type { Machine } from "../../host/machine.ts";
import { udpEcho } from "../../host/udp-echo.ts";
import { whoami } from "../../host/whoami.ts";
import { parseIp4 } from "../../wire/address.ts";
import type { DumpNetns, NodeDump } from "./dump.ts";
import { LinkImporter, type Plug } from "./import-links.ts";
import { importIptables, importIpvs, importSysctls } from "./import-netfilter.ts";
import { importAddresses, importFdb, importNeighbours, importRoutes, importRules } from "./import-routes.ts";
import type { ImportedNs } from "./imported-ns.ts";
import { ip4Addresses, kindOf, linksOf, macOf } from "./link-json.ts";
import { NamespaceNames } from "./names.ts";
import { Problems } from "./problems.ts";

/** Servers that stand for those of a namespace. */
export interface ListenSpec {
  readonly http?: number;
  readonly "udp-echo"?: number;
}

export interface ImportSpec {
  readonly dump: NodeDump;
  /** Servers by name of the namespace. */
  readonly listen: Readonly<Record<string, ListenSpec>>;
}

/** A network card of the dumped host. */
export interface DumpedCard {
  readonly name: string;
  readonly mac: { readonly hi: number; readonly lo: number };
  /** IPv4 addresses, int32. */
  readonly addresses: readonly number[];
}

/** Cards of the host by ifindex. Throws a ScenarioError for a section that cannot be read. */
export function cardsOf(dump: NodeDump): DumpedCard[] {
  const problems = new Problems(dump.file);
  const links = linksOf(dump.namespaces[0], problems);
  problems.check();
  return links.flatMap((link) => {
    const mac = kindOf(link) === "nic" ? macOf(link) : null;
    if (mac === null) return [];
    return [
      { name: link.ifname, mac, addresses: ip4Addresses(link).map(({ local }) => parseIp4(local) ?? 0) },
    ];
  });
}

/** Names that the namespaces of a dump have in the lab. */
export function namespaceNames(dump: NodeDump): string[] {
  const names = new NamespaceNames(dump);
  return dump.namespaces.map(({ path }) => names.name(path));
}

/** Builds the node in a machine that is empty but for its loopback. Returns notes. Throws a ScenarioError. */
export function importMachine(machine: Machine, spec: ImportSpec, plug: Plug): string[] {
  const { dump } = spec;
  const problems = new Problems(dump.file);
  const names = new NamespaceNames(dump);
  const all = dump.namespaces.map((netns): ImportedNs => {
    const name = names.name(netns.path);
    const ns = name === "host" ? machine.hostNs : machine.kernel.createNs(name, netns.path);
    refuseRest(netns, problems);
    return { ns, dump: netns, links: linksOf(netns, problems), leftOut: new Set() };
  });
  problems.check();
  machine.kernel.enter();
  try {
    new LinkImporter(machine, all, problems, plug).run();
    importSysctls(all, problems);
    for (const at of all) {
      importAddresses(at, problems);
      importRules(at, problems);
      importRoutes(at, problems);
      importNeighbours(at, problems);
      importFdb(at, problems);
      importIptables(at, problems);
      importIpvs(at, problems);
    }
  } finally {
    machine.kernel.leave();
  }
  problems.check();
  for (const at of all) startServers(machine, at, spec, names.hostname(at.dump.path), problems);
  return problems.notes.map((note) => `${dump.file}: ${note}`);
}

/** Tables that iptables shows, of the nft back end. */
const IPTABLES_OF_NFT =
  /^table (ip (filter|nat|mangle|raw|security)|ip6 \S+|arp \S+|bridge (filter|nat|broute))$/;

/** State that no part of the importer reads. */
function refuseRest({ sections }: DumpNetns, problems: Problems): void {
  const nft = sections.get("nft");
  nft?.text.split("\n").forEach((row, i) => {
    const table = row.trim();
    if (table.startsWith("table") && !IPTABLES_OF_NFT.test(table))
      problems.error(nft.line + i, `not modelled: nftables (${table})`);
  });
  const xfrm = sections.get("xfrm");
  if (xfrm !== undefined && xfrm.text !== "")
    problems.error(xfrm.line, "not modelled: IPsec of an imported node");
}

/** Sockets of a dump: `tcp   LISTEN 0  128  0.0.0.0:80  0.0.0.0:*  users:((…))`. */
const SOCKET = /^(tcp|udp)\s+\S+\s+\d+\s+\d+\s+(\S+):(\d+)\s/;

function startServers(
  machine: Machine,
  { ns, dump }: ImportedNs,
  spec: ImportSpec,
  hostname: string | null,
  problems: Problems,
): void {
  const { http, "udp-echo": echo } = spec.listen[ns.name] ?? {};
  const host = hostname ?? machine.name;
  if (http !== undefined) {
    const udpPorts = echo === undefined ? [] : [echo];
    machine.spawn("whoami", ns, whoami({ hostname: host, port: http, udpPorts }));
  } else if (echo !== undefined) machine.spawn("udp-echo", ns, udpEcho({ hostname: host, port: echo }));
  if (hostname === null) return;
  const silent = (dump.sections.get("sockets")?.text ?? "").split("\n").flatMap((row) => {
    const [, protocol, address, port] = SOCKET.exec(row) ?? [];
    const served = Number(port) === (protocol === "tcp" ? http : echo);
    return port === undefined || served || address.startsWith("127.") ? [] : [`${protocol} ${port}`];
  });
  if (silent.length > 0)
    problems.note(`${ns.name}: nobody answers on ${[...new Set(silent)].join(", ")}: see \`listen:\``);
}

/** Machines that stand as a dump of a real node has them: `node1: { import: node1.dump, listen: { ctr-web.1: { http: 80 } } }`. */
import type { MachineSpec, NicSpec, SegmentSpec } from "../lab.ts";
import { parseDump } from "../tools/import/dump.ts";
import { cardsOf, type ListenSpec, namespaceNames } from "../tools/import/import-machine.ts";
import { prefixToMask } from "../wire/address.ts";
import type { FrontMatterPlaces } from "./front-matter.ts";
import { suggestion } from "./suggestion.ts";

/** Text of a file that a page names, null when there is none. */
export type FileReader = (name: string) => string | null;

/** What a dump decides, so that a page may not. */
const DECIDED = ["docker", "forward", "gateway"];
const SERVERS = ["http", "udp-echo"];
const MAX_PORT = 65535;

/** The part of a machine that its dump decides. Throws a ScenarioError, in the page or in the dump. */
export function importedMachine(
  keys: Record<string, unknown>,
  segments: readonly SegmentSpec[],
  path: readonly string[],
  places: FrontMatterPlaces,
  readFile: FileReader,
): Pick<MachineSpec, "nics" | "imported"> {
  const file = keys.import;
  if (typeof file !== "string" || file === "")
    throw places.errorAtValue(
      [...path, "import"],
      "`import`: expected the name of a dump, such as node1.dump",
    );
  for (const key of Object.keys(keys))
    if (DECIDED.includes(key) || segments.some(({ name }) => name === key))
      throw places.errorAtKey(
        [...path, key],
        `\`${key}\` of an imported machine is what its dump says: take it out`,
      );
  const text = readFile(file);
  if (text === null)
    throw places.errorAtValue([...path, "import"], `there is no file \`${file}\` beside the page`);
  const dump = parseDump(file, text);
  const listen = listenOf(keys.listen, namespaceNames(dump), [...path, "listen"], places);
  const cards = cardsOf(dump);
  const nics = cards.flatMap(({ name, mac, addresses }): NicSpec[] => {
    for (const segment of segments)
      for (const address of addresses)
        if ((address & prefixToMask(segment.prefixLen)) === segment.network)
          return [{ segment: segment.name, address, mac, dev: name }];
    return [];
  });
  if (nics.length === 0 && cards.length > 0)
    throw places.errorAtValue(
      [...path, "import"],
      `no card of \`${file}\` has an address in a segment of this lab`,
    );
  return { nics, imported: { dump, listen } };
}

function listenOf(
  value: unknown,
  namespaces: readonly string[],
  path: readonly string[],
  places: FrontMatterPlaces,
): Record<string, ListenSpec> {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw places.errorAtValue(path, "`listen`: expected a mapping such as { ctr-web.1: { http: 80 } }");
  for (const [name, servers] of Object.entries(value as Record<string, unknown>)) {
    if (!namespaces.includes(name))
      throw places.errorAtKey(
        [...path, name],
        `the dump has no namespace \`${name}\`${suggestion(name, namespaces)}`,
      );
    if (typeof servers !== "object" || servers === null)
      throw places.errorAtValue([...path, name], "expected servers such as { http: 80, udp-echo: 5353 }");
    for (const [server, port] of Object.entries(servers)) {
      if (!SERVERS.includes(server))
        throw places.errorAtKey(
          [...path, name, server],
          `unknown server \`${server}\`${suggestion(server, SERVERS)}`,
        );
      if (!Number.isInteger(port) || (port as number) < 1 || (port as number) > MAX_PORT)
        throw places.errorAtValue([...path, name, server], `\`${server}\`: expected a port, 1 to 65535`);
    }
  }
  return value as Record<string, ListenSpec>;
}

/**
 * Names that the embedded DNS server knows (libnetwork network.go addSvcRecords, service_common.go, sandbox.go
 * ResolveName). Each network has records of its own; a container asks those of the networks that it is attached to.
 */

interface NameEntry {
  readonly addr: number;
  /** Endpoints and services that stand behind the record; it goes with the last. */
  readonly owners: Set<string>;
}

/** Records of one network. */
export class ServiceRecords {
  private readonly names = new Map<string, NameEntry[]>();
  private readonly reverse = new Map<number, string>();

  /** Adds `name` -> `addr` on behalf of `owner`; `pointer` also answers the reverse question. */
  add(name: string, addr: number, owner: string, pointer: boolean): void {
    const key = name.toLowerCase();
    let entries = this.names.get(key);
    if (entries === undefined) {
      entries = [];
      this.names.set(key, entries);
    }
    const entry = entries.find((candidate) => candidate.addr === addr);
    if (entry === undefined) entries.push({ addr, owners: new Set([owner]) });
    else entry.owners.add(owner);
    if (pointer && !this.reverse.has(addr)) this.reverse.set(addr, name);
  }

  remove(name: string, addr: number, owner: string, pointer: boolean): void {
    const key = name.toLowerCase();
    const entries = this.names.get(key);
    const entry = entries?.find((candidate) => candidate.addr === addr);
    if (pointer && this.reverse.get(addr) === name) this.reverse.delete(addr);
    if (entries === undefined || entry === undefined || !entry.owners.delete(owner)) return;
    if (entry.owners.size > 0) return;
    entries.splice(entries.indexOf(entry), 1);
    if (entries.length === 0) this.names.delete(key);
  }

  /** Addresses of a name in the order they came; empty when the name is unknown here. */
  lookup(name: string): number[] {
    return (this.names.get(name.toLowerCase()) ?? []).map((entry) => entry.addr);
  }

  /** Name of an address, or null. */
  lookupPointer(addr: number): string | null {
    return this.reverse.get(addr) ?? null;
  }
}

/** An endpoint that is no part of a service, by its names. */
export interface NamedEndpoint {
  readonly id: string;
  /** "" when it has none. */
  readonly dnsName: string;
  readonly aliases: readonly string[];
  readonly addr: number;
}

/** The names of an endpoint outside of the services come or go (addContainerNameResolution, updateSvcRecord). */
export function nameEndpoint(records: ServiceRecords, endpoint: NamedEndpoint, add: boolean): void {
  const { id, dnsName, aliases, addr } = endpoint;
  if (dnsName === "") return;
  for (const [name, pointer] of [[dnsName, true] as const, ...aliases.map((a) => [a, false] as const)])
    if (add) records.add(name, addr, id, pointer);
    else records.remove(name, addr, id, pointer);
}

/** A network as the resolver of one sandbox sees it. */
export interface ResolverNetwork {
  readonly name: string;
  readonly records: ServiceRecords;
}

/**
 * Addresses of `name` for a sandbox on `networks` (in the order in which they are asked), or none. A dotted name is
 * tried whole in all networks, then as `name.network`, with the network's name as long as it can be.
 */
export function resolveName(name: string, networks: readonly ResolverNetwork[]): number[] {
  const plain = name.endsWith(".") ? name.slice(0, -1) : name;
  for (const network of networks) {
    const found = network.records.lookup(plain);
    if (found.length > 0) return found;
  }
  for (let dot = plain.lastIndexOf("."); dot > 0; dot = plain.lastIndexOf(".", dot - 1)) {
    const suffix = plain.slice(dot + 1);
    for (const network of networks) {
      if (network.name !== suffix) continue;
      const found = network.records.lookup(plain.slice(0, dot));
      if (found.length > 0) return found;
    }
  }
  return [];
}

/** `name.network` of an address, or null. */
export function resolvePointer(addr: number, networks: readonly ResolverNetwork[]): string | null {
  for (const network of networks) {
    const name = network.records.lookupPointer(addr);
    if (name !== null) return `${name}.${network.name}`;
  }
  return null;
}

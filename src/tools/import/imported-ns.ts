/** A namespace of a dump and the one that stands for it. */
import type { NetNs } from "../../net/core/net-ns.ts";
import type { DumpNetns } from "./dump.ts";
import type { LinkJson } from "./link-json.ts";

export interface ImportedNs {
  readonly ns: NetNs;
  readonly dump: DumpNetns;
  readonly links: readonly LinkJson[];
  /** Names of devices that are left out: nothing is told of them, and nothing goes through them. */
  readonly leftOut: Set<string>;
}

/** Line of a section, or of the namespace when it has none. */
export function lineOf({ dump }: ImportedNs, section: string): number {
  return dump.sections.get(section)?.line ?? dump.line;
}

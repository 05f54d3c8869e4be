/** How nft(8) was asked to list: -a, -n, -s. */
import type { NetNs } from "../../net/core/net-ns.ts";

export interface ListOptions {
  readonly ns: NetNs;
  readonly handles: boolean;
  readonly numeric: boolean;
  readonly stateless: boolean;
}

export function handleText({ handles }: ListOptions, handle: number): string {
  return handles ? ` # handle ${handle}` : "";
}

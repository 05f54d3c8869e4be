/** Numbers by which namespaces know each other: what RTM_NEWNSID does (net/core/net_namespace.c rtnl_net_newid). */

import { SysError } from "../../util/errors.ts";
import type { NetNs } from "../core/net-ns.ts";

/** Gives `other` the number `id` in `ns` (`ip netns set`), null the lowest free one. EEXIST when either is taken. */
export function netnsSetId(ns: NetNs, other: NetNs, id: number | null): void {
  const { peerNetns } = ns;
  if (other === ns || peerNetns.includes(other))
    throw new SysError("EEXIST", "Error: Peer netns already has a nsid assigned.");
  if (id === null) {
    ns.netnsId(other);
    return;
  }
  if ((peerNetns[id] ?? null) !== null)
    throw new SysError("EEXIST", "Error: The specified nsid is already used.");
  while (peerNetns.length < id) peerNetns.push(null);
  peerNetns[id] = other;
}

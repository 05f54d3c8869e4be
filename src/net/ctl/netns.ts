/** Numbers by which namespaces know each other: what RTM_NEWNSID does (net/core/net_namespace.c rtnl_net_newid). */

import { SysError } from "../../util/errors.ts";
import type { NetNs } from "../core/net-ns.ts";

/** Gives `other` the number `id` in `ns` (`ip netns set`). EEXIST when either is taken. */
export function netnsSetId(ns: NetNs, other: NetNs, id: number): void {
  const { peerNetns } = ns;
  if (peerNetns[id] === other) return;
  if (other === ns || peerNetns.includes(other) || (peerNetns[id] ?? null) !== null)
    throw new SysError("EEXIST", other.name);
  while (peerNetns.length < id) peerNetns.push(null);
  peerNetns[id] = other;
}

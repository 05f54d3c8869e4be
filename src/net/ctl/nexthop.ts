/** Next hops with numbers: what RTM_NEWNEXTHOP, RTM_DELNEXTHOP and RTM_GETNEXTHOP do (net/ipv4/nexthop.c). */
import { SysError } from "../../util/errors.ts";
import { RTN_UNICAST } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN } from "../ipv4/fib.ts";
import { fibCheck } from "../ipv4/fib-semantics.ts";
import { type Ipv4Net, ipv4Of } from "../ipv4/ipv4-net.ts";
import type { Nexthop, NexthopMember } from "../ipv4/nexthop.ts";
import { nexthopRemove, nexthopUpdateRoutes } from "../ipv4/nexthop-routes.ts";

export interface NexthopSpec {
  /** 0: one that is free. */
  readonly id: number;
  readonly gateway: number;
  readonly dev: NetDevice | null;
  readonly onlink: boolean;
  readonly blackhole: boolean;
  readonly members: readonly NexthopMember[];
  readonly protocol: number;
}

function refused(text: string): never {
  throw new SysError("EINVAL", `Error: ${text}`);
}

/** Adds one. EEXIST when it is there, unless it may be replaced by one of its kind. */
export function nexthopAdd(ns: NetNs, spec: NexthopSpec, replace: boolean): void {
  const net = ipv4Of(ns);
  const { nexthops } = net;
  checkWords(spec);
  checkMembers(net, spec.members);
  const known = nexthops.find(spec.id);
  if (known !== undefined && !replace) throw new SysError("EEXIST");
  const isGroup = spec.members.length > 0;
  if (known !== undefined && (known.kind === "group") !== isGroup)
    refused(
      isGroup
        ? "Can not replace a nexthop with a nexthop group."
        : "Can not replace a nexthop group with a nexthop.",
    );
  if (known !== undefined && spec.blackhole) checkAlone(net, spec.id);
  const made = makeNexthop(net, spec);
  nexthops.put({ ...made, id: spec.id === 0 ? nexthops.unusedId() : spec.id });
  if (known !== undefined) nexthopUpdateRoutes(net);
}

/** rtm_to_nh_config */
function checkWords({ gateway, dev, blackhole, members }: NexthopSpec): void {
  if (members.length > 0 || blackhole) return;
  if (gateway === 0 && dev === null) refused("Invalid address family.");
  if (dev === null) refused("Device attribute required for non-blackhole and non-fdb nexthops.");
}

/** nh_check_attr_group */
function checkMembers({ nexthops }: Ipv4Net, members: readonly NexthopMember[]): void {
  if (members.some(({ id }, i) => members.findIndex((other) => other.id === id) !== i))
    refused("Nexthop id can not be used twice in a group.");
  for (const { id } of members) {
    const member = nexthops.find(id);
    if (member === undefined) throw new SysError("EINVAL", "Error: Invalid nexthop id.");
    if (member.kind === "group") refused("Hash-threshold group can not be a nexthop within a group.");
    if (member.kind === "blackhole" && members.length > 1)
      refused("Blackhole nexthop can not be used in a group with more than 1 path.");
  }
}

/** What loses packets is the only member of its group (replace_nexthop_single). */
function checkAlone({ nexthops }: Ipv4Net, id: number): void {
  for (const one of nexthops.list)
    if (one.kind === "group" && one.members.length > 1 && one.members.some((member) => member.id === id))
      refused("Blackhole nexthop can not be a member of a group with more than one path.");
}

function makeNexthop(net: Ipv4Net, spec: NexthopSpec): Nexthop {
  const { id, gateway, dev, onlink, protocol, members } = spec;
  if (members.length > 0) return { kind: "group", id, protocol, members };
  if (spec.blackhole) {
    // It leads to lo (nh_create_ipv4).
    if (net.ns.device("lo")?.isUp !== true)
      throw new SysError("ENETDOWN", "Error: Device for nexthop is not up.");
    return { kind: "blackhole", id, protocol };
  }
  const checked = fibCheck(net, {
    table: RT_TABLE_MAIN,
    dst: 0,
    prefixLen: 0,
    tos: 0,
    type: RTN_UNICAST,
    metric: 0,
    protocol,
    scope: RT_SCOPE_UNIVERSE,
    prefSrc: 0,
    gateway,
    dev,
    mtu: 0,
    onlink,
  });
  const path = { gateway, dev: checked.dev!, nhScope: checked.nhScope, onlink, weight: 1 };
  return { kind: "hop", id, protocol, path };
}

/** With the routes that have no other. ENOENT when it is not there. */
export function nexthopDel(ns: NetNs, id: number): void {
  const net = ipv4Of(ns);
  if (net.nexthops.find(id) === undefined) throw new SysError("ENOENT");
  nexthopRemove(net, (nexthop) => nexthop.id === id);
}

/** By number. */
export function nexthopDump(ns: NetNs): readonly Nexthop[] {
  return ipv4Of(ns).nexthops.list;
}

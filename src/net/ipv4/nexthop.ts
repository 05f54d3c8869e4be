/**
 * Next hops with a number of their own (net/ipv4/nexthop.c): routes name them, and follow when they change. Here a route has
 * a copy of the next hops, which is made anew with each change.
 */
import type { NetDevice } from "../core/net-device.ts";
import type { FibPath } from "./fib.ts";

export interface NexthopMember {
  readonly id: number;
  readonly weight: number;
}

/** One next hop, several, or none: what is sent there is lost. */
export type Nexthop =
  | { readonly kind: "hop"; readonly id: number; readonly protocol: number; readonly path: FibPath }
  | { readonly kind: "blackhole"; readonly id: number; readonly protocol: number }
  | {
      readonly kind: "group";
      readonly id: number;
      readonly protocol: number;
      readonly members: readonly NexthopMember[];
    };

export class Nexthops {
  /** By number, rising. */
  list: readonly Nexthop[] = [];
  private lastId = 0;

  find(id: number): Nexthop | undefined {
    return this.list.find((one) => one.id === id);
  }

  /** A number that nobody has (nh_find_unused_id). */
  unusedId(): number {
    do this.lastId++;
    while (this.find(this.lastId) !== undefined);
    return this.lastId;
  }

  put(nexthop: Nexthop): void {
    const others = this.list.filter(({ id }) => id !== nexthop.id);
    this.list = [...others, nexthop].sort((a, b) => a.id - b.id);
  }

  /** Takes out those that `doomed` names, from the groups as well; a group without members goes too. What went. */
  remove(doomed: (nexthop: Nexthop) => boolean): readonly number[] {
    const gone = new Set(this.list.filter(doomed).map(({ id }) => id));
    this.list = this.list
      .filter(({ id }) => !gone.has(id))
      .map((one) =>
        one.kind === "group" ? { ...one, members: one.members.filter(({ id }) => !gone.has(id)) } : one,
      );
    for (const one of this.list) if (one.kind === "group" && one.members.length === 0) gone.add(one.id);
    this.list = this.list.filter(({ id }) => !gone.has(id));
    return [...gone];
  }

  /** Where packets go; none for one that loses them. */
  pathsOf(nexthop: Nexthop): readonly FibPath[] {
    if (nexthop.kind === "hop") return [nexthop.path];
    if (nexthop.kind === "blackhole") return [];
    return nexthop.members.flatMap(({ id, weight }) => {
      const member = this.find(id);
      return member?.kind === "hop" ? [{ ...member.path, weight }] : [];
    });
  }

  /** Leads to nowhere else than that device. */
  static uses(nexthop: Nexthop, dev: NetDevice): boolean {
    return nexthop.kind === "hop" && nexthop.path.dev === dev;
  }
}

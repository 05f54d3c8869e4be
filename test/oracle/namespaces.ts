/**
 * Network namespaces of this machine in store. To make one ready and to end one the kernel waits for RCU grace periods,
 * some hundredths of a second each: a store does many at once. Each is held by a descriptor only, so that nothing is left
 * behind however the process ends.
 */
import { writeFileSync } from "node:fs";
import {
  addRing,
  addRingNow,
  Capture,
  closeFd,
  closeFdLater,
  currentNetns,
  enterNetns,
  newNetns,
  openDeafSocket,
} from "./libc.ts";

export interface FreshNamespace {
  readonly fd: number;
  /** Sees nothing before it is started. */
  readonly capture: Capture;
}

/** No IPv6 chatter; receive buffers as Linux 6.1 has them (the window scale of a SYN follows from the largest). */
const DEFAULTS: readonly (readonly [path: string, value: string])[] = [
  ["ipv6/conf/all/disable_ipv6", "1"],
  ["ipv6/conf/default/disable_ipv6", "1"],
  ["ipv4/tcp_rmem", "4096 131072 6291456"],
];

const IN_STORE = 24;
/** While namespaces end nobody else may change a link (RTNL): one round for many of them. */
const DEAD_AT_ONCE = 72;
const AT_ONCE = 24;

/** A new namespace with the socket of its capture to be. */
function begin(): { fd: number; socket: number } {
  const fd = newNetns();
  for (const [path, value] of DEFAULTS) writeFileSync(`/proc/sys/net/${path}`, value);
  return { fd, socket: openDeafSocket() };
}

/** Runs `make` and comes back into the namespace of before. */
function away<T>(make: () => T): T {
  const home = currentNetns();
  try {
    return make();
  } finally {
    enterNetns(home);
    closeFd(home);
  }
}

/** Does something with each, as many at a time as koffi lets wait. */
async function together<T>(list: readonly T[], what: (one: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < list.length; i += AT_ONCE) await Promise.all(list.slice(i, i + AT_ONCE).map(what));
}

export class NamespaceStore {
  private readonly fresh: FreshNamespace[] = [];
  private readonly dead: FreshNamespace[] = [];

  /** A namespace in which nothing was done yet. */
  take(): FreshNamespace {
    const ready = this.fresh.pop();
    if (ready !== undefined) return ready;
    const { fd, socket } = away(begin);
    addRingNow(socket);
    return { fd, capture: new Capture(socket) };
  }

  /** The namespace is used up. */
  giveBack(namespace: FreshNamespace): void {
    namespace.capture.unmap();
    this.dead.push(namespace);
  }

  /** Makes what will be taken next, and ends what was used when it is much. */
  async refill(wanted = IN_STORE): Promise<void> {
    if (this.fresh.length < wanted / 2) {
      const begun = away(() => Array.from({ length: wanted - this.fresh.length }, begin));
      await together(begun, ({ socket }) => addRing(socket));
      for (const { fd, socket } of begun) this.fresh.push({ fd, capture: new Capture(socket) });
    }
    if (this.dead.length >= DEAD_AT_ONCE) await this.bury();
  }

  /** Ends every namespace that was given back. */
  async bury(): Promise<void> {
    const dead = this.dead.splice(0);
    await together(dead, ({ capture }) => closeFdLater(capture.fd));
    for (const { fd } of dead) closeFd(fd);
  }
}

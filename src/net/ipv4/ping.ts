/** Identifiers of echo requests (ping_get_port in net/ipv4/ping.c): one counter a kernel, whatever the namespace. */
import type { Kernel } from "../core/kernel.ts";

const rovers = new WeakMap<Kernel, number>();

/** The next identifier, from 1 on. */
export function pingGetPort(kernel: Kernel): number {
  const next = ((rovers.get(kernel) ?? 0) % 0xffff) + 1;
  rovers.set(kernel, next);
  return next;
}

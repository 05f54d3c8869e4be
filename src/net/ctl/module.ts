/** Kernel modules that bring something to see (kernel/module; `modprobe`). What is always there needs no loading. */
import type { Kernel } from "../core/kernel.ts";
import { ipipModuleInit } from "../drivers/ipip.ts";

const MODULES: ReadonlyMap<string, (kernel: Kernel) => void> = new Map([["ipip", ipipModuleInit]]);

/** Loads a module; nothing happens for one that is there, or that changes nothing here. */
export function moduleLoad(kernel: Kernel, name: string): void {
  const init = MODULES.get(name);
  if (init === undefined) return;
  kernel.enter();
  init(kernel);
  kernel.leave();
}

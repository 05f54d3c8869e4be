/** What the namespaces of a kernel share: nf_conntrack_max, and the complaint about a full table. */

import { SEC } from "../../../sim/sim.ts";
import type { Kernel } from "../../core/kernel.ts";

const DEFAULT_MAX = 65536;
/** The kernel log takes ten messages of a kind in five seconds (net.core.message_burst, message_cost). */
const WARN_BURST = 10;
const WARN_INTERVAL_NS = 5 * SEC;

export class ConntrackLimits {
  /** Most entries of one namespace; 0: no limit. */
  max = DEFAULT_MAX;
  expectMax = 1024;
  buckets = 65536;
  private windowNs = Number.NEGATIVE_INFINITY;
  private warned = 0;

  /** Says that a packet was dropped because the table is full. */
  warnFull(kernel: Kernel): void {
    const now = kernel.sim.now;
    if (now - this.windowNs > WARN_INTERVAL_NS) {
      this.windowNs = now;
      this.warned = 0;
    }
    if (this.warned++ < WARN_BURST) kernel.printk("nf_conntrack: nf_conntrack: table full, dropping packet");
  }
}

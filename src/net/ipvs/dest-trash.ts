/**
 * Deleted destinations (dest_trash in net/netfilter/ipvs/ip_vs_ctl.c): kept while connections hold them and about two
 * minutes more. One that is added again meanwhile is the old one, with its connections and its counters.
 */
import type { Sim } from "../../sim/sim.ts";
import { Timer } from "../../sim/timer.ts";
import type { IpvsDest, IpvsService, ServiceKey } from "./service.ts";
import { HZ, wheelExpiryNs } from "./timer-wheel.ts";

const SEC = 1_000_000_000;
/** IP_VS_DEST_TRASH_PERIOD; looked through twice in that time. */
const PERIOD_NS = 120 * SEC;
const LOOK_JIFFIES = 60 * HZ;

interface Entry {
  readonly dest: IpvsDest;
  /** Since when nobody has held it, as far as is known; -1: somebody did. */
  idleNs: number;
}

export class DestTrash {
  private readonly entries: Entry[] = [];
  private readonly timer: Timer;
  private readonly sim: Sim;

  constructor(sim: Sim) {
    this.sim = sim;
    this.timer = new Timer(sim, () => this.lookThrough());
  }

  add(dest: IpvsDest): void {
    if (this.entries.length === 0) this.timer.armAt(wheelExpiryNs(this.sim.now, LOOK_JIFFIES));
    this.entries.push({ dest, idleNs: -1 });
  }

  /** Takes the deleted destination of a service of that key out, undefined when there is none (ip_vs_trash_get_dest). */
  take(service: IpvsService, addr: number, port: number): IpvsDest | undefined {
    const index = this.entries.findIndex(
      ({ dest }) => dest.addr === addr && dest.port === port && sameKey(dest.service.key, service.key),
    );
    return index < 0 ? undefined : this.entries.splice(index, 1)[0].dest;
  }

  private lookThrough(): void {
    const { now } = this.sim;
    for (let i = this.entries.length - 1; i >= 0; i--) {
      const entry = this.entries[i];
      const { activeConns, inactConns, persistConns } = entry.dest;
      if (activeConns + inactConns + persistConns > 0) continue;
      if (entry.idleNs < 0) entry.idleNs = now;
      else if (now >= entry.idleNs + PERIOD_NS) this.entries.splice(i, 1);
    }
    if (this.entries.length > 0) this.timer.armAt(wheelExpiryNs(this.sim.now, LOOK_JIFFIES));
  }
}

function sameKey(a: ServiceKey, b: ServiceKey): boolean {
  return a.fwmark === b.fwmark && a.protocol === b.protocol && a.addr === b.addr && a.port === b.port;
}

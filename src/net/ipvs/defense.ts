/**
 * What IPVS does against too many connections (update_defense_level in net/netfilter/ipvs/ip_vs_ctl.c). Memory never runs
 * short here, so the modes that wait for that (1, and 2, which goes back to 1) do nothing.
 */
const ON_DEMAND = 1;
const ACTIVE = 2;
const ALWAYS = 3;

function settled(mode: number): number {
  return mode === ACTIVE ? ON_DEMAND : mode;
}

export class Defense {
  /** net.ipv4.vs.am_droprate */
  amDroprate = 10;
  private packetMode = 0;
  private entryMode = 0;
  private tcpMode = 0;
  private counter = 0;

  get dropPacket(): number {
    return this.packetMode;
  }

  set dropPacket(mode: number) {
    this.packetMode = settled(mode);
  }

  get dropEntry(): number {
    return this.entryMode;
  }

  set dropEntry(mode: number) {
    this.entryMode = settled(mode);
  }

  get secureTcp(): number {
    return this.tcpMode;
  }

  set secureTcp(mode: number) {
    this.tcpMode = settled(mode);
  }

  /** Whether this new connection is the one of so many that is refused (ip_vs_todrop). */
  mustDrop(): boolean {
    if (this.packetMode !== ALWAYS || this.amDroprate === 0 || --this.counter > 0) return false;
    this.counter = this.amDroprate;
    return true;
  }
}

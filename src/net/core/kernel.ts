/**
 * One running kernel: what the namespaces of a machine share. Packets of a machine run to completion by plain calls;
 * veth and loopback hand over through the backlog (the softnet queue of net/core/dev.c), which is emptied when the
 * outermost section that sends or receives ends. So the stack stays shallow and a socket is never entered twice.
 */
import type { Sim } from "../../sim/sim.ts";
import { TimerWheel } from "../../sim/timer-wheel.ts";
import type { Prng } from "../../util/prng.ts";
import { Ring } from "../../util/ring.ts";
import { netifReceiveSkb } from "./dev.ts";
import { Kthreads } from "./kthread.ts";
import { NetNs } from "./net-ns.ts";
import type { RxPauses } from "./rx-pauses.ts";
import type { Skb, SkbPool } from "./skb.ts";

/** net.core.message_cost and message_burst. */
const LOG_WINDOW_NS = 5_000_000_000;
const LOG_BURST = 10;

/** Equips a new namespace with a layer; the lab decides which layers a kernel has. */
export type PernetInit = (ns: NetNs) => void;

/** Work that waits until the machine's own queues of packets are empty (struct tasklet_struct). */
export interface Tasklet {
  runTasklet(): void;
}

export class Kernel {
  readonly name: string;
  readonly sim: Sim;
  /** Its tick, which rounds its timers. */
  readonly wheel: TimerWheel;
  readonly pool: SkbPool;
  readonly prng: Prng;
  /** Key of the flow hash, random per boot (net/core/flow_dissector.c hashrnd). */
  readonly hashKey: number;
  readonly initNs: NetNs;
  readonly namespaces: NetNs[] = [];
  /** Lines of the kernel log with the time of each, ns. */
  readonly log: { atNs: number; text: string }[] = [];
  /** Loads br_netfilter, as Docker does: bridges then call the IPv4 hooks where `bridge-nf-call-iptables` is 1. */
  bridgeNetfilter = false;
  /** The module that writes packets into the log is loaded: each namespace logs by it (nf_log_syslog.c). */
  nfLogSyslog = false;
  /** net.netfilter.nf_log_all_netns: namespaces other than the first may write into the log. */
  nfLogAllNetns = 0;
  /** Transmissions that are under way one inside the other (softnet_data.xmit.recursion). */
  xmitRecursion = 0;
  private readonly pernet: PernetInit[];
  readonly kthreads: Kthreads;
  /** null: frames are taken from the cards as they arrive. */
  rxPauses: RxPauses | null = null;
  /** How often the backlog was emptied. */
  drains = 0;
  private readonly backlog = new Ring<Skb>(64);
  private readonly tasklets = new Ring<Tasklet>(4);
  private depth = 0;
  private nextNsId = 0;
  private logWindowNs = Number.NEGATIVE_INFINITY;
  private logged = 0;

  /**
   * `pernet` runs in order on each new namespace: loopback, ipv4, netfilter, ... `bootedNs` is when the machine started, ns
   * of virtual time.
   */
  constructor(
    name: string,
    sim: Sim,
    pool: SkbPool,
    prng: Prng,
    pernet: readonly PernetInit[],
    bootedNs = sim.now,
  ) {
    this.name = name;
    this.sim = sim;
    this.wheel = new TimerWheel(bootedNs);
    this.pool = pool;
    this.prng = prng;
    this.hashKey = prng.stream("flow-hash").i32();
    this.pernet = [...pernet];
    this.kthreads = new Kthreads(this);
    this.initNs = this.createNs("host", "");
  }

  /** A new namespace with its loopback (down) and every layer of this kernel. */
  createNs(name: string, path: string): NetNs {
    const ns = new NetNs(this, name, path, this.nextNsId++);
    this.namespaces.push(ns);
    for (const init of this.pernet) init(ns);
    return ns;
  }

  /** A module brings one more layer, for the namespaces that are there and those to come (register_pernet_device). */
  registerPernet(init: PernetInit): void {
    if (this.pernet.includes(init)) return;
    this.pernet.push(init);
    for (const ns of this.namespaces) init(ns);
  }

  /** Deletes a namespace with its devices (virtual ones vanish, a nic would go back: not modelled as it never happens). */
  deleteNs(ns: NetNs): void {
    for (const dev of ns.devices().reverse()) if (ns.deviceByIndex(dev.ifindex) === dev) ns.removeDevice(dev);
    const i = this.namespaces.indexOf(ns);
    if (i >= 0) this.namespaces.splice(i, 1);
    for (const other of this.namespaces) other.forgetNetns(ns);
  }

  /** Queues a received packet (netif_rx): it goes to `netifReceiveSkb` when the current section ends. */
  netifRx(skb: Skb): void {
    this.backlog.push(skb);
    if (this.depth === 0) this.drain();
  }

  /** Opens a section (a system call, a timer, an arriving frame): nothing of the backlog runs inside. */
  enter(): void {
    this.depth++;
  }

  /** Closes a section; the outermost one empties the backlog. */
  leave(): void {
    if (--this.depth === 0 && (this.backlog.length > 0 || this.tasklets.length > 0)) this.drain();
  }

  /** Whether packets of this machine wait for their turn. */
  get hasBacklog(): boolean {
    return this.backlog.length > 0;
  }

  /** Runs `tasklet` once when the backlog is empty (tasklet_schedule); within a section. */
  taskletSchedule(tasklet: Tasklet): void {
    this.tasklets.push(tasklet);
  }

  /** When a timer of this kernel that is set now to run out after `delayNs` does so. */
  timerNs(delayNs: number): number {
    return this.wheel.expiryNs(this.sim.now, delayNs);
  }

  /** Adds a line to the kernel log (printk). */
  printk(text: string): void {
    this.log.push({ atNs: this.sim.now, text });
  }

  /** The same for messages that packets cause (net_ratelimit): ten in five seconds, over all of them; the rest is lost. */
  printkRatelimited(text: string): void {
    const now = this.sim.now;
    if (now - this.logWindowNs > LOG_WINDOW_NS) {
      this.logWindowNs = now;
      this.logged = 0;
    }
    if (this.logged++ < LOG_BURST) this.printk(text);
  }

  private drain(): void {
    this.depth++;
    for (;;) {
      for (let skb = this.backlog.shift(); skb !== undefined; skb = this.backlog.shift())
        netifReceiveSkb(skb);
      this.drains++;
      const tasklet = this.tasklets.shift();
      if (tasklet === undefined) break;
      tasklet.runTasklet();
    }
    this.depth--;
  }
}

/** A Linux machine: a kernel, its namespaces by name, its processes. What runs a Docker engine hangs one on `engine`. */
import type { Kernel } from "../net/core/kernel.ts";
import type { NetNs } from "../net/core/net-ns.ts";
import { SysError } from "../util/errors.ts";
import type { Prng } from "../util/prng.ts";
import { Cpu } from "./cpu.ts";
import { MachinePins } from "./machine-pins.ts";
import { Process, type Program } from "./process.ts";

export class Machine {
  readonly name: string;
  kernel: Kernel;
  /** false from a power failure to the next boot. */
  isOn = true;
  readonly processes: Process[] = [];
  readonly cpu: Cpu;
  /** /etc/resolv.conf of the host: name servers as int32 addresses. */
  nameservers: number[] = [];
  /** What a lab page fixes of its chances. */
  pins = new MachinePins();
  /** The Docker engine (`swarm/engine.ts`), null on a machine without Docker. */
  engine: unknown = null;
  private nextPid = 1500;

  constructor(name: string, kernel: Kernel) {
    this.name = name;
    this.kernel = kernel;
    this.cpu = new Cpu(kernel.sim);
  }

  get hostNs(): NetNs {
    return this.kernel.initNs;
  }

  /** The namespace of that name or path; `host` is the machine's own. ENOENT when there is none. */
  netns(nameOrPath: string): NetNs {
    const found = this.kernel.namespaces.find((ns) => ns.name === nameOrPath || ns.path === nameOrPath);
    if (found === undefined) throw new SysError("ENOENT", nameOrPath);
    return found;
  }

  /** Starts a program with its sockets in `ns`; `promptly`: before those that wait for the processor. */
  spawn(comm: string, ns: NetNs, program: Program, promptly = false): Process {
    const process = new Process(this, this.nextPid++, ns, comm);
    this.processes.push(process);
    process.start(program, promptly);
    return process;
  }

  /** Identifier of the next DNS query: drawn, unless it is pinned. */
  queryId(prng: Prng): number {
    const drawn = prng.below(65536);
    return this.pins.queryIds.take(this.kernel.sim.now) ?? drawn;
  }

  /** The clock since boot as a program writes it into a packet, ns, unless that reading is pinned. */
  monotonicStampNs(): number {
    const { sim, wheel } = this.kernel;
    return this.pins.clock.take(sim.now) ?? sim.now - wheel.bootedNs;
  }

  /** The power is gone, and all that was in memory. The cards must hang on no cable any more. */
  powerOff(): void {
    this.isOn = false;
    for (const process of [...this.processes]) process.kill(9);
    const { kernel, hostNs } = this;
    kernel.kthreads.purge();
    for (const ns of kernel.namespaces.filter((one) => one !== hostNs)) kernel.deleteNs(ns);
    for (const dev of hostNs.devices().reverse())
      if (hostNs.deviceByIndex(dev.ifindex) === dev) hostNs.removeDevice(dev);
  }

  /** The power is back: a new kernel runs. */
  powerOn(kernel: Kernel): void {
    this.kernel = kernel;
    this.isOn = true;
  }

  /** Forgets an ended process. */
  reap(process: Process): void {
    const i = this.processes.indexOf(process);
    if (i >= 0) this.processes.splice(i, 1);
  }
}

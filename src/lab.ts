/**
 * A lab: machines with their network cards on segments, one clock and one seed. Every use of chance takes a stream of
 * its own, named by machine, so that one more machine does not move the draws of the others.
 */
import { Machine } from "./host/machine.ts";
import { MachinePins } from "./host/machine-pins.ts";
import type { Process } from "./host/process.ts";
import { bridgeNetfilterInit } from "./net/bridge/br-netfilter.ts";
import { Kernel, type PernetInit } from "./net/core/kernel.ts";
import type { NetDevice } from "./net/core/net-device.ts";
import type { DeviceListener, NetNs } from "./net/core/net-ns.ts";
import { SkbPool } from "./net/core/skb.ts";
import { addressAdd } from "./net/ctl/address.ts";
import { linkSetUp } from "./net/ctl/link.ts";
import { routeAdd } from "./net/ctl/route.ts";
import { xfrmInit } from "./net/ctl/xfrm.ts";
import { Segment, type SegmentOptions } from "./net/drivers/cable.ts";
import { loopbackInit } from "./net/drivers/loopback.ts";
import { nicCreate, nicPinPauses } from "./net/drivers/nic.ts";
import { transportInit } from "./net/ipv4/af-inet.ts";
import { ipv4Init } from "./net/ipv4/ipv4-init.ts";
import { sockOf } from "./net/ipv4/sock.ts";
import { ipvsInit } from "./net/ipvs/ip-vs-ctl.ts";
import { conntrackInit } from "./net/netfilter/conntrack/conntrack.ts";
import { netfilterInit } from "./net/netfilter/ip-tables.ts";
import { natInit } from "./net/netfilter/nat/nat.ts";
import { nftInit } from "./net/netfilter/nft/nft-chain.ts";
import { MS, Sim } from "./sim/sim.ts";
import { engineOf, startDocker } from "./swarm/engine.ts";
import { SwarmFabric } from "./swarm/fabric.ts";
import { type ImageDecl, imageTable } from "./swarm/images.ts";
import type { PinProblem, Pins } from "./swarm/pins.ts";
import { type ImportSpec, importMachine } from "./tools/import/import-machine.ts";
import { InvariantError, SysError, UsageError } from "./util/errors.ts";
import { Pinned, type PinnedPart } from "./util/pinned.ts";
import { Prng } from "./util/prng.ts";
import { prefixToMask } from "./wire/address.ts";

/** A segment as a lab page describes it. */
export interface SegmentSpec {
  readonly name: string;
  /** Network address, int32, and prefix length. */
  readonly network: number;
  readonly prefixLen: number;
  /** Where machines send what is not on a link, int32. */
  readonly gateway: number;
  readonly options: Partial<SegmentOptions>;
}

/** One network card. */
export interface NicSpec {
  readonly segment: string;
  /** int32 */
  readonly address: number;
  /** Upper 16 and lower 32 bits; null: made of the address. */
  readonly mac: { readonly hi: number; readonly lo: number } | null;
  /** Name of the card of an imported machine. */
  readonly dev?: string;
}

export interface MachineSpec {
  readonly name: string;
  readonly nics: readonly NicSpec[];
  /** Runs a Docker engine. */
  readonly docker: boolean;
  /** Forwards packets between its cards. */
  readonly forward: boolean;
  /** Name servers of /etc/resolv.conf, int32. */
  readonly nameservers: readonly number[];
  /** Next hop of the default route, int32; undefined: that of the first card's segment; null: no such route. */
  readonly gateway: number | null | undefined;
  /** Kernel parameters by name. */
  readonly sysctl: readonly (readonly [string, string])[];
  /** Source ports that its own connections take first, in order. */
  readonly ports: readonly PinnedPart<number>[];
  /** The machine stands as a dump of a real node has it; `nics` says where its cards hang. */
  readonly imported?: ImportSpec;
}

export interface LabSpec {
  readonly seed: number;
  readonly segments: readonly SegmentSpec[];
  readonly machines: readonly MachineSpec[];
  readonly images: Readonly<Record<string, ImageDecl>>;
  readonly pins: Pins;
}

/** The layers of every kernel, in the order in which a new namespace gets them. */
const PERNET: readonly PernetInit[] = [
  loopbackInit,
  ipv4Init,
  transportInit,
  conntrackInit,
  natInit,
  netfilterInit,
  nftInit,
  ipvsInit,
  xfrmInit,
  bridgeNetfilterInit,
];

const MAC_PREFIX_HI = 0x5254;
const UPTIME_LEAST_MS = 60_000;
const UPTIME_SPREAD_MS = 120_000;

/**
 * Lower half of a card's MAC address: the third byte of the IPv4 address, 0, and the last one (192.168.200.10 has
 * 52:54:00:c8:00:0a); on a segment wider than /16 the last three bytes.
 */
function defaultMacLo(address: number, prefixLen: number): number {
  if (prefixLen < 16) return address & 0xffffff;
  return ((address << 8) & 0xff0000) | (address & 0xff);
}

/** A kernel parameter of the description that a kernel refuses. */
export class ParameterError extends UsageError {
  readonly machine: string;
  readonly parameter: string;
  constructor(machine: string, parameter: string, message: string) {
    super(message, 2);
    this.machine = machine;
    this.parameter = parameter;
  }
}

function setParameter(machine: Machine, name: string, value: string): void {
  try {
    machine.hostNs.sysctl.set(name, value);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const message =
      error.code === "ENOENT" ? `no kernel parameter \`${name}\`` : `\`${value}\` is no value of \`${name}\``;
    throw new ParameterError(machine.name, name, message);
  }
}

export class Lab {
  readonly spec: LabSpec;
  readonly seed: number;
  readonly sim = new Sim();
  readonly pool = new SkbPool();
  readonly machines = new Map<string, Machine>();
  readonly segments = new Map<string, Segment>();
  /** What the Docker engines share. */
  readonly fabric: SwarmFabric;
  /** Hear of the devices of every namespace, also of those that come later. */
  readonly watchers: DeviceListener[] = [];
  /** How often a machine was started again. */
  private readonly boots = new Map<string, number>();
  /** Pinned source ports by machine; a machine that was started again has a list for each life. */
  private readonly portPins = new Map<string, Pinned<number>[]>();
  /** What imported machines leave out. */
  readonly notes: string[] = [];
  private readonly prng: Prng;

  constructor(spec: LabSpec) {
    this.spec = spec;
    this.seed = spec.seed;
    this.prng = new Prng(spec.seed, "lab");
    for (const segment of spec.segments)
      this.segments.set(
        segment.name,
        new Segment(segment.name, this.sim, this.prng.stream(`segment/${segment.name}`), segment.options),
      );
    for (const machine of spec.machines) this.machines.set(machine.name, this.build(machine));
    this.fabric = new SwarmFabric(this.sim, this.prng.stream("swarm"), spec.pins, imageTable(spec.images));
    for (const { name, docker } of spec.machines) if (docker) startDocker(this.machine(name), this.fabric);
  }

  /** The machine of that name, which must exist. */
  machine(name: string): Machine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new InvariantError(`no machine ${name}`);
    return machine;
  }

  /** The network card by which a machine hangs on a segment. */
  cardOn(segment: string, machine: string): NetDevice | null {
    const port = this.segments.get(segment)?.ports.find(({ dev }) => dev.ns === this.machine(machine).hostNs);
    return port?.dev ?? null;
  }

  /** Pins that could not be kept or were for what never came to be. */
  pinProblems(): PinProblem[] {
    const unused: PinProblem[] = [];
    for (const [name, lists] of this.portPins)
      if (lists.every((list) => list.untouched) && lists.length > 0)
        unused.push({
          path: ["pins", "ports", name],
          message: `\`${name}\` opened no port of its own: the pin is of no use`,
        });
    return [...this.fabric.pins.problems(), ...unused];
  }

  /** Lets time pass, ns. */
  wait(durationNs: number): void {
    this.sim.runUntil(this.sim.now + durationNs);
  }

  /**
   * Lets time pass until the process has ended. False when it does not end: nothing will ever wake it, or `limitNs` is
   * over.
   */
  runProcess(process: Process, limitNs: number): boolean {
    const end = this.sim.now + limitNs;
    while (process.exitStatus === null) if (this.sim.nextNs() > end || !this.sim.step()) return false;
    return true;
  }

  private watch(ns: NetNs): void {
    ns.listeners.push({
      up: (dev) => {
        for (const watcher of this.watchers) watcher.up?.(dev);
      },
      unregistering: (dev) => {
        for (const watcher of this.watchers) watcher.unregistering?.(dev);
      },
    });
  }

  /** Takes a machine's power away: nothing more comes from it, and nobody is told. */
  crash(name: string): void {
    const machine = this.machine(name);
    for (const segment of this.segments.values())
      for (const { dev } of segment.ports.filter((port) => port.dev.ns.kernel === machine.kernel))
        segment.detach(dev);
    engineOf(machine)?.halt();
    machine.powerOff();
  }

  /** Gives a machine its power back: a new kernel with the network of the description; Docker has what was on its disk. */
  boot(name: string): void {
    const spec = this.spec.machines.find((one) => one.name === name)!;
    const machine = this.machine(name);
    const boots = (this.boots.get(name) ?? 0) + 1;
    this.boots.set(name, boots);
    machine.powerOn(this.kernelOf(spec, `machine/${name}/boot/${boots}`, this.sim.now));
    this.setUp(machine, spec);
    if (spec.docker) startDocker(machine, this.fabric, boots);
  }

  private kernelOf({ name }: MachineSpec, stream: string, bootedNs: number): Kernel {
    const watch = (ns: NetNs) => this.watch(ns);
    return new Kernel(name, this.sim, this.pool, this.prng.stream(stream), [...PERNET, watch], bootedNs);
  }

  /** How long a machine has been running when the lab begins: some minutes, so that the ticks of no two fall together. */
  private uptimeNs(name: string): number {
    const prng = this.prng.stream(`machine/${name}/uptime`);
    const drawn = (UPTIME_LEAST_MS + prng.below(UPTIME_SPREAD_MS)) * MS + prng.below(MS);
    return this.spec.pins.nodes?.[name]?.uptimeNs ?? drawn;
  }

  private build(spec: MachineSpec): Machine {
    const machine = new Machine(
      spec.name,
      this.kernelOf(spec, `machine/${spec.name}`, -this.uptimeNs(spec.name)),
    );
    machine.pins = new MachinePins(this.spec.pins, spec.name);
    if (machine.pins.pauses !== null) nicPinPauses(machine.kernel, machine.pins.pauses);
    this.setUp(machine, spec);
    return machine;
  }

  private setUp(machine: Machine, spec: MachineSpec): void {
    const { kernel } = machine;
    const ns = machine.hostNs;
    if (spec.imported === undefined) {
      kernel.enter();
      linkSetUp(ns.device("lo")!);
      spec.nics.forEach((nic, i) => {
        this.plug(machine, `eth${i}`, nic);
      });
      kernel.leave();
      this.addDefaultRoute(machine, spec);
    } else this.import(machine, spec, spec.imported);
    for (const [name, value] of spec.sysctl) setParameter(machine, name, value);
    if (spec.forward) ns.sysctl.set("net.ipv4.ip_forward", "1");
    machine.nameservers = [...spec.nameservers];
    const ports = new Pinned(spec.ports);
    this.portPins.set(spec.name, [...(this.portPins.get(spec.name) ?? []), ports]);
    sockOf(ns).pinnedPorts = ports;
  }

  private import(machine: Machine, { nics }: MachineSpec, imported: ImportSpec): void {
    const notes = importMachine(machine, imported, (dev) => {
      const nic = nics.find((one) => one.dev === dev.name);
      if (nic !== undefined) this.segments.get(nic.segment)!.attach(dev);
      return nic !== undefined;
    });
    this.notes.push(...notes);
  }

  private plug(machine: Machine, name: string, nic: NicSpec): void {
    const segment = this.spec.segments.find((one) => one.name === nic.segment)!;
    const hi = nic.mac?.hi ?? MAC_PREFIX_HI;
    const lo = nic.mac?.lo ?? defaultMacLo(nic.address, segment.prefixLen);
    const mtu = segment.options.mtu ?? 1500;
    const dev = nicCreate(machine.hostNs, name, hi, lo, { mtu });
    this.segments.get(nic.segment)!.attach(dev);
    const mask = prefixToMask(segment.prefixLen);
    linkSetUp(dev);
    addressAdd(dev, { local: nic.address, prefixLen: segment.prefixLen, broadcast: nic.address | ~mask });
  }

  /** By the first card, unless the machine is the gateway itself or a router. */
  private addDefaultRoute(machine: Machine, spec: MachineSpec): void {
    const first = spec.nics[0];
    if (first === undefined || spec.gateway === null || (spec.forward && spec.gateway === undefined)) return;
    const gateway = spec.gateway ?? this.spec.segments.find((one) => one.name === first.segment)!.gateway;
    if (spec.nics.some((nic) => nic.address === gateway)) return;
    const dev = machine.hostNs.device("eth0")!;
    routeAdd(machine.hostNs, { dst: 0, dstLen: 0, gateway, ...(spec.gateway === undefined ? { dev } : {}) });
  }
}

/**
 * What reality leaves to chance, fixed by a lab page (`pins:`). A pin decides a draw that the seed would have made; it
 * never changes what the allocator may do: a pinned address that is taken falls back to the draw, and the page hears of it.
 */
import type { MachinePinLists } from "../host/machine-pins.ts";
import type { PinnedPart } from "../util/pinned.ts";

/** One task: the first of a name such as `web.1`, or with `web.1/2` the second, which took its place. */
export interface TaskPin {
  /** Host name of the node that the scheduler's tie falls on. */
  readonly node?: string;
  /** Place in the order in which the tasks of a service start, from 1. */
  readonly starts?: number;
  /** Address by network name; the order of the keys is the order in which the container joins its networks. */
  readonly addresses?: Readonly<Record<string, string>>;
  /** Names of its networks in the order in which the node makes them. */
  readonly networks?: readonly string[];
}

export interface ServicePin {
  /** Virtual address by network name. */
  readonly vips?: Readonly<Record<string, string>>;
}

export interface NodePin {
  /** Address of the node's load-balancer endpoint by network name. */
  readonly lb?: Readonly<Record<string, string>>;
  /** How long the machine had been running when the lab began, ns. */
  readonly uptimeNs?: number;
  /** When its gossip ticks in each interval, ns after the start of the lab. */
  readonly gossipNs?: number;
}

export interface NetworkPin {
  /** `10.0.7.0/24` */
  readonly subnet?: string;
  readonly vni?: number;
}

export interface Pins extends MachinePinLists {
  readonly tasks?: Readonly<Record<string, TaskPin>>;
  readonly services?: Readonly<Record<string, ServicePin>>;
  readonly nodes?: Readonly<Record<string, NodePin>>;
  readonly networks?: Readonly<Record<string, NetworkPin>>;
  /** By name: the address that comes first in each answer of the embedded DNS servers that has more than one. */
  readonly answers?: Readonly<Record<string, readonly PinnedPart<string>[]>>;
}

export const NO_PINS: Pins = {};

/** The place of a pin on the page, and what became of it. */
export interface PinProblem {
  readonly path: readonly string[];
  readonly message: string;
}

interface TaskName {
  readonly serviceName: string;
  readonly slot: number;
  readonly generation: number;
}

/** The pins of one lab: gives them out, and knows afterwards which were of no use. */
export class PinBook {
  private readonly pins: Pins;
  private readonly asked = new Set<object>();
  /** Pins that could not be kept. */
  private readonly broken: PinProblem[] = [];

  constructor(pins: Pins = NO_PINS) {
    this.pins = pins;
  }

  /** The first task of a slot by its name, a later one with its number. */
  task({ serviceName, slot, generation }: TaskName): TaskPin | undefined {
    const name = `${serviceName}.${slot}`;
    return this.ask(this.pins.tasks?.[generation === 1 ? name : `${name}/${generation}`]);
  }

  service(name: string): ServicePin | undefined {
    return this.ask(this.pins.services?.[name]);
  }

  node(hostname: string): NodePin | undefined {
    return this.pins.nodes?.[hostname];
  }

  network(name: string): NetworkPin | undefined {
    return this.ask(this.pins.networks?.[name]);
  }

  /** Every address that is pinned in a network. */
  addresses(network: string): string[] {
    const { tasks = {}, services = {}, nodes = {} } = this.pins;
    return [
      ...Object.values(tasks).map((pin) => pin.addresses?.[network]),
      ...Object.values(services).map((pin) => pin.vips?.[network]),
      ...Object.values(nodes).map((pin) => pin.lb?.[network]),
    ].filter((text) => text !== undefined);
  }

  /** Notes that something pinned could not be had. */
  notKept(pin: object | undefined, key: readonly string[], message: string): void {
    for (const [kind, pins] of this.kinds())
      for (const [name, one] of Object.entries(pins))
        if (one === pin) this.broken.push({ path: ["pins", kind, name, ...key], message });
  }

  /** What was pinned for nothing: broken pins, and those of what never came to be. */
  problems(): PinProblem[] {
    const unused = this.kinds().flatMap(([kind, pins]) =>
      Object.entries(pins)
        .filter(([, pin]) => !this.asked.has(pin))
        .map(([name]) => ({ path: ["pins", kind, name], message: UNUSED[kind](name) })),
    );
    return [...this.broken, ...unused];
  }

  private kinds(): [keyof typeof UNUSED, Readonly<Record<string, object>>][] {
    const { tasks = {}, services = {}, networks = {} } = this.pins;
    return [
      ["tasks", tasks],
      ["services", services],
      ["networks", networks],
    ];
  }

  private ask<T extends object>(pin: T | undefined): T | undefined {
    if (pin !== undefined) this.asked.add(pin);
    return pin;
  }
}

const UNUSED = {
  tasks: (name: string) => `no task \`${name}\` came to be: the pin is of no use`,
  services: (name: string) => `no service \`${name}\` came to be: the pin is of no use`,
  networks: (name: string) => `no network \`${name}\` came to be: the pin is of no use`,
} as const;

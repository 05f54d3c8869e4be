/**
 * What reality leaves to chance, fixed by a lab page (`pins:`). A pin decides a draw that the seed would have made; it
 * never changes what the allocator may do: a pinned address that is taken falls back to the draw.
 */

/** One task: the first of a name such as `web.1`, or with `web.1/2` the second, which took its place. */
export interface TaskPin {
  /** Host name of the node that the scheduler's tie falls on. */
  readonly node?: string;
  /** Place in the order in which the tasks of a service start, from 1. */
  readonly starts?: number;
  /** Address by network name; the order of the keys is the order in which the container joins its networks. */
  readonly addresses?: Readonly<Record<string, string>>;
}

export interface ServicePin {
  /** Virtual address by network name. */
  readonly vips?: Readonly<Record<string, string>>;
}

export interface NodePin {
  /** Address of the node's load-balancer endpoint by network name. */
  readonly lb?: Readonly<Record<string, string>>;
}

export interface NetworkPin {
  /** `10.0.7.0/24` */
  readonly subnet?: string;
  readonly vni?: number;
}

export interface Pins {
  readonly tasks?: Readonly<Record<string, TaskPin>>;
  readonly services?: Readonly<Record<string, ServicePin>>;
  readonly nodes?: Readonly<Record<string, NodePin>>;
  readonly networks?: Readonly<Record<string, NetworkPin>>;
  /** By name: the address that comes first in each answer of the embedded DNS servers that has more than one. */
  readonly answers?: Readonly<Record<string, readonly string[]>>;
  /** By machine: types (A, AAAA) of the engine's questions to the host's name server, in the order in which they go out. */
  readonly questions?: Readonly<Record<string, readonly string[]>>;
}

/** The pin of the `generation`th task of a slot. */
export function taskPin(
  pins: Pins,
  task: { readonly serviceName: string; readonly slot: number; readonly generation: number },
): TaskPin | undefined {
  const name = `${task.serviceName}.${task.slot}`;
  return pins.tasks?.[task.generation === 1 ? name : `${name}/${task.generation}`];
}

export const NO_PINS: Pins = {};

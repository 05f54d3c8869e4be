/**
 * What reality leaves to chance, fixed by a lab page (`pins:`). A pin decides a draw that the seed would have made; it
 * never changes what the allocator may do: a pinned address that is taken falls back to the draw.
 */

/** The first task of a name such as `web.1`; its replacements are left to chance again. */
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
}

export const NO_PINS: Pins = {};

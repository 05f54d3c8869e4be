/** The cluster store (swarmkit manager/state/store): objects by id, one version counter, and who wants to hear of changes. */
import type { Sim } from "../../sim/sim.ts";
import type { Meta, NetworkObject, NodeObject, ServiceObject, TaskObject } from "./objects.ts";

export type StoreListener = () => void;

export class Store {
  readonly nodes = new Map<string, NodeObject>();
  readonly networks = new Map<string, NetworkObject>();
  readonly services = new Map<string, ServiceObject>();
  readonly tasks = new Map<string, TaskObject>();
  /** Raft index of the last change. */
  version = 10;
  private readonly sim: Sim;
  private readonly listeners: StoreListener[] = [];

  constructor(sim: Sim) {
    this.sim = sim;
  }

  /** Virtual now, ns. */
  get now(): number {
    return this.sim.now;
  }

  onChange(listener: StoreListener): void {
    this.listeners.push(listener);
  }

  /** Version and times of an object that is about to be stored. */
  newMeta(): Meta {
    return { version: ++this.version, createdNs: this.sim.now, updatedNs: this.sim.now };
  }

  /** Notes that an object has changed and tells the listeners. */
  touch(object: Meta): void {
    object.version = ++this.version;
    object.updatedNs = this.sim.now;
    this.changed();
  }

  /** Tells the listeners after objects came or went. */
  changed(): void {
    for (const listener of this.listeners) listener();
  }

  tasksOf(serviceId: string): TaskObject[] {
    return [...this.tasks.values()].filter((task) => task.serviceId === serviceId);
  }

  tasksOn(nodeId: string): TaskObject[] {
    return [...this.tasks.values()].filter((task) => task.nodeId === nodeId);
  }

  ingressNetwork(): NetworkObject | null {
    return [...this.networks.values()].find((network) => network.ingress) ?? null;
  }

  networkByName(name: string): NetworkObject | null {
    return [...this.networks.values()].find((network) => network.name === name) ?? null;
  }
}

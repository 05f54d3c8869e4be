/** The cluster store (swarmkit manager/state/store): objects by id, one version counter, and who wants to hear of changes. */
import type { Sim } from "../../sim/sim.ts";
import type { EncryptionKey } from "./key-manager.ts";
import type { Meta, NetworkObject, NodeObject, ServiceObject, TaskObject } from "./objects.ts";

export type StoreListener = () => void;

export class Store {
  readonly nodes = new Map<string, NodeObject>();
  readonly networks = new Map<string, NetworkObject>();
  readonly services = new Map<string, ServiceObject>();
  readonly tasks = new Map<string, TaskObject>();
  /** Keys that all nodes have in common (Cluster.NetworkBootstrapKeys). */
  networkKeys: readonly EncryptionKey[] = [];
  /** Raft index of the last change. */
  version = 10;
  private readonly sim: Sim;
  private readonly listeners: StoreListener[] = [];
  /** How many tasks a slot of a service has had. */
  private readonly generations = new Map<string, number>();

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

  /** How many tasks a slot has had. */
  generationOf(serviceId: string, slot: number): number {
    return this.generations.get(`${serviceId} ${slot}`) ?? 0;
  }

  /** The number of the next task of a slot, from 1. */
  nextGeneration(serviceId: string, slot: number): number {
    const next = this.generationOf(serviceId, slot) + 1;
    this.generations.set(`${serviceId} ${slot}`, next);
    return next;
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

/**
 * Subnets, VNIs and addresses of the swarm's networks (swarmkit manager/allocator/network.go,
 * cnmallocator/networkallocator.go). Everything on one network comes from one serial cursor: the gateway, virtual
 * addresses of services, addresses of tasks, load-balancer addresses of nodes.
 */
import type { Prng } from "../../../util/prng.ts";
import { parseCidr, parseIp4 } from "../../../wire/address.ts";
import type { NetworkPin, PinBook } from "../../pins.ts";
import {
  type AttachmentSpec,
  type NetworkAttachment,
  type NetworkObject,
  type NodeObject,
  needsIngress,
  type ServiceObject,
  stateRank,
  type TaskObject,
} from "../objects.ts";
import type { Store } from "../store.ts";
import { OrdinalSet, type Pool, type PredefinedPools, Subnet } from "./ipam.ts";

const VNI_FIRST = 4096;
const VNI_LAST = (1 << 24) - 1;

export class NetworkAllocator {
  private readonly store: Store;
  private readonly pools: PredefinedPools;
  private readonly prng: Prng;
  private readonly pins: PinBook;
  private readonly subnets = new Map<string, Subnet>();
  private readonly vnis = new OrdinalSet(VNI_FIRST, VNI_LAST);

  constructor(store: Store, pools: PredefinedPools, prng: Prng, pins: PinBook) {
    this.store = store;
    this.pools = pools;
    this.prng = prng;
    this.pins = pins;
  }

  /** True when `pool` has addresses in common with a network of the swarm. */
  overlaps(pool: Pool): boolean {
    const size = new Subnet(pool.addr, pool.prefixLen);
    return [...this.subnets.values()].some(
      (subnet) => subnet.contains(size.base) || size.contains(subnet.base),
    );
  }

  /** Gives a network its subnet, gateway and VNI. False when no pool is left. */
  allocateNetwork(network: NetworkObject): boolean {
    const pin = this.pins.network(network.name);
    const pinned = this.pinnedPool(pin);
    const pool = network.wantedSubnet ?? pinned ?? this.pools.take(this.takenPools());
    if (pool === null) return false;
    const subnet = new Subnet(pool.addr, pool.prefixLen);
    this.subnets.set(network.id, subnet);
    network.subnet = subnet.base;
    network.prefixLen = subnet.prefixLen;
    const wanted = network.wantedGateway;
    network.gateway = wanted !== null && subnet.takeThis(wanted) ? wanted : subnet.take(true)!;
    network.vni = this.takeVni(pin);
    return true;
  }

  private pinnedPool(pin: NetworkPin | undefined): Pool | null {
    const pool = pin?.subnet === undefined ? null : parseCidr(pin.subnet);
    if (pool === null || !this.overlaps(pool)) return pool;
    this.pins.notKept(pin, ["subnet"], "another network has addresses of it");
    return null;
  }

  private takeVni(pin: NetworkPin | undefined): number {
    if (pin?.vni !== undefined) {
      if (this.vnis.takeThis(pin.vni)) return pin.vni;
      this.pins.notKept(pin, ["vni"], `another network has \`${pin.vni}\``);
    }
    return this.vnis.take(true);
  }

  releaseNetwork(network: NetworkObject): void {
    this.subnets.delete(network.id);
    this.vnis.release(network.vni);
  }

  /** Networks that a service wants virtual addresses on: ingress first, then those of the spec. */
  serviceNetworks(service: ServiceObject): string[] {
    const ingress = needsIngress(service.spec) ? this.store.ingressNetwork() : null;
    return [...(ingress === null ? [] : [ingress.id]), ...service.spec.task.networks];
  }

  /** Brings the virtual addresses of a service in line with its spec. */
  allocateVips(service: ServiceObject): void {
    const wanted = service.spec.endpointMode === "vip" ? this.serviceNetworks(service) : [];
    for (const vip of service.vips)
      if (!wanted.includes(vip.networkId)) this.releaseAddr(vip.networkId, vip.addr);
    // What stays keeps its place; what is new comes behind it.
    const vips = service.vips.filter((vip) => wanted.includes(vip.networkId));
    const pin = this.pins.service(service.spec.name);
    for (const networkId of wanted) {
      if (vips.some((vip) => vip.networkId === networkId)) continue;
      const addr = this.takeAddr(networkId, pin, "vips", pin?.vips);
      if (addr !== null) vips.push({ networkId, addr });
    }
    service.vips = vips;
  }

  releaseVips(service: ServiceObject): void {
    for (const vip of service.vips) this.releaseAddr(vip.networkId, vip.addr);
    service.vips = [];
  }

  /** Addresses of the tasks of one batch: they come in the order of a map, so in any order. */
  allocateTasks(tasks: readonly TaskObject[]): void {
    for (const task of this.prng.shuffle([...tasks])) this.allocateTask(task);
  }

  releaseTask(task: TaskObject): void {
    for (const { networkId, addr } of task.networks) this.releaseAddr(networkId, addr);
    task.networks = [];
  }

  /** Load-balancer addresses of all nodes, in the order of a map as well; the nodes whose addresses changed. */
  allocateNodes(nodes: readonly NodeObject[]): NodeObject[] {
    const needy = nodes.filter((node) => this.needsChange(node));
    return this.prng.shuffle(needy).filter((node) => this.allocateNode(node));
  }

  private needsChange(node: NodeObject): boolean {
    const needed = this.nodeNetworks(node);
    return needed.size !== node.attachments.size || [...needed].some((id) => !node.attachments.has(id));
  }

  /** Gives a node an address on each network it needs and takes back the others; true when something changed. */
  allocateNode(node: NodeObject): boolean {
    const needed = this.nodeNetworks(node);
    let changed = false;
    for (const [networkId, addr] of node.attachments) {
      if (needed.has(networkId)) continue;
      this.releaseAddr(networkId, addr);
      node.attachments.delete(networkId);
      changed = true;
    }
    for (const networkId of needed) {
      if (node.attachments.has(networkId)) continue;
      const pin = this.pins.node(node.hostname);
      const addr = this.takeAddr(networkId, pin, "lb", pin?.lb);
      if (addr === null) continue;
      node.attachments.set(networkId, addr);
      changed = true;
    }
    return changed;
  }

  releaseNode(node: NodeObject): void {
    for (const [networkId, addr] of node.attachments) this.releaseAddr(networkId, addr);
    node.attachments.clear();
  }

  private nodeNetworks(node: NodeObject): Set<string> {
    const needed = new Set<string>();
    const ingress = this.store.ingressNetwork();
    if (ingress !== null) needed.add(ingress.id);
    for (const task of this.store.tasksOn(node.id)) {
      if (stateRank(task.status.state) > stateRank("running")) continue;
      for (const { networkId } of task.networks) needed.add(networkId);
    }
    return needed;
  }

  /** The address of a plain container; when it cannot be had the task waits. */
  private allocateAttachment(task: TaskObject, { networkId, addr: wanted }: AttachmentSpec): void {
    const subnet = this.subnets.get(networkId);
    if (subnet === undefined) return;
    const given = wanted !== 0 && subnet.takeThis(wanted) ? wanted : null;
    const addr = wanted === 0 ? this.takeAddr(networkId, undefined, "", undefined) : given;
    if (addr === null) return;
    task.networks = [{ networkId, addr, prefixLen: subnet.prefixLen }];
    task.allocated = true;
  }

  private allocateTask(task: TaskObject): void {
    if (task.attachment !== null) {
      this.allocateAttachment(task, task.attachment);
      return;
    }
    const service = this.store.services.get(task.serviceId);
    if (service === undefined) return;
    const pin = this.pins.task(task);
    const networks: NetworkAttachment[] = [];
    for (const networkId of this.serviceNetworks(service)) {
      const addr = this.takeAddr(networkId, pin, "addresses", pin?.addresses);
      if (addr === null) return;
      networks.push({ networkId, addr, prefixLen: this.subnets.get(networkId)!.prefixLen });
    }
    task.networks = networks;
    task.ports = service.ports;
    task.vips = service.vips;
    task.endpointMode = service.spec.endpointMode;
    task.allocated = true;
  }

  /** An address of a network: the one that `pinned`, the part `key` of `pin`, names for it, when it is free. */
  private takeAddr(
    networkId: string,
    pin: object | undefined,
    key: string,
    pinned: Readonly<Record<string, string>> | undefined,
  ): number | null {
    const subnet = this.subnets.get(networkId);
    if (subnet === undefined) return null;
    const name = this.nameOf(networkId);
    const text = pinned?.[name];
    const wanted = text === undefined ? null : parseIp4(text);
    if (wanted !== null) {
      if (subnet.takeThis(wanted)) return wanted;
      const why = subnet.contains(wanted) ? "is taken" : `is outside network \`${name}\``;
      this.pins.notKept(pin, [key, name], `${text} ${why}`);
    }
    return subnet.take(true, this.pinnedAddrs(name));
  }

  /** Addresses that a pin keeps for somebody who may come later. */
  private pinnedAddrs(network: string): number[] {
    return this.pins
      .addresses(network)
      .map((text) => parseIp4(text))
      .filter((addr) => addr !== null);
  }

  private releaseAddr(networkId: string, addr: number): void {
    this.subnets.get(networkId)?.release(addr);
  }

  private nameOf(networkId: string): string {
    return this.store.networks.get(networkId)?.name ?? "";
  }

  private takenPools(): Pool[] {
    return [...this.subnets.values()].map(({ base, prefixLen }) => ({ addr: base, prefixLen }));
  }
}

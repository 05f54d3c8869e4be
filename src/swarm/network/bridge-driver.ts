/**
 * The bridge driver (libnetwork drivers/bridge): docker0, docker_gwbridge and bridges of the user, with their rules in
 * the host namespace and the published ports of containers.
 */
import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { addressesOf } from "../../net/ctl/address.ts";
import { linkAdd, linkDel, linkSetAddress, linkSetMaster, linkSetUp } from "../../net/ctl/link.ts";
import type { Prng } from "../../util/prng.ts";
import { Subnet } from "../manager/allocator/ipam.ts";
import type { PortConfig } from "../manager/objects.ts";
import type { DockerProxies } from "./docker-proxy.ts";
import { programPortMapping, removeBridgeRules, setupBridgeRules } from "./iptables-setup.ts";
import { addInterfaceAddress, createVethPair, DOCKER_MAC_HI, randomVethName } from "./links.ts";
import { PortAllocator } from "./port-allocator.ts";
import type { Endpoint, LocalNetwork } from "./types.ts";

/** Ports that are tried where any will do. */
const MAX_ATTEMPTS = 10;

interface BridgeState {
  readonly dev: NetDevice;
  readonly subnet: Subnet;
  readonly icc: boolean;
}

/**
 * The order in which a container's ports are published (SortPortMap of go-connections): greater host ports before, or greater
 * ports of the container before. For two that disagree each comes before the other; what insertion makes of that counts.
 */
function sortPorts(ports: readonly PortConfig[]): PortConfig[] {
  const before = (a: PortConfig, b: PortConfig): boolean =>
    a.publishedPort > b.publishedPort ||
    a.targetPort > b.targetPort ||
    (a.targetPort === b.targetPort && a.protocol === "tcp");
  const sorted = [...ports];
  for (let i = 1; i < sorted.length; i++)
    for (let j = i; j > 0 && before(sorted[j], sorted[j - 1]); j--)
      [sorted[j], sorted[j - 1]] = [sorted[j - 1], sorted[j]];
  return sorted;
}

export class BridgeDriver {
  private readonly hostNs: NetNs;
  private readonly prng: Prng;
  private readonly bridges = new Map<string, BridgeState>();
  private readonly hostPorts = new PortAllocator();

  constructor(hostNs: NetNs, prng: Prng) {
    this.hostNs = hostNs;
    this.prng = prng;
  }

  /** Makes the bridge of a network with its gateway address, and the rules. */
  createNetwork(network: LocalNetwork, icc: boolean): void {
    const ns = this.hostNs;
    const dev = linkAdd(ns, { kind: "bridge", name: network.bridge, txQueueLen: 0 });
    linkSetAddress(dev, DOCKER_MAC_HI, this.prng.i32());
    if (addressesOf(dev).length === 0) addInterfaceAddress(dev, network.gateway, network.prefixLen);
    const subnet = new Subnet(network.subnet, network.prefixLen);
    subnet.takeThis(network.gateway);
    setupBridgeRules(ns, this.rules(network, icc));
    linkSetUp(dev);
    this.bridges.set(network.id, { dev, subnet, icc });
  }

  deleteNetwork(network: LocalNetwork): void {
    const state = this.bridges.get(network.id)!;
    linkDel(state.dev);
    removeBridgeRules(this.hostNs, this.rules(network, state.icc));
    this.bridges.delete(network.id);
  }

  /** Takes one address: whether it is of the network and was free. */
  reserveAddress(network: LocalNetwork, addr: number): "taken" | "outside" | "ok" {
    const { subnet } = this.bridges.get(network.id)!;
    if (!subnet.contains(addr)) return "outside";
    return subnet.takeThis(addr) ? "ok" : "taken";
  }

  /** The lowest free address; null when there is none. */
  requestAddress(network: LocalNetwork): number | null {
    return this.bridges.get(network.id)!.subnet.take(false);
  }

  /** Makes the veth pair of an endpoint: one end on the bridge, the other for the sandbox. */
  createEndpoint(endpoint: Endpoint): void {
    const { dev: bridge } = this.bridges.get(endpoint.network.id)!;
    const hostName = randomVethName(this.prng);
    const containerName = randomVethName(this.prng);
    const { dev, peer } = createVethPair(this.hostNs, hostName, containerName);
    linkSetMaster(dev, bridge);
    linkSetAddress(peer, DOCKER_MAC_HI, endpoint.addr);
    linkSetUp(dev);
    endpoint.dev = peer;
    endpoint.gateway = endpoint.network.internal ? 0 : endpoint.network.gateway;
  }

  /** Deletes the pair and gives the address back. */
  deleteEndpoint(endpoint: Endpoint): void {
    const state = this.bridges.get(endpoint.network.id);
    if (endpoint.dev !== null) linkDel(endpoint.dev);
    endpoint.dev = null;
    state?.subnet.release(endpoint.addr);
  }

  /** Publishes ports on the host, those without a number on the next free one from 49153. Null, or why it could not. */
  mapPorts(endpoint: Endpoint, ports: readonly PortConfig[], proxies: DockerProxies): string | null {
    for (const port of sortPorts(ports)) {
      const why = this.mapPort(endpoint, port, proxies);
      if (why === null) continue;
      this.unmapPorts(endpoint, proxies);
      return why;
    }
    return null;
  }

  /** Where the number is the engine's choice it tries the next ones too. */
  private mapPort(endpoint: Endpoint, port: PortConfig, proxies: DockerProxies): string | null {
    let why: string | null = null;
    for (let attempt = port.publishedPort === 0 ? MAX_ATTEMPTS : 1; attempt > 0; attempt--) {
      const publishedPort = this.hostPorts.request(port);
      if (typeof publishedPort === "string") return publishedPort;
      const done = { ...port, publishedPort };
      programPortMapping(this.hostNs, endpoint.network.bridge, done, endpoint.addr, true);
      why = proxies.start(done, endpoint.addr);
      if (why === null) {
        endpoint.portMappings.push(done);
        return null;
      }
      this.unmapPort(endpoint, done);
    }
    return why;
  }

  unmapPorts(endpoint: Endpoint, proxies: DockerProxies): void {
    for (const port of endpoint.portMappings) {
      proxies.stop(port);
      this.unmapPort(endpoint, port);
    }
    endpoint.portMappings = [];
  }

  private unmapPort(endpoint: Endpoint, port: PortConfig): void {
    this.hostPorts.release(port);
    programPortMapping(this.hostNs, endpoint.network.bridge, port, endpoint.addr, false);
  }

  private rules(network: LocalNetwork, icc: boolean) {
    return {
      bridge: network.bridge,
      subnet: network.subnet,
      prefixLen: network.prefixLen,
      icc,
      masquerade: true,
    };
  }
}

/** Options of a bridge that the engine makes by itself, by their full names. */
export function bridgeOptions(options: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(options).map(([key, value]) => [`com.docker.network.bridge.${key}`, value]),
  );
}

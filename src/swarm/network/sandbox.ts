/**
 * Sandboxes (libnetwork sandbox.go, sandbox_linux.go): the namespace of a container or of a load balancer, and what its
 * endpoints bring into it. Endpoints of a load balancer are populated as they join; those of a container when runc has
 * made its namespace.
 */
import type { Machine } from "../../host/machine.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { routeAdd, routeDel } from "../../net/ctl/route.ts";
import type { PortConfig } from "../manager/objects.ts";
import { addInterface, setupNamespace } from "./links.ts";
import { EmbeddedResolver, type ResolverHost } from "./resolver.ts";
import { addRedirectRules, setupResolverRules } from "./sandbox-rules.ts";
import { type Endpoint, endpointBefore } from "./types.ts";

/** First characters of a sandbox id that name its file. */
const KEY_LENGTH = 12;

export class Sandbox {
  readonly id: string;
  /** `ingress-sbox`, `lb-mynet`, or the container's id. */
  readonly containerId: string;
  /** Path of its namespace. */
  readonly key: string;
  readonly loadBalancer: boolean;
  readonly ingress: boolean;
  /** null for a container that is not started yet. */
  ns: NetNs | null = null;
  /** In the order of endpointBefore. */
  readonly endpoints: Endpoint[] = [];
  private readonly machine: Machine;
  private readonly names: ResolverHost;
  private resolver: EmbeddedResolver | null = null;
  private nextInterface = 0;
  /** The endpoint that the default route leads to. */
  private via: Endpoint | null = null;
  /** Ports of the container that are to be open on the host. */
  published: readonly PortConfig[] = [];

  constructor(
    machine: Machine,
    names: ResolverHost,
    id: string,
    containerId: string,
    kind: "container" | "lb" | "ingress",
  ) {
    this.machine = machine;
    this.names = names;
    this.id = id;
    this.containerId = containerId;
    this.key = `/var/run/docker/netns/${kind === "ingress" ? id : id.slice(0, KEY_LENGTH)}`;
    this.loadBalancer = kind !== "container";
    this.ingress = kind === "ingress";
  }

  /** Makes the namespace (load balancers at once, containers at start) and populates the endpoints that have joined. */
  createNs(name: string): NetNs {
    const ns = this.machine.kernel.createNs(name, this.key);
    setupNamespace(ns);
    this.ns = ns;
    for (const endpoint of this.endpoints) this.populate(endpoint);
    return ns;
  }

  /** An endpoint whose driver has made its device joins. */
  join(endpoint: Endpoint): void {
    let i = this.endpoints.length;
    while (i > 0 && endpointBefore(endpoint, this.endpoints[i - 1])) i--;
    this.endpoints.splice(i, 0, endpoint);
    if (this.ns !== null) this.populate(endpoint);
  }

  leave(endpoint: Endpoint): void {
    const i = this.endpoints.indexOf(endpoint);
    if (i >= 0) this.endpoints.splice(i, 1);
  }

  /** The endpoint on docker_gwbridge or another network with a gateway, null when there is none. */
  gatewayEndpoint(): Endpoint | null {
    return this.endpoints.find((endpoint) => endpoint.gateway !== 0) ?? null;
  }

  /** A container on overlays only needs docker_gwbridge to reach the outside (needDefaultGW). */
  needsDefaultGateway(): boolean {
    if (this.loadBalancer && !this.ingress) return false;
    const outward = this.endpoints.filter(
      ({ network, isGatewayBridge }) => !isGatewayBridge && !network.internal && network.prefixLen > 0,
    );
    return outward.length > 0 && outward.every((endpoint) => endpoint.gateway === 0);
  }

  /** Takes the namespace away; the endpoints have left. */
  destroy(): void {
    this.resolver?.stop();
    this.resolver = null;
    if (this.ns !== null) this.machine.kernel.deleteNs(this.ns);
    this.ns = null;
  }

  /** The default route follows the first endpoint that has a gateway. */
  updateGateway(): void {
    const { ns } = this;
    const via = this.via;
    const next = this.gatewayEndpoint();
    if (ns === null || next === via) return;
    if (via !== null && via.dev !== null) routeDel(ns, defaultRoute(via));
    if (next !== null) routeAdd(ns, defaultRoute(next));
    this.via = next;
  }

  private populate(endpoint: Endpoint): void {
    const ns = this.ns!;
    if (this.resolver === null && endpoint.network.name !== "bridge") this.startResolver(ns);
    const { addr, network, dev } = endpoint;
    addInterface(dev!, ns, `eth${this.nextInterface++}`, { addr, prefixLen: network.prefixLen, macLo: addr });
    if (this.gatewayEndpoint() === endpoint) this.updateGateway();
    const ports = endpoint.service?.ingressPorts ?? [];
    if (network.ingress && !this.loadBalancer) addRedirectRules(ns, addr, ports);
  }

  private startResolver(ns: NetNs): void {
    this.resolver = new EmbeddedResolver(this.machine, ns, this.names, this);
    setupResolverRules(ns, this.resolver.udpPort, this.resolver.tcpPort);
  }
}

function defaultRoute({ gateway, dev }: Endpoint) {
  return { dst: 0, dstLen: 0, gateway, dev: dev! };
}

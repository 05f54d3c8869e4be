/** Networks and endpoints of one engine (libnetwork network.go, endpoint.go). Addresses are int32. */
import type { NetDevice } from "../../net/core/net-device.ts";
import type { PortConfig } from "../manager/objects.ts";

export interface LocalNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: "bridge" | "overlay" | "host" | "null";
  readonly scope: "local" | "swarm";
  readonly ingress: boolean;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly createdNs: number;
  /** prefixLen 0: no addresses (host, none). */
  readonly subnet: number;
  readonly prefixLen: number;
  readonly gateway: number;
  /** The user gave the subnet, so a container may ask for an address of it. */
  readonly subnetGiven: boolean;
  /** The gateway was given, so inspect shows it. */
  readonly showGateway: boolean;
  readonly options: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly endpoints: Endpoint[];
  /** Name of the bridge device; "" for other drivers. */
  readonly bridge: string;
}

/** What a task says about its service on one network. */
export interface ServiceInfo {
  readonly serviceId: string;
  readonly serviceName: string;
  /** 0: none. */
  readonly virtualIp: number;
  readonly ingressPorts: readonly PortConfig[];
  /** Other names of the service on the network. */
  readonly aliases: readonly string[];
}

export class Endpoint {
  readonly id: string;
  readonly name: string;
  readonly network: LocalNetwork;
  readonly addr: number;
  readonly loadBalancer: boolean;
  readonly service: ServiceInfo | null;
  readonly aliases: readonly string[];
  /** Its name says nothing to others: its first alias stands for it, if it has one. */
  readonly anonymous: boolean;
  /** Ports of the container published on the host, with the ports that were chosen. */
  portMappings: PortConfig[] = [];
  /** The container's end of the veth pair, from the driver's join on. */
  dev: NetDevice | null = null;
  /** Default gateway that the network gives; 0 none. */
  gateway = 0;
  /** Records of this endpoint have been published. */
  serviceEnabled = false;

  constructor(
    id: string,
    name: string,
    network: LocalNetwork,
    addr: number,
    loadBalancer: boolean,
    service: ServiceInfo | null,
    aliases: readonly string[],
    anonymous = false,
  ) {
    this.id = id;
    this.name = name;
    this.network = network;
    this.addr = addr;
    this.loadBalancer = loadBalancer;
    this.service = service;
    this.aliases = aliases;
    this.anonymous = anonymous;
  }

  /** What others may call it; "" when nothing. */
  get dnsName(): string {
    return this.anonymous ? (this.aliases[0] ?? "") : this.name;
  }

  get isGatewayBridge(): boolean {
    return this.network.name === "docker_gwbridge";
  }
}

/** Order of endpoints in a sandbox (endpoint Less): docker_gwbridge last, gateways first among them, then by name. */
export function endpointBefore(a: Endpoint, b: Endpoint): boolean {
  if (a.isGatewayBridge !== b.isGatewayBridge) return b.isGatewayBridge;
  if (a.network.internal !== b.network.internal) return b.network.internal;
  const gatewayA = a.gateway !== 0;
  const gatewayB = b.gateway !== 0;
  if (gatewayA !== gatewayB) return gatewayA;
  return a.network.name < b.network.name;
}

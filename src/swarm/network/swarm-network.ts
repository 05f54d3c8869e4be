/** A network of the swarm as a node makes it from the manager's object (daemon/cluster/executor/container networkCreateRequest). */
import type { NetworkObject } from "../manager/objects.ts";
import { VXLAN_ID_LIST } from "./overlay-driver.ts";
import type { LocalNetwork } from "./types.ts";

export function swarmNetwork(object: NetworkObject, createdNs: number): LocalNetwork {
  return {
    id: object.id,
    name: object.name,
    driver: "overlay",
    scope: "swarm",
    ingress: object.ingress,
    internal: object.internal,
    attachable: object.attachable,
    createdNs,
    subnet: object.subnet,
    prefixLen: object.prefixLen,
    gateway: object.gateway,
    subnetGiven: true,
    showGateway: true,
    options: new Map([[VXLAN_ID_LIST, String(object.vni)], ...object.options]),
    labels: object.labels,
    endpoints: [],
    bridge: "",
  };
}

/**
 * Networks of containers that are no tasks (daemon/container_operations.go, daemon/network.go): bridges of this node, and
 * networks of the swarm whose addresses a manager gives. They are joined at the start, later by hand, and left the same ways.
 */
import type { Co } from "../host/process.ts";
import { NotModelledError } from "../util/errors.ts";
import { formatIp4 } from "../wire/address.ts";
import type { Container, NetworkRequest } from "./container.ts";
import { DockerError } from "./docker-error.ts";
import type { Engine } from "./engine.ts";
import type { Attachment } from "./network/controller.ts";
import type { Endpoint, LocalNetwork } from "./network/types.ts";

const PREDEFINED: readonly string[] = ["bridge", "host", "none"];

/** Starts a container on the networks that were asked for. DockerError: why not. */
export function* startPlain(engine: Engine, container: Container): Co<void> {
  const [first, ...others] = container.requests;
  container.onExit = () => {
    engine.releaseSandbox(container);
    if (container.options.autoRemove) engine.removeContainer(container);
  };
  const attachment = yield* attachmentFor(engine, container, first);
  engine.attach(container, [attachment]);
  const error = engine.startContainer(container);
  if (error !== null) {
    engine.detach(attachment.networkId, container);
    throw new DockerError(error);
  }
  activate(engine, container);
  for (const request of others) yield* join(engine, container, request);
}

/** `docker network connect` of a container that runs. */
export function* connectToNetwork(engine: Engine, container: Container, request: NetworkRequest): Co<void> {
  checkRunning(container);
  yield* join(engine, container, request);
  container.requests.push(request);
}

function* join(engine: Engine, container: Container, request: NetworkRequest): Co<void> {
  const attachment = yield* attachmentFor(engine, container, request);
  const network = engine.controller.findNetwork(attachment.networkId)!;
  engine.controller.connect(container.sandbox!, container.name, attachment);
  container.networkNames.push(network.name);
  activate(engine, container);
}

/** `docker network disconnect` of a container that runs. */
export function disconnectFromNetwork(engine: Engine, container: Container, reference: string): void {
  checkRunning(container);
  const network = findNetwork(engine, reference);
  if (network === null) throw new DockerError(`network ${reference} not found`);
  const endpoint = endpointOn(container, network);
  if (endpoint === undefined)
    throw new DockerError(`container ${container.id} is not connected to network ${network.name}`);
  leave(engine, container, endpoint);
}

/** The node leaves the swarm, and its containers the networks that are the swarm's. */
export function clearAttachableNetworks(engine: Engine): void {
  for (const container of engine.containers)
    for (const endpoint of [...(container.sandbox?.endpoints ?? [])])
      if (endpoint.network.attachable) leave(engine, container, endpoint);
}

function leave(engine: Engine, container: Container, endpoint: Endpoint): void {
  const { id, name } = endpoint.network;
  engine.controller.disconnect(container.sandbox!, endpoint);
  container.mappedPorts = container.sandbox!.gatewayEndpoint()?.portMappings ?? [];
  container.networkNames = container.networkNames.filter((other) => other !== name);
  engine.detach(id, container);
}

/** Finds the network, with the manager's help if it is the swarm's, and the address there. */
function* attachmentFor(engine: Engine, container: Container, request: NetworkRequest): Co<Attachment> {
  const { target, addr } = request;
  const here = findNetwork(engine, target);
  const local = here !== null && here.scope === "local";
  if (here !== null && endpointOn(container, here) !== undefined) throw alreadyOn(container, here);
  const grant = local ? null : yield* fromSwarm(engine, container, request);
  const network = grant === null ? here! : engine.controller.findNetwork(grant.networkId);
  if (network === null) throw new DockerError(`could not find network ${target} after successful attachment`);
  if (grant === null) checkLocal(engine, network, request);
  return {
    networkId: network.id,
    addr: grant?.addr ?? addr,
    service: null,
    aliases: isUserDefined(network) ? withShortId(request.aliases, container.shortId) : [],
    anonymous: !container.options.named || !isUserDefined(network),
  };
}

function* fromSwarm(engine: Engine, { id: containerId }: Container, { target, addr }: NetworkRequest) {
  const client = engine.membership?.agent.dispatcher;
  if (client === undefined) throw new DockerError(`network ${target} not found`);
  return yield* engine.attachers.attach(client, { containerId, target, addr });
}

/** What a network of this node allows (validateNetworkingConfig); reserves the address that was asked for. */
function checkLocal(engine: Engine, network: LocalNetwork, { addr, aliases }: NetworkRequest): void {
  if (network.driver !== "bridge") throw new NotModelledError(`a container on network ${network.name}`);
  if (!isUserDefined(network)) {
    if (addr !== 0)
      throw new DockerError("user specified IP address is supported on user defined networks only");
    if (aliases.length > 0)
      throw new DockerError("network-scoped alias is supported only for containers in user defined networks");
  }
  if (addr === 0) return;
  if (!network.subnetGiven)
    throw new DockerError(
      "user specified IP address is supported only when connecting to networks with user configured subnets",
    );
  const found = engine.controller.bridge.reserveAddress(network, addr);
  if (found === "taken") throw new DockerError("Address already in use");
  if (found === "outside")
    throw new DockerError(
      `Invalid address ${formatIp4(addr)}: It does not belong to any of this network's subnets`,
    );
}

/** Its names are known from now on (ActivateContainerServiceBinding). */
function activate({ controller }: Engine, { sandbox }: Container): void {
  const { agent } = controller;
  if (agent === null || sandbox === null) return;
  while (agent.enableNext(sandbox) !== null);
}

function alreadyOn({ name }: Container, network: LocalNetwork): DockerError {
  return network.scope === "swarm"
    ? new DockerError(`${name} is already attached to network ${network.name}`)
    : new DockerError(`endpoint with name ${name} already exists in network ${network.name}`);
}

function endpointOn({ sandbox }: Container, network: LocalNetwork): Endpoint | undefined {
  return sandbox?.endpoints.find((endpoint) => endpoint.network === network);
}

function findNetwork({ controller }: Engine, reference: string): LocalNetwork | null {
  const exact = controller.findNetwork(reference === "default" ? "bridge" : reference);
  if (exact !== null || reference === "") return exact;
  const found = controller.networks.filter(({ id }) => id.startsWith(reference));
  return found.length === 1 ? found[0] : null;
}

function isUserDefined({ name }: LocalNetwork): boolean {
  return !PREDEFINED.includes(name);
}

function withShortId(aliases: readonly string[], shortId: string): string[] {
  return aliases.includes(shortId) ? [...aliases] : [...aliases, shortId];
}

function checkRunning({ state, sandbox }: Container): void {
  if (state !== "running" || sandbox === null)
    throw new NotModelledError("docker network connect or disconnect of a container that does not run");
}

/** What docker inspect shows of services, networks and containers (api/types), as plain objects in Docker's field order. */
import type { Container } from "../../swarm/container.ts";
import type {
  Mount,
  PortConfig,
  ServiceObject,
  TaskSpec,
  UpdateConfig,
} from "../../swarm/manager/objects.ts";
import type { Endpoint, LocalNetwork } from "../../swarm/network/types.ts";
import { formatCidr, formatIp4, formatMac } from "../../wire/address.ts";
import type { DockerContext } from "./command.ts";
import { hostAddresses } from "./displayable-ports.ts";
import { rfc3339 } from "./human.ts";

const macOf = (addr: number): string => formatMac(0x0242, addr);

function portJson(port: PortConfig) {
  return {
    Protocol: port.protocol,
    TargetPort: port.targetPort,
    ...(port.publishedPort === 0 ? {} : { PublishedPort: port.publishedPort }),
    PublishMode: port.mode,
  };
}

function updateJson(config: UpdateConfig) {
  return {
    Parallelism: config.parallelism,
    ...(config.delayNs === 0 ? {} : { Delay: config.delayNs }),
    FailureAction: config.failureAction,
    Monitor: config.monitorNs,
    MaxFailureRatio: config.maxFailureRatio,
    Order: config.order,
  };
}

/** What every task of a service is made of; tasks show it too. */
export function taskSpecJson(task: TaskSpec) {
  const optional = (name: string, list: readonly string[]) => (list.length === 0 ? {} : { [name]: list });
  const placement = {
    ...optional("Constraints", task.constraints),
    ...(task.preferences.length === 0
      ? {}
      : { Preferences: task.preferences.map((SpreadDescriptor) => ({ Spread: { SpreadDescriptor } })) }),
    ...(task.maxReplicasPerNode === 0 ? {} : { MaxReplicas: task.maxReplicasPerNode }),
  };
  return {
    ContainerSpec: {
      Image: task.image,
      ...(task.containerLabels.size === 0 ? {} : { Labels: Object.fromEntries(task.containerLabels) }),
      ...optional("Command", task.command),
      ...optional("Args", task.args),
      ...(task.hostname === "" ? {} : { Hostname: task.hostname }),
      ...optional("Env", task.env),
      ...(task.mounts === undefined ? {} : { Mounts: task.mounts.map(mountJson) }),
      Init: false,
      StopGracePeriod: task.stopGraceNs,
      DNSConfig: {},
      Isolation: "default",
    },
    Resources: { Limits: limitsJson(task.limits), Reservations: {} },
    RestartPolicy: {
      Condition: task.restart.condition,
      Delay: task.restart.delayNs,
      MaxAttempts: task.restart.maxAttempts,
    },
    Placement: placement,
    ...(task.networks.length === 0
      ? {}
      : { Networks: task.networks.map((id) => attachmentSpec(id, task.aliases?.get(id) ?? [])) }),
    ForceUpdate: task.forceUpdate,
    Runtime: "container",
  };
}

function specJson(spec: ServiceObject["spec"]) {
  return {
    Name: spec.name,
    Labels: Object.fromEntries(spec.labels),
    TaskTemplate: taskSpecJson(spec.task),
    Mode: spec.replicas === null ? { Global: {} } : { Replicated: { Replicas: spec.replicas } },
    UpdateConfig: updateJson(spec.update),
    RollbackConfig: updateJson(spec.rollback),
    EndpointSpec: endpointSpec(spec),
  };
}

const limitsJson = (limits: TaskSpec["limits"]) => ({
  ...(limits === undefined || limits.nanoCpus === 0 ? {} : { NanoCPUs: limits.nanoCpus }),
  ...(limits === undefined || limits.memoryBytes === 0 ? {} : { MemoryBytes: limits.memoryBytes }),
});

const mountJson = ({ type, source, target, readOnly }: Mount) => ({
  Type: type,
  ...(source === "" ? {} : { Source: source }),
  Target: target,
  ...(readOnly ? { ReadOnly: true } : {}),
});

const attachmentSpec = (Target: string, Aliases: readonly string[]) =>
  Aliases.length === 0 ? { Target } : { Target, Aliases };

function endpointSpec(spec: ServiceObject["spec"]) {
  return { Mode: spec.endpointMode, ...(spec.ports.length === 0 ? {} : { Ports: spec.ports.map(portJson) }) };
}

/** `docker service inspect`. */
export function serviceJson(service: ServiceObject, { engine }: DockerContext) {
  const networks = engine.control().listNetworks();
  const prefix = (id: string): number => networks.find((network) => network.id === id)?.prefixLen ?? 24;
  const { updateStatus } = service;
  return {
    ID: service.id,
    Version: { Index: service.version },
    CreatedAt: rfc3339(service.createdNs),
    UpdatedAt: rfc3339(service.updatedNs),
    Spec: specJson(service.spec),
    ...(service.previousSpec === null ? {} : { PreviousSpec: specJson(service.previousSpec) }),
    Endpoint: {
      Spec: endpointSpec(service.spec),
      ...(service.ports.length === 0 ? {} : { Ports: service.ports.map(portJson) }),
      ...(service.vips.length === 0
        ? {}
        : {
            VirtualIPs: service.vips.map(({ networkId, addr }) => ({
              NetworkID: networkId,
              Addr: formatCidr(addr, prefix(networkId)),
            })),
          }),
    },
    ...(updateStatus === null
      ? {}
      : {
          UpdateStatus: {
            State: updateStatus.state,
            StartedAt: rfc3339(updateStatus.startedNs),
            ...(updateStatus.completedNs < 0 ? {} : { CompletedAt: rfc3339(updateStatus.completedNs) }),
            Message: updateStatus.message,
          },
        }),
  };
}

/** `docker network inspect`; `verbose` adds the services. */
export function networkJson(network: LocalNetwork, { engine }: DockerContext, verbose: boolean) {
  const containers = network.endpoints.map((endpoint) => {
    const sandbox = engine.controller.sandboxes.find((candidate) => candidate.endpoints.includes(endpoint));
    return [
      sandbox?.containerId ?? "",
      {
        Name: endpoint.name,
        EndpointID: endpoint.id,
        MacAddress: macOf(endpoint.addr),
        IPv4Address: formatCidr(endpoint.addr, network.prefixLen),
        IPv6Address: "",
      },
    ] as const;
  });
  containers.sort(([a], [b]) => (a < b ? -1 : 1));
  // A network of the swarm that this node has no part in is shown as the manager's store has it.
  const here = engine.controller.networks.includes(network);
  const swarm = here && network.driver === "overlay";
  const peers = engine.controller.agent?.db.peers(network.id) ?? [];
  const config = {
    Subnet: formatCidr(network.subnet, network.prefixLen),
    ...(network.showGateway ? { Gateway: formatIp4(network.gateway) } : {}),
  };
  return {
    Name: network.name,
    Id: network.id,
    Created: rfc3339(network.createdNs),
    Scope: network.scope,
    Driver: network.driver,
    EnableIPv6: false,
    IPAM: { Driver: "default", Options: null, Config: network.prefixLen === 0 ? [] : [config] },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: network.ingress,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: here ? Object.fromEntries(containers) : null,
    Options: Object.fromEntries([...network.options].sort(([a], [b]) => (a < b ? -1 : 1))),
    Labels: here || network.labels.size > 0 ? Object.fromEntries(network.labels) : null,
    ...(swarm ? { Peers: peers.map(({ name, ip }) => ({ Name: name, IP: formatIp4(ip) })) } : {}),
    ...(swarm && verbose ? { Services: servicesJson(network, engine) } : {}),
  };
}

function servicesJson(network: LocalNetwork, engine: DockerContext["engine"]) {
  const { balancers, agent } = engine.controller;
  const own = formatIp4(engine.membership!.advertise);
  const hostOf = (id: string): string => {
    const remote = agent?.hosts.get(id);
    return remote === undefined ? own : formatIp4(remote);
  };
  const task = (id: string, name: string, addr: number) => ({
    Name: name,
    EndpointID: id,
    EndpointIP: formatIp4(addr),
    Info: { "Host IP": hostOf(id) },
  });
  const services: Record<string, unknown> = {};
  const local = network.endpoints.filter((endpoint) => endpoint.serviceEnabled && endpoint.service === null);
  const remote = [...(agent?.plainEndpoints.get(network.id) ?? [])];
  if (local.length + remote.length > 0)
    services[""] = {
      VIP: "<nil>",
      Ports: [],
      LocalLBIndex: 0,
      Tasks: [
        ...local.map(({ id, dnsName, addr }) => task(id, dnsName, addr)),
        ...remote.map(([id, { name, endpointIp }]) => task(id, name, endpointIp)),
      ],
    };
  for (const { info, endpoints } of balancers.list(network.id))
    services[info.serviceName] = {
      VIP: info.vip === 0 ? "<nil>" : formatIp4(info.vip),
      Ports: info.ports.map((port) => `Target: ${port.targetPort}, Publish: ${port.publishedPort}`),
      LocalLBIndex: info.mark,
      Tasks: endpoints.map((id) => {
        const record = agent?.backends.get(id);
        return task(id, record?.name ?? "", record?.endpointIp ?? 0);
      }),
    };
  return services;
}

/** `docker inspect` of a container. */
export function containerJson(container: Container) {
  const { options } = container;
  return {
    Id: container.id,
    Created: rfc3339(container.createdNs),
    Path: container.argv[0],
    Args: container.argv.slice(1),
    State: stateJson(container),
    Image: `sha256:${options.spec.id}`,
    Name: `/${container.name}`,
    RestartCount: 0,
    Driver: "overlay2",
    Platform: "linux",
    HostConfig: {
      NetworkMode: container.requests[0]?.target ?? "default",
      PortBindings: bindingsJson(options),
      AutoRemove: options.autoRemove,
    },
    Mounts: options.mounts.map(({ source, target, readOnly }) => ({
      Type: "volume",
      Name: source,
      Source: `/var/lib/docker/volumes/${source}/_data`,
      Destination: target,
      Driver: "local",
      Mode: "z",
      RW: !readOnly,
      Propagation: "",
    })),
    Config: {
      Hostname: options.hostname || container.shortId,
      ...(options.exposed.length === 0
        ? {}
        : { ExposedPorts: Object.fromEntries(options.exposed.map((name) => [name, {}])) }),
      Env: options.env,
      Cmd: options.command.length > 0 ? options.command : null,
      Image: options.image,
      Labels: Object.fromEntries([...options.labels].sort(([a], [b]) => (a < b ? -1 : 1))),
    },
    NetworkSettings: networkSettings(container),
  };
}

function stateJson(container: Container) {
  const time = (ns: number): string => (ns < 0 ? "0001-01-01T00:00:00Z" : rfc3339(ns));
  return {
    Status: container.state,
    Running: container.state === "running",
    Paused: false,
    Restarting: false,
    OOMKilled: false,
    Dead: false,
    Pid: container.pid,
    ExitCode: container.exitCode,
    Error: "",
    StartedAt: time(container.startedNs),
    FinishedAt: time(container.finishedNs),
  };
}

/** Every port that is named, with its places on the host; null: it has none. A container that does not run has no ports. */
function portsJson({ options, mappedPorts, sandbox }: Container) {
  if (sandbox === null) return {};
  const places = (name: string) =>
    mappedPorts
      .filter((port) => `${port.targetPort}/${port.protocol}` === name)
      .flatMap((port) =>
        hostAddresses(port).map((HostIp) => ({ HostIp, HostPort: String(port.publishedPort) })),
      );
  return Object.fromEntries(
    options.exposed.map((name) => {
      const found = places(name);
      return [name, found.length === 0 ? null : found];
    }),
  );
}

/** What the user asked for, `--publish` by `--publish`. */
function bindingsJson({ hostPorts }: Container["options"]) {
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { targetPort, protocol, publishedPort, publishedLast, hostIp } of hostPorts) {
    const HostIp = hostIp === undefined ? "" : formatIp4(hostIp);
    const range = publishedLast === undefined ? "" : `-${publishedLast}`;
    const HostPort = publishedPort === 0 ? "" : `${publishedPort}${range}`;
    (bindings[`${targetPort}/${protocol}`] ??= []).push({ HostIp, HostPort });
  }
  return bindings;
}

function networkSettings(container: Container) {
  const { sandbox } = container;
  const endpoints = (sandbox?.endpoints ?? []).filter((endpoint) => !endpoint.isGatewayBridge);
  const bridge = endpoints.find((endpoint) => endpoint.network.name === "bridge");
  return {
    Bridge: "",
    SandboxID: sandbox?.id ?? "",
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    Ports: portsJson(container),
    SandboxKey: sandbox?.key ?? "",
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.id ?? "",
    Gateway: bridge === undefined ? "" : formatIp4(bridge.gateway),
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
    IPAddress: bridge === undefined ? "" : formatIp4(bridge.addr),
    IPPrefixLen: bridge?.network.prefixLen ?? 0,
    IPv6Gateway: "",
    MacAddress: bridge === undefined ? "" : macOf(bridge.addr),
    Networks: Object.fromEntries(
      endpoints.map((endpoint) => [endpoint.network.name, attachmentJson(endpoint)]),
    ),
  };
}

function attachmentJson({ network, addr, aliases, id, gateway }: Endpoint) {
  return {
    IPAMConfig: network.driver === "overlay" ? { IPv4Address: formatIp4(addr) } : null,
    Links: null,
    Aliases: aliases.length === 0 ? null : aliases,
    NetworkID: network.id,
    EndpointID: id,
    Gateway: gateway === 0 ? "" : formatIp4(gateway),
    IPAddress: formatIp4(addr),
    IPPrefixLen: network.prefixLen,
    IPv6Gateway: "",
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
    MacAddress: macOf(addr),
    DriverOpts: null,
  };
}

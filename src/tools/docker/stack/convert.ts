/** Services and networks of a stack from its Compose file (cli/compose/convert). */
import { withTag } from "../../../swarm/images.ts";
import type { NetworkSpec } from "../../../swarm/manager/control-api.ts";
import {
  DEFAULT_RESTART,
  DEFAULT_UPDATE,
  type Mount,
  type PortConfig,
  type Protocol,
  type ResourceLimits,
  type RestartPolicy,
  type ServiceSpec,
  type TaskSpec,
  type UpdateConfig,
} from "../../../swarm/manager/objects.ts";
import { NotModelledError, UsageError } from "../../../util/errors.ts";
import { formatIp4, parseCidr } from "../../../wire/address.ts";
import { parseDuration } from "../flag-values.ts";
import { everyPort, parseBinding } from "../port-option.ts";
import { limitsOf } from "../resources.ts";
import { type ComposeFile, type Dict, dictAt, isDict } from "./compose-file.ts";

export const NAMESPACE_LABEL = "com.docker.stack.namespace";
const IMAGE_LABEL = "com.docker.stack.image";
const DEFAULT_GRACE_NS = 10_000_000_000;

/** A network of the file by its full name. */
export interface StackNetwork {
  readonly fullName: string;
  /** It was there before, and stays. */
  readonly external: boolean;
  readonly spec: NetworkSpec;
}

/** Those that the services name, by the names in the file. */
export function stackNetworks(stack: string, file: ComposeFile): Map<string, StackNetwork> {
  const used = new Set([...file.services].flatMap(([name, service]) => networkNames(name, service)));
  const networks = new Map<string, StackNetwork>();
  for (const name of [...used].sort()) {
    const config = file.networks.get(name);
    if (config === undefined && name !== "default")
      throw new UsageError(`service "${userOf(file, name)}" uses an undefined network "${name}"`, 1);
    networks.set(name, networkOf(stack, name, config ?? {}));
  }
  return networks;
}

const userOf = (file: ComposeFile, network: string): string =>
  [...file.services].find(([name, service]) => networkNames(name, service).includes(network))![0];

function networkNames(service: string, { networks }: Dict): string[] {
  if (networks === undefined || networks === null) return ["default"];
  return Array.isArray(networks)
    ? networks.map(String)
    : Object.keys(dictAt(networks, `services.${service}.networks`));
}

function networkOf(stack: string, name: string, config: Dict): StackNetwork {
  const { external } = config;
  const given = isDict(external) ? external.name : config.name;
  const fullName = given !== undefined ? String(given) : external === true ? name : `${stack}_${name}`;
  const ipam = dictAt(config.ipam, `networks.${name}.ipam`);
  const pool = Array.isArray(ipam.config) ? dictAt(ipam.config[0], `networks.${name}.ipam.config`) : {};
  const spec: NetworkSpec = {
    name: fullName,
    driver: String(config.driver ?? "overlay"),
    ingress: false,
    attachable: config.attachable === true,
    internal: config.internal === true,
    labels: new Map([...pairs(config.labels), [NAMESPACE_LABEL, stack]]),
    options: new Map(pairs(config.driver_opts)),
    subnet: pool.subnet === undefined ? null : parseCidr(String(pool.subnet)),
    gateway: null,
  };
  if (spec.driver !== "overlay") throw new NotModelledError(`a stack's network with driver ${spec.driver}`);
  return { fullName, external: external === true || isDict(external), spec };
}

/** A list of `KEY=VALUE`, or a mapping, in the order of the keys. */
function pairs(value: unknown): [string, string][] {
  const found = Array.isArray(value)
    ? value.map((word): [string, string] => {
        const [key, ...rest] = String(word).split("=");
        return [key, rest.join("=")];
      })
    : Object.entries(dictAt(value, "labels")).map(([key, inner]): [string, string] => [
        key,
        inner === null ? "" : String(inner),
      ]);
  return found.sort(([a], [b]) => (a < b ? -1 : 1));
}

const shellWords = (value: unknown): string[] => {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.map(String);
  const found = [...String(value).matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)];
  return found.map(([, double, single, bare]) => double ?? single ?? bare);
};

/** `ids`: those of the networks by their names in the file. */
export function stackService(
  stack: string,
  name: string,
  file: ComposeFile,
  ids: ReadonlyMap<string, { readonly id: string; readonly fullName: string }>,
): ServiceSpec {
  const service = file.services.get(name)!;
  const place = `services.${name}`;
  const deploy = dictAt(service.deploy, `${place}.deploy`);
  const mode = String(deploy.mode ?? "replicated");
  if (mode !== "replicated" && mode !== "global") throw new UsageError(`Unknown mode: ${mode}`, 1);
  if (mode === "global" && deploy.replicas !== undefined)
    throw new UsageError("replicas can only be used with replicated mode", 1);
  return {
    name: `${stack}_${name}`,
    labels: new Map([
      ...pairs(deploy.labels),
      [IMAGE_LABEL, String(service.image)],
      [NAMESPACE_LABEL, stack],
    ]),
    replicas: mode === "global" ? null : Number(deploy.replicas ?? 1),
    task: taskOf(stack, name, service, deploy, file, ids),
    endpointMode: deploy.endpoint_mode === "dnsrr" ? "dnsrr" : "vip",
    ports: list(service.ports).flatMap((port) => portsOf(port, name)),
    update: updateOf(dictAt(deploy.update_config, `${place}.deploy.update_config`)),
    rollback: updateOf(dictAt(deploy.rollback_config, `${place}.deploy.rollback_config`)),
  };
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function taskOf(
  stack: string,
  name: string,
  service: Dict,
  deploy: Dict,
  file: ComposeFile,
  ids: ReadonlyMap<string, { readonly id: string; readonly fullName: string }>,
): TaskSpec {
  const place = `services.${name}`;
  const placement = dictAt(deploy.placement, `${place}.deploy.placement`);
  const named = networkNames(name, service)
    .map((network) => ({ network, ...ids.get(network)! }))
    .sort((a, b) => (a.fullName < b.fullName ? -1 : 1));
  const given = isDict(service.networks) ? service.networks : {};
  const aliases = named.map(({ network, id }) => {
    const own = dictAt(given[network], `${place}.networks.${network}`);
    if (own.ipv4_address !== undefined) throw new NotModelledError("ipv4_address of a service");
    return [id, [name, ...list(own.aliases).map(String)]] as const;
  });
  const limits = limitsAt(deploy, place);
  const mounts = list(service.volumes).map((volume) => mountOf(volume, stack, name, file));
  return {
    image: withTag(String(service.image)),
    command: shellWords(service.entrypoint),
    args: shellWords(service.command),
    env: pairs(service.environment).map((pair) => pair.join("=")),
    hostname: String(service.hostname ?? ""),
    constraints: list(placement.constraints).map(String),
    preferences: list(placement.preferences).map((one) => String(dictAt(one, place).spread)),
    maxReplicasPerNode: Number(placement.max_replicas_per_node ?? 0),
    networks: named.map(({ id }) => id),
    aliases: new Map(aliases),
    ...(mounts.length === 0 ? {} : { mounts }),
    ...(limits === undefined ? {} : { limits }),
    containerLabels: new Map([...pairs(service.labels), [NAMESPACE_LABEL, stack]]),
    stopGraceNs: durationOf(service.stop_grace_period, DEFAULT_GRACE_NS),
    restart: restartOf(dictAt(deploy.restart_policy, `${place}.deploy.restart_policy`)),
    forceUpdate: 0,
  };
}

function limitsAt(deploy: Dict, place: string): ResourceLimits | undefined {
  const resources = dictAt(deploy.resources, `${place}.deploy.resources`);
  const { cpus, memory } = dictAt(resources.limits, `${place}.deploy.resources.limits`);
  const textOf = (value: unknown): string | undefined => (value === undefined ? undefined : String(value));
  return limitsOf(textOf(cpus), textOf(memory), (_what, _text, why) => new UsageError(why, 1));
}

function durationOf(value: unknown, otherwise: number): number {
  return value === undefined ? otherwise : parseDuration(String(value), "duration");
}

function restartOf(policy: Dict): RestartPolicy {
  return {
    condition: (policy.condition ?? DEFAULT_RESTART.condition) as RestartPolicy["condition"],
    delayNs: durationOf(policy.delay, DEFAULT_RESTART.delayNs),
    maxAttempts: Number(policy.max_attempts ?? DEFAULT_RESTART.maxAttempts),
  };
}

function updateOf(config: Dict): UpdateConfig {
  return {
    parallelism: Number(config.parallelism ?? DEFAULT_UPDATE.parallelism),
    delayNs: durationOf(config.delay, DEFAULT_UPDATE.delayNs),
    failureAction: (config.failure_action ?? DEFAULT_UPDATE.failureAction) as UpdateConfig["failureAction"],
    monitorNs: durationOf(config.monitor, DEFAULT_UPDATE.monitorNs),
    maxFailureRatio: Number(config.max_failure_ratio ?? DEFAULT_UPDATE.maxFailureRatio),
    order: (config.order ?? DEFAULT_UPDATE.order) as UpdateConfig["order"],
  };
}

function portsOf(port: unknown, service: string): PortConfig[] {
  if (!isDict(port)) return shortPorts(port, service).flatMap(everyPort);
  return [
    {
      protocol: String(port.protocol ?? "tcp") as Protocol,
      targetPort: Number(port.target),
      publishedPort: Number(port.published ?? 0),
      mode: port.mode === "host" ? "host" : "ingress",
    },
  ];
}

const shortPorts = (port: unknown, service: string): PortConfig[] =>
  parseBinding(String(port), (why) => new UsageError(`services.${service}.ports ${why}`, 1));

/** What the client says about addresses of the host: a service listens on all. */
export function ignoredAddresses(file: ComposeFile): string[] {
  return [...file.services].flatMap(([name, { ports }]) =>
    list(ports)
      .filter((port) => !isDict(port))
      .flatMap((port) => shortPorts(port, name))
      .flatMap(({ hostIp = 0, publishedPort, publishedLast = publishedPort, targetPort, protocol }) => {
        if (hostIp === 0) return [];
        const first = publishedPort === 0 ? "" : String(publishedPort);
        const range = publishedLast === publishedPort ? first : `${first}-${publishedLast}`;
        const text = `${formatIp4(hostIp)}:${range}:${targetPort}/${protocol}`;
        return [`ignoring IP-address (${text}) service will listen on '0.0.0.0'`];
      }),
  );
}

/** `SOURCE:TARGET[:ro]`, or the same as a mapping; a name is a volume of the stack, a path one of the machine. */
function mountOf(volume: unknown, stack: string, service: string, file: ComposeFile): Mount {
  const long = isDict(volume) ? volume : null;
  const parts = long === null ? String(volume).split(":") : [];
  const target = long === null ? (parts[1] ?? parts[0]) : String(long.target);
  const source = long === null ? (parts.length > 1 ? parts[0] : "") : String(long.source ?? "");
  const readOnly = long === null ? parts[2] === "ro" : long.read_only === true;
  const path = /^[./~]/.test(source);
  const type = (long?.type ?? (path ? "bind" : "volume")) as Mount["type"];
  if (type !== "volume") throw new NotModelledError(`a mount of type ${type}`);
  if (source === "") return { type, source, target, readOnly };
  const config = file.volumes.get(source);
  if (config === undefined)
    throw new UsageError(`service "${service}" refers to undefined volume "${source}"`, 1);
  const fullName = config.name ?? (config.external === true ? source : `${stack}_${source}`);
  return { type, source: String(fullName), target, readOnly };
}

/** Service specs from the options of service create and update (cli/command/service/opts.go). */
import { DockerError, NoSuchObjectError } from "../../swarm/docker-error.ts";
import { withTag } from "../../swarm/images.ts";
import type { ControlApi } from "../../swarm/manager/control-api.ts";
import {
  DEFAULT_RESTART,
  DEFAULT_UPDATE,
  type PortConfig,
  type ServiceSpec,
  type TaskSpec,
  type UpdateConfig,
} from "../../swarm/manager/objects.ts";
import { UsageError } from "../../util/errors.ts";
import { labelMap } from "./command.ts";
import { parseDuration } from "./flag-values.ts";
import type { Flags } from "./flags.ts";
import { parseMount } from "./mount-option.ts";
import { parsePort } from "./port-option.ts";
import { limitsOf } from "./resources.ts";

const DEFAULT_GRACE_NS = 10_000_000_000;

/** Options that create and update share. */
export const SHARED_FLAGS = [
  "replicas=",
  "detach,d",
  "quiet,q",
  "with-registry-auth",
  "no-resolve-image",
  "endpoint-mode=",
  "replicas-max-per-node=",
  "restart-condition=",
  "restart-delay=",
  "restart-max-attempts=",
  "restart-window=!",
  "stop-grace-period=",
  "update-parallelism=",
  "update-delay=",
  "update-failure-action=",
  "update-monitor=",
  "update-max-failure-ratio=",
  "update-order=",
  "rollback-parallelism=",
  "rollback-delay=",
  "rollback-failure-action=",
  "rollback-monitor=",
  "rollback-max-failure-ratio=",
  "rollback-order=",
  "hostname=",
  "reserve-cpu=!",
  "reserve-memory=!",
  "health-cmd=!",
  "health-interval=!",
  "health-retries=!",
  "health-start-period=!",
  "health-timeout=!",
  "no-healthcheck!",
  "credential-spec=!",
  "limit-pids=!",
  "max-concurrent=!",
  "stop-signal=!",
  "isolation=!",
  "user,u=!",
  "workdir,w=!",
  "tty,t",
  "init",
  "read-only!",
  "log-driver=",
  "log-opt=",
] as const;

/** The order in which the client hands networks over: by id, whatever the order of the options was (byNetworkTarget). */
const byTarget = (ids: readonly string[]): string[] => [...ids].sort();

/** Network ids of names; the daemon's words when one is unknown or not of the swarm. */
export function networkIds(
  control: ControlApi,
  names: readonly string[],
  local: readonly string[],
): string[] {
  return names.map((word) => {
    const name = word.includes("=") ? (labelMap(word.split(",")).get("name") ?? word) : word;
    const found = control
      .listNetworks()
      .find((network) => network.name === name || network.id.startsWith(name));
    if (found !== undefined) return found.id;
    if (local.includes(name))
      throw new DockerError(
        `The network ${name} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.`,
      );
    throw new NoSuchObjectError("network", name);
  });
}

/** `name=NETWORK,alias=NAME` of `--network`, by the ids of the networks. */
function aliasesOf(words: readonly string[], ids: readonly string[]): Pick<TaskSpec, "aliases"> {
  const all = words.map((word, i): [string, string[]] => [
    ids[i],
    word.split(",").flatMap((part) => (part.startsWith("alias=") ? [part.slice("alias=".length)] : [])),
  ]);
  const given = all.filter(([, aliases]) => aliases.length > 0);
  return given.length === 0 ? {} : { aliases: new Map(given) };
}

function limitFlags(flags: Flags, path: string): Pick<TaskSpec, "limits"> {
  const given = (name: string): string | undefined => (flags.has(name) ? flags.get(name) : undefined);
  const limits = limitsOf(given("limit-cpu"), given("limit-memory"), (what, text, why) => {
    const see = `See '${path} --help'.`;
    return new UsageError(`invalid argument "${text}" for "--limit-${what}" flag: ${why}\n${see}\n`, 125);
  });
  return limits === undefined ? {} : { limits };
}

/** The spec of `docker service create`; `name` when none was given. */
export function createSpec(flags: Flags, name: string, networks: readonly string[]): ServiceSpec {
  const [image, ...args] = flags.args;
  const mode = flags.get("mode", "replicated");
  if (mode !== "global" && mode !== "replicated")
    throw new UsageError(`Unknown mode: ${mode}, only replicated and global supported`, 1);
  const global = mode === "global";
  if (global && flags.has("replicas"))
    throw new UsageError("replicas can only be used with replicated or replicated-job mode", 1);
  const mounts = flags.list("mount").map((text) => parseMount(text, "docker service create"));
  const task: TaskSpec = {
    image: withTag(image),
    command: flags.has("entrypoint") ? flags.get("entrypoint").split(/\s+/) : [],
    args,
    env: flags.list("env"),
    hostname: flags.get("hostname"),
    constraints: flags.list("constraint"),
    preferences: flags.list("placement-pref").map((text) => text.replace(/^spread=/, "")),
    maxReplicasPerNode: Number(flags.get("replicas-max-per-node", "0")),
    networks: byTarget(networks),
    ...aliasesOf(flags.list("network"), networks),
    ...(mounts.length === 0 ? {} : { mounts }),
    ...limitFlags(flags, "docker service create"),
    containerLabels: labelMap(flags.list("container-label")),
    stopGraceNs: flags.has("stop-grace-period")
      ? parseDuration(flags.get("stop-grace-period"), "stop-grace-period")
      : DEFAULT_GRACE_NS,
    restart: restartOf(flags, DEFAULT_RESTART),
    forceUpdate: 0,
  };
  return {
    name: flags.get("name", name),
    labels: labelMap(flags.list("label")),
    replicas: global ? null : Number(flags.get("replicas", "1")),
    task,
    endpointMode: flags.get("endpoint-mode", "vip") === "dnsrr" ? "dnsrr" : "vip",
    ports: flags.list("publish").flatMap((text) => parsePort(text)),
    update: updateOf(flags, "update", DEFAULT_UPDATE),
    rollback: updateOf(flags, "rollback", DEFAULT_UPDATE),
  };
}

const portText = ({ publishedPort, targetPort, protocol, mode }: PortConfig): string =>
  `${publishedPort}:${targetPort}/${protocol}/${mode}`;

/** The ports of an update stand in the order of their texts. */
const byPortText = (a: PortConfig, b: PortConfig): number => (portText(a) < portText(b) ? -1 : 1);

/** The spec that `docker service update` makes of `old`. An unchanged task keeps its object: nothing is replaced. */
export function updatedSpec(
  flags: Flags,
  old: ServiceSpec,
  control: ControlApi,
  local: readonly string[],
): ServiceSpec {
  const removedPorts = flags.list("publish-rm").flatMap((text) => parsePort(text));
  const kept = old.ports.filter(
    (port) =>
      !removedPorts.some(
        (gone) =>
          gone.targetPort === port.targetPort && gone.protocol === port.protocol && gone.mode === port.mode,
      ),
  );
  const present = new Set(old.ports.map(portText));
  const added = flags
    .list("publish-add")
    .flatMap((text) => parsePort(text))
    .filter((port) => !present.has(portText(port)));
  const changed = flags.has("publish-rm") || flags.has("publish-add");
  const ports = changed ? [...kept, ...added].sort(byPortText) : old.ports;
  return {
    ...old,
    labels: changedMap(old.labels, flags.list("label-add"), flags.list("label-rm")),
    replicas: flags.has("replicas") ? Number(flags.get("replicas")) : old.replicas,
    endpointMode: flags.has("endpoint-mode")
      ? (flags.get("endpoint-mode") as "vip" | "dnsrr")
      : old.endpointMode,
    ports,
    task: updatedTask(flags, old.task, control, local),
    update: updateOf(flags, "update", old.update),
    rollback: updateOf(flags, "rollback", old.rollback),
  };
}

const TASK_FLAGS = [
  "image",
  "args",
  "env-add",
  "env-rm",
  "force",
  "hostname",
  "constraint-add",
  "constraint-rm",
  "network-add",
  "network-rm",
  "container-label-add",
  "container-label-rm",
  "replicas-max-per-node",
  "restart-condition",
  "restart-delay",
  "restart-max-attempts",
  "stop-grace-period",
  "mount-add",
  "mount-rm",
  "limit-cpu",
  "limit-memory",
];

/** What else says something of the container's surroundings: names on new networks, mounts, limits. */
function updatedSurroundings(
  flags: Flags,
  old: TaskSpec,
  added: readonly string[],
  gone: readonly string[],
): Pick<TaskSpec, "aliases" | "mounts" | "limits"> {
  const names = aliasesOf(flags.list("network-add"), added).aliases ?? [];
  const kept = [...(old.aliases ?? [])].filter(([id]) => !gone.includes(id));
  const aliases = new Map([...kept, ...names]);
  const removed = flags.list("mount-rm");
  const mounts = [
    ...(old.mounts ?? []).filter(({ target }) => !removed.includes(target)),
    ...flags.list("mount-add").map((text) => parseMount(text, "docker service update", "mount-add")),
  ];
  const { limits } = limitFlags(flags, "docker service update");
  return {
    aliases: aliases.size === 0 ? undefined : aliases,
    mounts: mounts.length === 0 ? undefined : mounts,
    ...(limits === undefined
      ? {}
      : {
          limits: {
            nanoCpus: flags.has("limit-cpu") ? limits.nanoCpus : (old.limits?.nanoCpus ?? 0),
            memoryBytes: flags.has("limit-memory") ? limits.memoryBytes : (old.limits?.memoryBytes ?? 0),
          },
        }),
  };
}

function updatedTask(flags: Flags, old: TaskSpec, control: ControlApi, local: readonly string[]): TaskSpec {
  if (!TASK_FLAGS.some((name) => flags.has(name))) return old;
  const removedEnv = flags.list("env-rm");
  const addedEnv = flags.list("env-add");
  const envName = (word: string): string => word.split("=")[0];
  const env = old.env.filter(
    (word) =>
      !removedEnv.includes(envName(word)) && !addedEnv.some((added) => envName(added) === envName(word)),
  );
  const gone = networkIds(control, flags.list("network-rm"), local);
  const networks = old.networks.filter((id) => !gone.includes(id));
  const added = networkIds(control, flags.list("network-add"), local);
  return {
    ...old,
    ...updatedSurroundings(flags, old, added, gone),
    image: flags.has("image") ? withTag(flags.get("image")) : old.image,
    args: flags.has("args")
      ? flags
          .get("args")
          .split(/\s+/)
          .filter((word) => word !== "")
      : old.args,
    env: [...env, ...addedEnv],
    hostname: flags.get("hostname", old.hostname),
    constraints: [
      ...old.constraints.filter((text) => !flags.list("constraint-rm").includes(text)),
      ...flags.list("constraint-add"),
    ],
    networks: byTarget([...networks, ...added]),
    containerLabels: changedMap(
      old.containerLabels,
      flags.list("container-label-add"),
      flags.list("container-label-rm"),
    ),
    maxReplicasPerNode: Number(flags.get("replicas-max-per-node", String(old.maxReplicasPerNode))),
    stopGraceNs: flags.has("stop-grace-period")
      ? parseDuration(flags.get("stop-grace-period"), "stop-grace-period")
      : old.stopGraceNs,
    restart: restartOf(flags, old.restart),
    forceUpdate: old.forceUpdate + (flags.on("force") ? 1 : 0),
  };
}

function changedMap(
  old: ReadonlyMap<string, string>,
  add: readonly string[],
  remove: readonly string[],
): ReadonlyMap<string, string> {
  const map = new Map(old);
  for (const key of remove) map.delete(key);
  for (const [key, value] of labelMap(add)) map.set(key, value);
  return map;
}

function restartOf(flags: Flags, old: TaskSpec["restart"]): TaskSpec["restart"] {
  const condition = flags.get("restart-condition", old.condition);
  if (condition !== "none" && condition !== "on-failure" && condition !== "any")
    throw new UsageError(`invalid argument "${condition}" for "--restart-condition" flag\n`, 125);
  return {
    condition,
    delayNs: flags.has("restart-delay")
      ? parseDuration(flags.get("restart-delay"), "restart-delay")
      : old.delayNs,
    maxAttempts: Number(flags.get("restart-max-attempts", String(old.maxAttempts))),
  };
}

function updateOf(flags: Flags, prefix: "update" | "rollback", old: UpdateConfig): UpdateConfig {
  const duration = (name: string, value: number): number =>
    flags.has(`${prefix}-${name}`)
      ? parseDuration(flags.get(`${prefix}-${name}`), `${prefix}-${name}`)
      : value;
  const action = flags.get(`${prefix}-failure-action`, old.failureAction);
  if (action !== "pause" && action !== "continue" && action !== "rollback")
    throw new DockerError(`unrecognized update failure action ${action}`);
  const order = flags.get(`${prefix}-order`, old.order);
  if (order !== "stop-first" && order !== "start-first")
    throw new DockerError(`unrecognized update order ${order}`);
  return {
    parallelism: Number(flags.get(`${prefix}-parallelism`, String(old.parallelism))),
    delayNs: duration("delay", old.delayNs),
    failureAction: action,
    monitorNs: duration("monitor", old.monitorNs),
    maxFailureRatio: Number(flags.get(`${prefix}-max-failure-ratio`, String(old.maxFailureRatio))),
    order,
  };
}

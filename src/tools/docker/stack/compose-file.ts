/**
 * A Compose file of version 3 as `docker stack` reads it (cli/compose/loader, the schema of version 3.9): what is there, what
 * is left aside, what is refused.
 */
import { parse as parseYaml, YAMLError } from "yaml";
import { NotModelledError, UsageError } from "../../../util/errors.ts";

export type Dict = Readonly<Record<string, unknown>>;

export interface ComposeFile {
  readonly services: ReadonlyMap<string, Dict>;
  readonly networks: ReadonlyMap<string, Dict>;
  readonly volumes: ReadonlyMap<string, Dict>;
  /** What the client says about options that it leaves aside. */
  readonly warnings: string;
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));

const ROOT = words("version services networks volumes configs secrets");
/** Left aside with a word about it (types.UnsupportedProperties). */
const UNSUPPORTED = words(
  "build cgroupns_mode cgroup_parent devices domainname external_links ipc links mac_address network_mode pid privileged restart security_opt shm_size userns_mode",
);
const DEPRECATED: Readonly<Record<string, string>> = {
  container_name: "Setting the container name is not supported.",
  expose:
    "Exposing ports is unnecessary - services on the same network can access each other's containers on any port.",
};
/** What a service can say here; `depends_on` means nothing to a stack. */
const SERVICE = words(
  "image command entrypoint environment hostname deploy ports networks volumes labels stop_grace_period depends_on logging tty stdin_open init",
);
/** What the schema has besides. */
const NOT_MODELLED = words(
  "cap_add cap_drop configs credential_spec dns dns_search env_file extra_hosts healthcheck isolation read_only secrets stop_signal sysctls tmpfs ulimits user working_dir",
);
const SHAPES: Readonly<Record<string, ReadonlySet<string>>> = {
  deploy: words(
    "mode endpoint_mode replicas labels update_config rollback_config restart_policy placement resources",
  ),
  network: words("driver driver_opts ipam external internal attachable labels name"),
  volume: words("driver driver_opts external labels name"),
  placement: words("constraints preferences max_replicas_per_node"),
  update: words("parallelism delay failure_action monitor max_failure_ratio order"),
  restart_policy: words("condition delay max_attempts window"),
  limits: words("cpus memory"),
  port: words("mode target published protocol"),
  attachment: words("aliases ipv4_address ipv6_address"),
};

function fail(text: string): never {
  throw new UsageError(text, 1);
}

const refuse = (place: string, key: string): never =>
  fail(`${place} Additional property ${key} is not allowed`);

export function isDict(value: unknown): value is Dict {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A mapping, or the schema's word about what stands there instead. */
export function dictAt(value: unknown, place: string): Dict {
  if (value === null || value === undefined) return {};
  return isDict(value) ? value : fail(`${place} must be a mapping`);
}

export function readCompose(text: string): ComposeFile {
  const root = yamlOf(text);
  const version = String(root.version ?? "1.0");
  if (!/^3(?:\.\d)?$/.test(version)) fail(`unsupported Compose file version: ${version}`);
  for (const key of Object.keys(root)) {
    if (!ROOT.has(key) && !key.startsWith("x-")) refuse("(root)", key);
    if (key === "configs" || key === "secrets") throw new NotModelledError(`${key} of a Compose file`);
  }
  const services = section(root, "services");
  if (services.size === 0) fail("no services in the Compose file");
  const aside = new Set<string>();
  const deprecated = new Set<string>();
  for (const [name, service] of services) checkService(name, service, aside, deprecated);
  const networks = section(root, "networks");
  for (const [name, network] of networks) checkShape(`networks.${name}`, network, "network");
  const volumes = section(root, "volumes");
  for (const [name, volume] of volumes) checkShape(`volumes.${name}`, volume, "volume");
  return { services, networks, volumes, warnings: warningText(aside, deprecated) };
}

function yamlOf(text: string): Dict {
  let root: unknown;
  try {
    root = parseYaml(text, { version: "1.1" });
  } catch (error) {
    if (!(error instanceof YAMLError)) throw error;
    return fail(`yaml: ${error.message.split("\n")[0].replace(/:$/, "")}`);
  }
  return isDict(root) ? (interpolated(root) as Dict) : fail("Top-level object must be a mapping");
}

function section(root: Dict, key: string): Map<string, Dict> {
  const entries = Object.entries(dictAt(root[key], key)).filter(([name]) => !name.startsWith("x-"));
  return new Map(
    entries.map(([name, value]) => [name, dictAt(value, `${key}.${name}`)] as const).sort(byName),
  );
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

function checkShape(place: string, value: Dict, shape: string): void {
  for (const key of Object.keys(value))
    if (!SHAPES[shape].has(key) && !key.startsWith("x-")) refuse(place, key);
}

function checkService(name: string, service: Dict, aside: Set<string>, deprecated: Set<string>): void {
  for (const key of Object.keys(service)) {
    if (NOT_MODELLED.has(key)) throw new NotModelledError(`${key} of a service in a Compose file`);
    if (UNSUPPORTED.has(key)) aside.add(key);
    else if (DEPRECATED[key] !== undefined) deprecated.add(key);
    else if (!SERVICE.has(key) && !key.startsWith("x-")) refuse(`services.${name}`, key);
  }
  const deploy = dictAt(service.deploy, `services.${name}.deploy`);
  checkShape(`services.${name}.deploy`, deploy, "deploy");
  const resources = dictAt(deploy.resources, `services.${name}.deploy.resources`);
  for (const key of Object.keys(resources))
    if (key !== "limits") throw new NotModelledError(`${key} of a service's resources in a Compose file`);
  checkParts(`services.${name}`, service, deploy, resources);
  if (typeof service.image !== "string")
    fail(`invalid image reference for service ${name}: no image specified`);
}

/** What is written in whole numbers; the default of a variable may have brought it as text. */
const INTEGERS = words("replicas max_replicas_per_node parallelism max_attempts target published");

function checkIntegers(place: string, value: Dict): void {
  for (const [key, one] of Object.entries(value))
    if (INTEGERS.has(key) && !/^\d+$/.test(String(one))) fail(`${place}.${key} must be a integer`);
}

/** The parts of `deploy`, ports and networks that are written as mappings. */
function checkParts(place: string, { ports, networks }: Dict, deploy: Dict, resources: Dict): void {
  const part = (value: unknown, name: string, shape: string): void => {
    const dict = dictAt(value, name);
    checkShape(name, dict, shape);
    checkIntegers(name, dict);
  };
  checkIntegers(`${place}.deploy`, deploy);
  for (const key of ["update_config", "rollback_config"])
    part(deploy[key], `${place}.deploy.${key}`, "update");
  part(deploy.placement, `${place}.deploy.placement`, "placement");
  part(deploy.restart_policy, `${place}.deploy.restart_policy`, "restart_policy");
  if (isDict(resources.limits) && resources.limits.pids !== undefined)
    throw new NotModelledError("limits of a service's processes in a Compose file");
  part(resources.limits, `${place}.deploy.resources.limits`, "limits");
  const { restart_policy: restart } = deploy;
  if (isDict(restart) && restart.window !== undefined && restart.max_attempts !== undefined)
    throw new NotModelledError("window of a restart policy in a Compose file");
  if (Array.isArray(ports))
    ports.forEach((port, i) => {
      if (isDict(port)) part(port, `${place}.ports.${i}`, "port");
    });
  if (isDict(networks))
    for (const [name, one] of Object.entries(networks)) part(one, `${place}.networks.${name}`, "attachment");
}

function warningText(aside: ReadonlySet<string>, deprecated: ReadonlySet<string>): string {
  const first = aside.size === 0 ? "" : `Ignoring unsupported options: ${[...aside].sort().join(", ")}\n\n`;
  if (deprecated.size === 0) return first;
  const lines = [...deprecated].sort().map((key) => `${key}: ${DEPRECATED[key]}`);
  return `${first}Ignoring deprecated options:\n\n${lines.join("\n\n")}\n\n`;
}

/** `${NAME:-default}` and `$$` in the values; the client has no variables of its own here. */
function interpolated(value: unknown): unknown {
  if (typeof value === "string")
    return value.replace(
      /\$(?:\$|\{(\w+)(?::?-([^}]*))?\}|(\w+))/g,
      (token, name?: string, otherwise?: string, bare?: string) => {
        if (token === "$$") return "$";
        if (otherwise === undefined)
          throw new NotModelledError(`the variable ${name ?? bare} in a Compose file (without a default)`);
        return otherwise;
      },
    );
  if (Array.isArray(value)) return value.map(interpolated);
  if (!isDict(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, interpolated(inner)]));
}

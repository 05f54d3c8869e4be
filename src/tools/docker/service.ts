/** docker service create, update, scale, rollback, rm, ls, ps, logs (cli/command/service). */
import type { Co } from "../../host/process.ts";
import { checkCommand } from "../../swarm/container.ts";
import { DockerError } from "../../swarm/docker-error.ts";
import type { ControlApi } from "../../swarm/manager/control-api.ts";
import type { PortConfig, ServiceObject, TaskObject } from "../../swarm/manager/objects.ts";
import { stateRank } from "../../swarm/manager/objects.ts";
import { UsageError } from "../../util/errors.ts";
import type { ToolOutput } from "../tool.ts";
import {
  type DockerCommand,
  type DockerContext,
  daemonError,
  failed,
  filterMap,
  forEachName,
  hasLabel,
  ok,
  passes,
} from "./command.ts";
import type { Flags } from "./flags.ts";
import { randomName } from "./names.ts";
import { waitForService } from "./service-progress.ts";
import { createSpec, networkIds, SHARED_FLAGS, updatedSpec } from "./service-spec.ts";
import { type Column, naturalCompare, renderTable } from "./table.ts";
import { taskTable } from "./task-table.ts";

/** What the client says when no registry knows the image's digest. */
export function digestWarning(image: string): string {
  return (
    `image ${image} could not be accessed on a registry to record\nits digest. Each node will access ${image} independently,\n` +
    "possibly leading to different nodes running different\nversions of the image.\n\n"
  );
}

/** Prints `head` and, unless detached, waits for the service. */
function* attached(
  service: ServiceObject,
  head: string,
  stderr: string,
  flags: Flags,
  context: DockerContext,
): Co<ToolOutput> {
  if (flags.on("detach")) return ok(head, stderr);
  const { stdout, error } = yield* waitForService(service.id, context);
  const text = flags.on("quiet") ? head : head + stdout;
  return error === null ? ok(text, stderr) : failed(`${stderr}${error}`, 1, text);
}

function localNames({ engine }: DockerContext): string[] {
  return engine.controller.networks.filter(({ scope }) => scope === "local").map(({ name }) => name);
}

export const serviceCreate: DockerCommand = {
  path: "docker service create",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  short: "Create a new service",
  flags: [
    ...SHARED_FLAGS,
    "name=",
    "mode=",
    "publish,p=",
    "network=",
    "env,e=",
    "label,l=",
    "container-label=",
    "constraint=",
    "placement-pref=",
    "entrypoint=",
    "mount=",
    "limit-cpu=",
    "limit-memory=",
    "secret=!",
    "config=!",
    "dns=!",
    "dns-option=!",
    "dns-search=!",
    "host=!",
    "cap-add=!",
    "cap-drop=!",
    "generic-resource=!",
    "group=!",
    "sysctl=!",
    "ulimit=!",
    "env-file=!",
  ],
  min: 1,
  max: -1,
  stopAtArgument: true,
  *run(flags, context): Co<ToolOutput> {
    const control = context.engine.control();
    const networks = networkIds(control, flags.list("network"), localNames(context));
    const spec = createSpec(flags, randomName(context.engine.prng), networks);
    checkCommand([...spec.task.command, ...spec.task.args], context.engine.fabric.runCommand !== null);
    if (!flags.on("no-resolve-image")) yield* context.engine.registry.reach();
    const service = control.createService(spec);
    const warning = flags.on("no-resolve-image") ? "" : digestWarning(spec.task.image);
    return yield* attached(service, `${service.id}\n`, warning, flags, context);
  },
};

export const serviceUpdate: DockerCommand = {
  path: "docker service update",
  usage: "[OPTIONS] SERVICE",
  short: "Update a service",
  flags: [
    ...SHARED_FLAGS,
    "image=",
    "args=",
    "publish-add=",
    "publish-rm=",
    "env-add=",
    "env-rm=",
    "label-add=",
    "label-rm=",
    "container-label-add=",
    "container-label-rm=",
    "constraint-add=",
    "constraint-rm=",
    "network-add=",
    "network-rm=",
    "force",
    "rollback",
    "mount-add=",
    "limit-cpu=",
    "limit-memory=",
    "mount-rm=",
    "secret-add=!",
    "config-add=!",
  ],
  min: 1,
  max: 1,
  *run(flags, context): Co<ToolOutput> {
    const control = context.engine.control();
    const service = control.getService(flags.args[0]);
    const resolve = flags.has("image") && !flags.on("no-resolve-image");
    if (resolve) yield* context.engine.registry.reach();
    if (flags.on("rollback")) control.rollbackService(service.id);
    else control.updateService(service.id, updatedSpec(flags, service.spec, control, localNames(context)));
    const warning = resolve ? digestWarning(service.spec.task.image) : "";
    return yield* attached(service, `${flags.args[0]}\n`, warning, flags, context);
  },
};

export const serviceRollback: DockerCommand = {
  path: "docker service rollback",
  usage: "[OPTIONS] SERVICE",
  short: "Revert changes to a service's configuration",
  flags: ["detach,d", "quiet,q"],
  min: 1,
  max: 1,
  *run(flags, context): Co<ToolOutput> {
    const control = context.engine.control();
    const service = control.getService(flags.args[0]);
    control.rollbackService(service.id);
    return yield* attached(service, `${flags.args[0]}\n`, "", flags, context);
  },
};

export const serviceScale: DockerCommand = {
  path: "docker service scale",
  usage: "SERVICE=REPLICAS [SERVICE=REPLICAS...]",
  short: "Scale one or multiple replicated services",
  flags: ["detach,d"],
  min: 1,
  max: -1,
  *run(flags, context): Co<ToolOutput> {
    const control = context.engine.control();
    const scaled: ServiceObject[] = [];
    let stdout = "";
    let stderr = "";
    for (const word of flags.args) {
      const match = /^(.+)=(.*)$/.exec(word);
      if (match === null) throw new UsageError(`invalid scale specifier '${word}'. Use --help`, 1);
      if (!/^\d+$/.test(match[2])) throw new UsageError(`invalid replicas value ${match[2]}`, 1);
      try {
        const service = control.getService(match[1]);
        if (service.spec.replicas === null)
          throw new DockerError("scale can only be used with replicated mode");
        control.updateService(service.id, { ...service.spec, replicas: Number(match[2]) });
        stdout += `${match[1]} scaled to ${match[2]}\n`;
        scaled.push(service);
      } catch (error) {
        stderr += `${match[1]}: ${daemonError(error)}\n`;
      }
    }
    if (stderr !== "") return failed(stderr, 1, stdout);
    if (flags.on("detach")) return ok(stdout);
    for (const service of scaled) stdout += (yield* waitForService(service.id, context)).stdout;
    return ok(stdout);
  },
};

export const serviceRm: DockerCommand = {
  path: "docker service rm",
  usage: "SERVICE [SERVICE...]",
  short: "Remove one or more services",
  flags: [],
  min: 1,
  max: -1,
  run(flags, { engine }): ToolOutput {
    const control = engine.control();
    return forEachName(flags.args, (name) => {
      control.removeService(control.getService(name).id);
      return name;
    });
  },
};

interface ServiceRow {
  readonly service: ServiceObject;
  readonly running: number;
  readonly wanted: number;
}

const COLUMNS: readonly Column<ServiceRow>[] = [
  { field: "ID", heading: "ID", cell: ({ service }) => service.id.slice(0, 12) },
  { field: "Name", heading: "NAME", cell: ({ service }) => service.spec.name },
  {
    field: "Mode",
    heading: "MODE",
    cell: ({ service }) => (service.spec.replicas === null ? "global" : "replicated"),
  },
  {
    field: "Replicas",
    heading: "REPLICAS",
    cell: ({ service, running, wanted }) => {
      const max = service.spec.task.maxReplicasPerNode;
      return `${running}/${wanted}${max > 0 ? ` (max ${max} per node)` : ""}`;
    },
  },
  { field: "Image", heading: "IMAGE", cell: ({ service }) => service.spec.task.image },
  { field: "Ports", heading: "PORTS", cell: ({ service }) => portsCell(service.ports) },
];
const SHOWN = ["ID", "Name", "Mode", "Replicas", "Image", "Ports"];

/** `*:8080->80/tcp`, neighbours as ranges. */
function portsCell(ports: readonly PortConfig[]): string {
  const sorted = ports
    .filter((port) => port.mode === "ingress")
    .sort((a, b) =>
      a.protocol < b.protocol ? -1 : a.protocol > b.protocol ? 1 : a.publishedPort - b.publishedPort,
    );
  const groups: { first: PortConfig; last: PortConfig }[] = [];
  for (const port of sorted) {
    const group = groups.at(-1);
    const follows =
      group !== undefined &&
      group.last.protocol === port.protocol &&
      group.last.publishedPort + 1 === port.publishedPort &&
      // One port behind several published ones makes a range as well, but not behind a range of its own.
      (group.last.targetPort + 1 === port.targetPort ||
        (group.last.targetPort === port.targetPort && group.first.targetPort === port.targetPort));
    if (follows) group.last = port;
    else groups.push({ first: port, last: port });
  }
  const range = (a: number, b: number): string => (a === b ? String(a) : `${a}-${b}`);
  return groups
    .map(
      ({ first, last }) =>
        `*:${range(first.publishedPort, last.publishedPort)}->${range(first.targetPort, last.targetPort)}/${first.protocol}`,
    )
    .join(", ");
}

function serviceRow(service: ServiceObject, tasks: readonly TaskObject[]): ServiceRow {
  const own = tasks.filter(
    (task) => task.serviceId === service.id && stateRank(task.desired) <= stateRank("running"),
  );
  const running = own.filter((task) => task.status.state === "running").length;
  return { service, running, wanted: service.spec.replicas ?? own.length };
}

export const serviceLs: DockerCommand = {
  path: "docker service ls",
  usage: "[OPTIONS]",
  short: "List services",
  flags: ["filter,f=", "format=", "quiet,q"],
  min: 0,
  max: 0,
  run(flags, { engine }): ToolOutput {
    const control = engine.control();
    return ok(serviceTable(control.listServices(), flags, control));
  },
};

/** The table of those that pass the filters. */
export function serviceTable(services: readonly ServiceObject[], flags: Flags, control: ControlApi): string {
  const filters = filterMap(flags.list("filter"));
  const shown = services
    .filter(
      (service) =>
        passes(filters, "name", (value) => service.spec.name.startsWith(value)) &&
        passes(filters, "id", (value) => service.id.startsWith(value)) &&
        passes(filters, "label", (value) => hasLabel(service.spec.labels, value)) &&
        passes(filters, "mode", (value) => (service.spec.replicas === null) === (value === "global")),
    )
    .sort((a, b) => naturalCompare(a.spec.name, b.spec.name));
  const rows = shown.map((service) => serviceRow(service, control.listTasks()));
  return renderTable(COLUMNS, SHOWN, rows, flags.get("format"), flags.on("quiet"));
}

export const servicePs: DockerCommand = {
  path: "docker service ps",
  usage: "[OPTIONS] SERVICE [SERVICE...]",
  short: "List the tasks of one or more services",
  flags: ["filter,f=", "format=", "no-resolve", "no-trunc", "quiet,q"],
  min: 1,
  max: -1,
  run(flags, context): ToolOutput {
    const control = context.engine.control();
    const ids: string[] = [];
    const missing: string[] = [];
    for (const name of flags.args) {
      const found = control
        .listServices()
        .find((service) => service.id === name || service.spec.name === name || service.id.startsWith(name));
      if (found === undefined) missing.push(`no such service: ${name}`);
      else ids.push(found.id);
    }
    if (ids.length === 0) return failed(missing.join("\n"));
    const text = taskTable(
      control.listTasks().filter((task) => ids.includes(task.serviceId)),
      flags,
      context,
    );
    return missing.length === 0 ? ok(text) : failed(missing.join("\n"), 1, text);
  },
};

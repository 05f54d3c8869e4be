/** docker stack deploy, ls, ps, services, rm (cli/command/stack, the swarm orchestrator). */
import type { Co } from "../../../host/process.ts";
import { withTag } from "../../../swarm/images.ts";
import { type ControlApi, RpcError } from "../../../swarm/manager/control-api.ts";
import type { ServiceObject, TaskObject } from "../../../swarm/manager/objects.ts";
import { UsageError } from "../../../util/errors.ts";
import type { ToolOutput } from "../../tool.ts";
import { type DockerCommand, type DockerContext, daemonError, failed, ok } from "../command.ts";
import type { Flags } from "../flags.ts";
import { rfc3339 } from "../human.ts";
import { digestWarning, serviceTable } from "../service.ts";
import { type Column, naturalCompare, renderTable } from "../table.ts";
import { taskTable } from "../task-table.ts";
import { type ComposeFile, readCompose } from "./compose-file.ts";
import {
  ignoredAddresses,
  NAMESPACE_LABEL,
  type StackNetwork,
  stackNetworks,
  stackService,
} from "./convert.ts";

const NO_MANAGER =
  'this node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again';

/** The services of a stack in the order of their names. */
function servicesOf(control: ControlApi, stack: string): ServiceObject[] {
  return control
    .listServices()
    .filter(({ spec }) => spec.labels.get(NAMESPACE_LABEL) === stack)
    .sort((a, b) => naturalCompare(a.spec.name, b.spec.name));
}

function fileOf(flags: Flags, { tool }: DockerContext): ComposeFile {
  const names = flags.list("compose-file");
  if (names.length === 0) throw new UsageError("Please specify a Compose file (with --compose-file)", 1);
  if (names.length > 1) throw new UsageError("only one Compose file is read here", 1);
  const [name] = names;
  const text = name === "-" ? tool.stdin : tool.files.get(name.replace(/^\.\//, ""));
  if (text === undefined) throw new UsageError(`open ${name}: no such file or directory`, 1);
  return readCompose(text);
}

/** Warnings as the client's log has them where no terminal reads it (logrus). */
function warn(messages: readonly string[], { tool, now }: DockerContext): void {
  const time = rfc3339(now).replace(/\.\d+/, "");
  for (const message of messages) tool.printError?.(`time="${time}" level=warning msg="${message}"\n`);
}

/** What a refusal of the daemon becomes: the client says at what it failed. */
function attempt<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    throw new UsageError(`failed to ${what}: ${daemonError(error)}`, 1);
  }
}

export const stackDeploy: DockerCommand = {
  path: "docker stack deploy",
  usage: "[OPTIONS] STACK",
  short: "Deploy a new stack or update an existing stack",
  flags: ["compose-file,c=", "prune", "resolve-image=", "with-registry-auth", "orchestrator=!"],
  min: 1,
  max: 1,
  *run(flags, context): Co<ToolOutput> {
    const [stack] = flags.args;
    const file = fileOf(flags, context);
    const { engine, tool } = context;
    warn(ignoredAddresses(file), context);
    if (file.warnings !== "") tool.printError?.(file.warnings);
    if (engine.role !== "manager") return failed(NO_MANAGER);
    const control = engine.control();
    if (flags.on("prune"))
      for (const service of servicesOf(control, stack))
        if (!file.services.has(service.spec.name.slice(stack.length + 1))) removeService(service, context);
    const ids = settleNetworks(stackNetworks(stack, file), context);
    const resolve = flags.get("resolve-image", "always") !== "never";
    for (const name of file.services.keys()) {
      const spec = stackService(stack, name, file, ids);
      const present = servicesOf(control, stack).find((service) => service.spec.name === spec.name);
      if (present === undefined) {
        tool.print(`Creating service ${spec.name}\n`);
        if (resolve) yield* engine.registry.reach();
        attempt(`create service ${spec.name}`, () => control.createService(spec));
        continue;
      }
      tool.print(`Updating service ${spec.name} (id: ${present.id})\n`);
      const task = { ...spec.task, forceUpdate: present.spec.task.forceUpdate };
      const changed =
        task.image !== present.spec.task.image || flags.get("resolve-image", "always") === "always";
      if (resolve && changed) yield* engine.registry.reach();
      attempt(`update service ${spec.name}`, () => control.updateService(present.id, { ...spec, task }));
      if (resolve && changed)
        tool.printError?.(digestWarning(withTag(spec.task.image)).trimEnd().concat("\n\n"));
    }
    return ok("");
  },
};

/** Makes the networks that are missing; the ids of all by the names in the file. */
function settleNetworks(
  networks: ReadonlyMap<string, StackNetwork>,
  { engine, tool }: DockerContext,
): Map<string, { id: string; fullName: string }> {
  const control = engine.control();
  const find = (name: string) => control.listNetworks().find((network) => network.name === name);
  const ids = new Map<string, { id: string; fullName: string }>();
  for (const { external, fullName } of networks.values())
    if (external && find(fullName) === undefined) throw new UsageError(missingText(fullName, engine), 1);
  for (const [name, { fullName, spec }] of networks) {
    let found = find(fullName);
    if (found === undefined) {
      tool.print(`Creating network ${fullName}\n`);
      found = attempt(`create network ${fullName}`, () => control.createNetwork(spec));
    }
    ids.set(name, { id: found.id, fullName });
  }
  return ids;
}

function missingText(name: string, { controller }: DockerContext["engine"]): string {
  const head = `network "${name}" is declared as external, but`;
  return controller.findNetwork(name) === null
    ? `${head} could not be found. You need to create a swarm-scoped network before the stack is deployed`
    : `${head} it is not in the right scope: "local" instead of "swarm"`;
}

function removeService({ id, spec }: ServiceObject, { engine, tool }: DockerContext): void {
  tool.print(`Removing service ${spec.name}\n`);
  engine.control().removeService(id);
}

export const stackRm: DockerCommand = {
  path: "docker stack rm",
  usage: "[OPTIONS] STACK [STACK...]",
  short: "Remove one or more stacks",
  flags: ["orchestrator=!"],
  min: 1,
  max: -1,
  run(flags, context): ToolOutput {
    const control = context.engine.control();
    const { tool } = context;
    const refused: string[] = [];
    for (const stack of flags.args) {
      const services = servicesOf(control, stack);
      const networks = control.listNetworks().filter(({ labels }) => labels.get(NAMESPACE_LABEL) === stack);
      if (services.length + networks.length === 0) tool.printError?.(`Nothing found in stack: ${stack}\n`);
      for (const service of services) removeService(service, context);
      for (const { id, name } of networks) {
        tool.print(`Removing network ${name}\n`);
        try {
          control.removeNetwork(id);
        } catch (error) {
          tool.printError?.(`Failed to remove network ${id}: ${daemonError(error)}`);
          refused.push(`Failed to remove some resources from stack: ${stack}`);
        }
      }
    }
    return refused.length === 0 ? ok("") : failed(refused.join("\n"));
  },
};

interface StackRow {
  readonly name: string;
  readonly services: number;
}

const STACK_COLUMNS: readonly Column<StackRow>[] = [
  { field: "Name", heading: "NAME", cell: ({ name }) => name },
  { field: "Services", heading: "SERVICES", cell: ({ services }) => String(services) },
  { field: "Orchestrator", heading: "ORCHESTRATOR", cell: () => "Swarm" },
];

export const stackLs: DockerCommand = {
  path: "docker stack ls",
  usage: "[OPTIONS]",
  short: "List stacks",
  flags: ["format=", "orchestrator=!"],
  min: 0,
  max: 0,
  run(flags, { engine }): ToolOutput {
    const counts = new Map<string, number>();
    for (const { spec } of engine.control().listServices()) {
      const stack = spec.labels.get(NAMESPACE_LABEL);
      if (stack !== undefined) counts.set(stack, (counts.get(stack) ?? 0) + 1);
    }
    const rows = [...counts]
      .map(([name, services]) => ({ name, services }))
      .sort((a, b) => naturalCompare(a.name, b.name));
    const shown = ["Name", "Services", "Orchestrator"];
    return ok(renderTable(STACK_COLUMNS, shown, rows, flags.get("format"), false));
  },
};

export const stackPs: DockerCommand = {
  path: "docker stack ps",
  usage: "[OPTIONS] STACK",
  short: "List the tasks in the stack",
  flags: ["filter,f=", "format=", "no-resolve", "no-trunc", "quiet,q", "orchestrator=!"],
  min: 1,
  max: 1,
  run(flags, context): ToolOutput {
    const [stack] = flags.args;
    const control = context.engine.control();
    const ids = new Set(servicesOf(control, stack).map(({ id }) => id));
    const tasks = control.listTasks().filter((task: TaskObject) => ids.has(task.serviceId));
    if (tasks.length === 0) return failed(`nothing found in stack: ${stack}`);
    return ok(taskTable(tasks, flags, context));
  },
};

export const stackServices: DockerCommand = {
  path: "docker stack services",
  usage: "[OPTIONS] STACK",
  short: "List the services in the stack",
  flags: ["filter,f=", "format=", "quiet,q", "orchestrator=!"],
  min: 1,
  max: 1,
  run(flags, { engine }): ToolOutput {
    const control = engine.control();
    const [stack] = flags.args;
    const services = servicesOf(control, stack);
    if (services.length === 0) return ok("", `Nothing found in stack: ${stack}\n`);
    return ok(serviceTable(services, flags, control));
  },
};

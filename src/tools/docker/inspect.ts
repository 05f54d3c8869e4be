/** docker inspect, container inspect, service inspect (cli/command/inspect). */

import { RpcError } from "../../swarm/manager/control-api.ts";
import type { Mount, ServiceObject } from "../../swarm/manager/objects.ts";
import { NotModelledError } from "../../util/errors.ts";
import type { ToolOutput } from "../tool.ts";
import { type DockerCommand, type DockerContext, failed, inspectJson, ok } from "./command.ts";
import type { Flags } from "./flags.ts";
import { renderTemplate } from "./go-template.ts";
import { containerJson, networkJson, serviceJson } from "./inspect-json.ts";
import { findTask, taskJson } from "./inspect-task.ts";
import { nodeJson } from "./node.ts";
import { bytesSize } from "./resources.ts";

/** Prints what was found, and an error line for what was not. */
function output(found: readonly unknown[], stderr: string, flags: Flags): ToolOutput {
  const format = flags.get("format");
  const text =
    format === "" ? inspectJson(found) : found.map((o) => `${renderTemplate(format, o)}\n`).join("");
  return stderr === "" ? ok(text) : failed(stderr, 1, text);
}

function findService(name: string, { engine }: DockerContext): ServiceObject | null {
  if (engine.role !== "manager") return null;
  try {
    return engine.control().getService(name);
  } catch (error) {
    if (error instanceof RpcError) return null;
    throw error;
  }
}

function inspector(
  path: string,
  kind: string,
  find: (name: string, context: DockerContext) => unknown,
): DockerCommand {
  return {
    path,
    usage: "[OPTIONS] NAME|ID [NAME|ID...]",
    short: "Return low-level information on Docker objects",
    flags: ["format,f=", "type=", "size,s", "pretty"],
    min: 1,
    max: -1,
    run(flags, context): ToolOutput {
      const found: unknown[] = [];
      let stderr = "";
      for (const name of flags.args) {
        const object = find(name, context);
        if (object === null) stderr += `Error: No such ${kind}: ${name}\n`;
        else found.push(object);
      }
      return output(found, stderr, flags);
    },
  };
}

const container = (name: string, { engine }: DockerContext): unknown => {
  const found = engine.findContainer(name);
  return found === null ? null : containerJson(found);
};

export const containerInspect = inspector("docker container inspect", "container", container);

export const inspect = inspector("docker inspect", "object", (name, context) => {
  const found = container(name, context);
  if (found !== null) return found;
  const network = context.engine.controller.findNetwork(name);
  if (network !== null) return networkJson(network, context, false);
  const service = findService(name, context);
  const object = service === null ? ofSwarm(name, context) : serviceJson(service, context);
  if (object === null && context.engine.findImage(name) !== null)
    throw new NotModelledError("docker inspect of an image");
  return object;
});

/** A task by its id, or a node. */
function ofSwarm(name: string, { engine }: DockerContext): unknown {
  if (engine.role !== "manager") return null;
  const control = engine.control();
  const task = findTask(name, control);
  if (task !== null) return taskJson(task, control.listNetworks());
  const { leaderId, managers } = control.info();
  try {
    return nodeJson(control.getNode(name), leaderId, managers);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return null;
  }
}

export const serviceInspect: DockerCommand = {
  path: "docker service inspect",
  usage: "[OPTIONS] SERVICE [SERVICE...]",
  short: "Display detailed information on one or more services",
  flags: ["format,f=", "pretty"],
  min: 1,
  max: -1,
  run(flags, context): ToolOutput {
    context.engine.control();
    const found: ServiceObject[] = [];
    let stderr = "";
    for (const name of flags.args) {
      const service = findService(name, context);
      if (service === null) stderr += `Error: no such service: ${name}\n`;
      else found.push(service);
    }
    if (flags.on("pretty"))
      return {
        stdout: found.map((s) => pretty(s, context)).join("\n"),
        stderr,
        status: stderr === "" ? 0 : 1,
      };
    return output(
      found.map((service) => serviceJson(service, context)),
      stderr,
      flags,
    );
  },
};

function mountLines(mounts: readonly Mount[]): string[] {
  const lines = mounts.flatMap(({ target, source, readOnly, type }) => [
    ` Target:\t${target}`,
    `  Source:\t${source}`,
    `  ReadOnly:\t${readOnly}`,
    `  Type:\t\t${type}`,
  ]);
  return lines.length === 0 ? [] : ["Mounts:", ...lines];
}

function pretty(service: ServiceObject, { engine }: DockerContext): string {
  const { spec } = service;
  const { task, update, rollback } = spec;
  const networks = engine.control().listNetworks();
  const names = task.networks.map((id) => networks.find((network) => network.id === id)?.name ?? id);
  const mode = spec.replicas === null ? "Global" : "Replicated";
  const lines = [`\nID:\t\t${service.id}`, `Name:\t\t${spec.name}`];
  if (spec.labels.size > 0)
    lines.push("Labels:", ...[...spec.labels].map(([key, value]) => ` ${key}=${value}`));
  lines.push(`Service Mode:\t${mode}`);
  if (spec.replicas !== null) lines.push(` Replicas:\t${spec.replicas}`);
  if (service.updateStatus !== null)
    lines.push(
      "UpdateStatus:",
      ` State:\t\t${service.updateStatus.state}`,
      ` Message:\t${service.updateStatus.message}`,
    );
  lines.push("Placement:");
  if (task.constraints.length > 0) lines.push(` Constraints:\t[${task.constraints.join(" ")}]`);
  for (const [name, config, label] of [
    ["UpdateConfig", update, "Update"],
    ["RollbackConfig", rollback, "Rollback"],
  ] as const) {
    lines.push(`${name}:`, ` Parallelism:\t${config.parallelism}`);
    if (config.delayNs > 0) lines.push(` Delay:\t\t${config.delayNs / 1e9}s`);
    lines.push(
      ` On failure:\t${config.failureAction}`,
      ` Monitoring Period: ${config.monitorNs / 1e9}s`,
      ` Max failure ratio: ${config.maxFailureRatio}`,
      ` ${label} order:      ${config.order}`,
    );
  }
  lines.push("ContainerSpec:", ` Image:\t\t${task.image}`);
  if (task.args.length > 0) lines.push(` Args:\t\t${task.args.join(" ")} `);
  if (task.env.length > 0) lines.push(` Env:\t\t${task.env.join(" ")} `);
  lines.push(" Init:\t\tfalse", ...mountLines(task.mounts ?? []), "Resources:");
  if (task.limits !== undefined) {
    const { nanoCpus, memoryBytes } = task.limits;
    lines.push(" Limits:");
    if (nanoCpus > 0) lines.push(`  CPU:\t\t${nanoCpus / 1e9}`);
    if (memoryBytes > 0) lines.push(`  Memory:\t${bytesSize(memoryBytes)}`);
  }
  if (names.length > 0) lines.push(`Networks: ${names.join(" ")} `);
  lines.push(`Endpoint Mode:\t${spec.endpointMode}`);
  if (service.ports.length > 0) lines.push("Ports:");
  for (const port of service.ports)
    lines.push(
      ` PublishedPort = ${port.publishedPort}`,
      `  Protocol = ${port.protocol}`,
      `  TargetPort = ${port.targetPort}`,
      `  PublishMode = ${port.mode}`,
    );
  return `${lines.join("\n")}\n`;
}

/** docker node ls, inspect, update, promote, demote, rm, ps (cli/command/node). */
import { DockerError } from "../../swarm/docker-error.ts";
import type { Availability, NodeObject, Role } from "../../swarm/manager/objects.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { ToolOutput } from "../tool.ts";
import {
  capitalise,
  type DockerCommand,
  type DockerContext,
  filterMap,
  forEachName,
  inspectJson,
  labelMap,
  ok,
  passes,
} from "./command.ts";
import { renderTemplate } from "./go-template.ts";
import { rfc3339 } from "./human.ts";
import { ENGINE_VERSION, PLUGINS } from "./system-info.ts";
import { type Column, naturalCompare, renderTable } from "./table.ts";
import { taskTable } from "./task-table.ts";

interface NodeRow {
  readonly node: NodeObject;
  readonly self: boolean;
  readonly leader: boolean;
}

const COLUMNS: readonly Column<NodeRow>[] = [
  { field: "ID", heading: "ID", cell: ({ node, self }) => `${node.id} ${self ? "*" : " "}` },
  { field: "Hostname", heading: "HOSTNAME", cell: ({ node }) => node.hostname },
  { field: "Status", heading: "STATUS", cell: ({ node }) => capitalise(node.state) },
  { field: "Availability", heading: "AVAILABILITY", cell: ({ node }) => capitalise(node.availability) },
  {
    field: "ManagerStatus",
    heading: "MANAGER STATUS",
    cell: ({ node, leader }) =>
      node.role !== "manager" ? "" : leader ? "Leader" : node.state === "ready" ? "Reachable" : "Unreachable",
  },
  { field: "EngineVersion", heading: "ENGINE VERSION", cell: () => ENGINE_VERSION },
  { field: "Self", heading: "SELF", cell: ({ self }) => String(self) },
  { field: "TLSStatus", heading: "TLS STATUS", cell: () => "Ready" },
];
const SHOWN = ["ID", "Hostname", "Status", "Availability", "ManagerStatus", "EngineVersion"];

export const nodeLs: DockerCommand = {
  path: "docker node ls",
  usage: "[OPTIONS]",
  short: "List nodes in the swarm",
  flags: ["filter,f=", "format=", "quiet,q"],
  min: 0,
  max: 0,
  run(flags, { engine }): ToolOutput {
    const control = engine.control();
    const { leaderId } = control.info();
    const filters = filterMap(flags.list("filter"));
    const nodes = control
      .listNodes()
      .filter(
        (node) =>
          passes(filters, "name", (value) => node.hostname.startsWith(value)) &&
          passes(filters, "role", (value) => node.role === value) &&
          passes(filters, "id", (value) => node.id.startsWith(value)),
      )
      .sort((a, b) => naturalCompare(a.hostname, b.hostname));
    if (flags.on("quiet") && !flags.has("format")) return ok(nodes.map((node) => `${node.id}\n`).join(""));
    const rows = nodes.map((node) => ({
      node,
      self: node.id === engine.membership!.nodeId,
      leader: node.id === leaderId,
    }));
    return ok(renderTable(COLUMNS, SHOWN, rows, flags.get("format"), false));
  },
};

/** `self` or a reference. */
function findNode({ engine }: DockerContext, reference: string): NodeObject {
  return engine.control().getNode(reference === "self" ? engine.membership!.nodeId : reference);
}

export const nodeInspect: DockerCommand = {
  path: "docker node inspect",
  usage: "[OPTIONS] self|NODE [NODE...]",
  short: "Display detailed information on one or more nodes",
  flags: ["format,f=", "pretty"],
  min: 1,
  max: -1,
  run(flags, context): ToolOutput {
    const { leaderId, managers } = context.engine.control().info();
    const nodes = flags.args.map((name) => findNode(context, name));
    if (flags.on("pretty")) return ok(nodes.map((node) => prettyNode(node, leaderId, managers)).join("\n"));
    const objects = nodes.map((node) => nodeJson(node, leaderId, managers));
    if (flags.has("format"))
      return ok(objects.map((o) => `${renderTemplate(flags.get("format"), o)}\n`).join(""));
    return ok(inspectJson(objects));
  },
};

export function nodeJson(node: NodeObject, leaderId: string, managers: ReadonlyMap<string, string>) {
  const addr = managers.get(node.id);
  return {
    ID: node.id,
    Version: { Index: node.version },
    CreatedAt: rfc3339(node.createdNs),
    UpdatedAt: rfc3339(node.updatedNs),
    Spec: { Labels: Object.fromEntries(node.labels), Role: node.role, Availability: node.availability },
    Description: {
      Hostname: node.hostname,
      Platform: { Architecture: "x86_64", OS: "linux" },
      Resources: { NanoCPUs: node.cpus * 1e9, MemoryBytes: node.memoryBytes },
      Engine: { EngineVersion: ENGINE_VERSION, Plugins: PLUGINS },
    },
    Status: {
      State: node.state,
      ...(node.message === "" ? {} : { Message: node.message }),
      Addr: formatIp4(node.addr),
    },
    ...(addr === undefined
      ? {}
      : {
          ManagerStatus: {
            ...(node.id === leaderId ? { Leader: true } : {}),
            Reachability: "reachable",
            Addr: addr,
          },
        }),
  };
}

function prettyNode(node: NodeObject, leaderId: string, managers: ReadonlyMap<string, string>): string {
  const addr = managers.get(node.id);
  const labels = [...node.labels].map(([key, value]) => ` - ${key}=${value}\n`).join("");
  const manager =
    addr === undefined
      ? ""
      : `Manager Status:\n Address:\t\t${addr}\n Raft Status:\t\tReachable\n Leader:\t\t${node.id === leaderId ? "Yes" : "No"}\n`;
  const kinds = ["Log", "Network", "Volume"];
  const plugins = kinds
    .map(
      (kind) =>
        ` ${kind}:\t\t${PLUGINS.filter(({ Type }) => Type === kind)
          .map(({ Name }) => Name)
          .join(", ")}\n`,
    )
    .join("");
  return (
    `ID:\t\t\t${node.id}\n${labels === "" ? "" : `Labels:\n${labels}`}` +
    `Hostname:              \t${node.hostname}\nJoined at:             \t${rfc3339(node.createdNs).replace("T", " ").replace("Z", " +0000 utc")}\n` +
    `Status:\n State:\t\t\t${capitalise(node.state)}\n${node.message === "" ? "" : ` Message:\t\t${node.message}\n`}` +
    ` Availability:         \t${capitalise(node.availability)}\n Address:\t\t${formatIp4(node.addr)}\n${manager}` +
    `Platform:\n Operating System:\tlinux\n Architecture:\t\tx86_64\n` +
    `Resources:\n CPUs:\t\t\t${node.cpus}\n Memory:\t\t${(node.memoryBytes / 2 ** 30).toPrecision(4)}GiB\n` +
    `Plugins:\n${plugins}Engine Version:\t\t${ENGINE_VERSION}\n`
  );
}

export const nodeUpdate: DockerCommand = {
  path: "docker node update",
  usage: "[OPTIONS] NODE",
  short: "Update a node",
  flags: ["availability=", "role=", "label-add=", "label-rm="],
  min: 1,
  max: 1,
  run(flags, context): ToolOutput {
    const node = findNode(context, flags.args[0]);
    const availability = availabilityWord(flags.get("availability"));
    const role = flags.get("role");
    if (role !== "" && role !== "worker" && role !== "manager")
      throw new DockerError(`invalid Role: "${role}"`);
    context.engine.control().updateNode(node.id, {
      ...(availability === null ? {} : { availability }),
      ...(role === "" ? {} : { role }),
      addLabels: labelMap(flags.list("label-add")),
      removeLabels: flags.list("label-rm"),
    });
    return ok(`${flags.args[0]}\n`);
  },
};

/** null when the flag was not given. */
export function availabilityWord(word: string): Availability | null {
  if (word === "") return null;
  const lower = word.toLowerCase();
  if (lower === "active" || lower === "pause" || lower === "drain") return lower;
  throw new DockerError(`invalid Availability: "${word}"`);
}

function changeRole(path: string, short: string, role: Role): DockerCommand {
  return {
    path,
    usage: "NODE [NODE...]",
    short,
    flags: [],
    min: 1,
    max: -1,
    run(flags, context): ToolOutput {
      const done = role === "manager" ? "promoted to a manager in the swarm." : "demoted in the swarm.";
      return forEachName(flags.args, (name) => {
        const node = findNode(context, name);
        if (node.role === role) return `Node ${name} is already a ${role}.`;
        context.engine.control().updateNode(node.id, { role });
        return role === "manager" ? `Node ${name} ${done}` : `Manager ${name} ${done}`;
      });
    },
  };
}

export const nodePromote = changeRole(
  "docker node promote",
  "Promote one or more nodes to manager in the swarm",
  "manager",
);
export const nodeDemote = changeRole(
  "docker node demote",
  "Demote one or more nodes from manager in the swarm",
  "worker",
);

export const nodeRm: DockerCommand = {
  path: "docker node rm",
  usage: "[OPTIONS] NODE [NODE...]",
  short: "Remove one or more nodes from the swarm",
  flags: ["force,f"],
  min: 1,
  max: -1,
  run(flags, context): ToolOutput {
    return forEachName(flags.args, (name) => {
      context.engine.control().removeNode(findNode(context, name).id, flags.on("force"));
      return name;
    });
  },
};

export const nodePs: DockerCommand = {
  path: "docker node ps",
  usage: "[OPTIONS] [NODE...]",
  short: "List tasks running on one or more nodes, defaults to current node",
  flags: ["filter,f=", "format=", "no-resolve", "no-trunc", "quiet,q"],
  min: 0,
  max: -1,
  run(flags, context): ToolOutput {
    const names = flags.args.length === 0 ? ["self"] : flags.args;
    const ids = names.map((name) => findNode(context, name).id);
    const tasks = context.engine
      .control()
      .listTasks()
      .filter((task) => ids.includes(task.nodeId));
    return ok(taskTable(tasks, flags, context));
  },
};

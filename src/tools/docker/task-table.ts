/** The table of tasks of docker service ps, node ps and stack ps (cli/command/task). */

import { withTag } from "../../swarm/images.ts";
import { type TaskObject, taskContainerName } from "../../swarm/manager/objects.ts";
import { capitalise, type DockerContext, filterMap, passes } from "./command.ts";
import type { Flags } from "./flags.ts";
import { humanDuration } from "./human.ts";
import { type Column, ellipsis, naturalCompare, renderTable } from "./table.ts";

const MAX_ERROR = 30;
const SHOWN = ["ID", "Name", "Image", "Node", "DesiredState", "CurrentState", "Error", "Ports"];

interface TaskRow {
  readonly task: TaskObject;
  readonly name: string;
  readonly node: string;
}

/** The text of the table of `tasks`. */
export function taskTable(tasks: readonly TaskObject[], flags: Flags, context: DockerContext): string {
  const filters = filterMap(flags.list("filter"));
  const noTrunc = flags.on("no-trunc");
  const nodes = new Map(
    context.engine
      .control()
      .listNodes()
      .map((node) => [node.id, node.hostname]),
  );
  const shortName = (task: TaskObject): string =>
    `${task.serviceName}.${task.slot > 0 ? task.slot : task.nodeId}`;
  const hostname = (task: TaskObject): string => nodes.get(task.nodeId) ?? task.nodeId;
  const chosen = tasks
    .filter(
      (task) =>
        passes(filters, "desired-state", (value) =>
          value === "running"
            ? task.desired === "running" || task.desired === "ready"
            : task.desired === value,
        ) &&
        passes(filters, "name", (value) => taskContainerName(task).startsWith(value)) &&
        passes(filters, "node", (value) => hostname(task) === value || task.nodeId === value) &&
        passes(filters, "id", (value) => task.id.startsWith(value)),
    )
    .sort(
      (a, b) =>
        naturalCompare(shortName(a), shortName(b)) || b.createdNs - a.createdNs || (a.id < b.id ? -1 : 1),
    );
  // Names of older tasks are indented in tables only.
  const table = flags.get("format") === "" || flags.get("format").startsWith("table");
  const rows = chosen.map((task, i): TaskRow => {
    const plain = flags.on("no-resolve") ? `${task.serviceId}.${task.slot || task.nodeId}` : shortName(task);
    const older = table && i > 0 && shortName(chosen[i - 1]) === shortName(task);
    return { task, name: older ? ` \\_ ${plain}` : plain, node: hostname(task) };
  });
  return renderTable(columns(noTrunc, context.now), SHOWN, rows, flags.get("format"), flags.on("quiet"));
}

function columns(noTrunc: boolean, now: number): Column<TaskRow>[] {
  return [
    { field: "ID", heading: "ID", cell: ({ task }) => (noTrunc ? task.id : task.id.slice(0, 12)) },
    { field: "Name", heading: "NAME", cell: ({ name }) => name },
    { field: "Image", heading: "IMAGE", cell: ({ task }) => withTag(task.spec.image) },
    { field: "Node", heading: "NODE", cell: ({ node }) => node },
    { field: "DesiredState", heading: "DESIRED STATE", cell: ({ task }) => capitalise(task.desired) },
    {
      field: "CurrentState",
      heading: "CURRENT STATE",
      cell: ({ task }) =>
        `${capitalise(task.status.state)} ${humanDuration(now - task.status.atNs).toLowerCase()} ago`,
    },
    {
      field: "Error",
      heading: "ERROR",
      cell: ({ task }) => {
        if (task.status.err === "") return "";
        return `"${noTrunc ? task.status.err : ellipsis(task.status.err, MAX_ERROR)}"`;
      },
    },
    {
      field: "Ports",
      heading: "PORTS",
      cell: ({ task }) =>
        task.ports
          .filter((port) => port.mode === "host" && task.status.state === "running")
          .map((port) => `*:${port.publishedPort}->${port.targetPort}/${port.protocol}`)
          .join(","),
    },
  ];
}

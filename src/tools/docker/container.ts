/** docker ps, kill and rm (cli/command/container). */
import type { Container } from "../../swarm/container.ts";
import { DockerError } from "../../swarm/docker-error.ts";
import { withTag } from "../../swarm/images.ts";
import type { ToolOutput } from "../tool.ts";
import { type DockerCommand, filterMap, forEachName, hasLabel, need, ok, passes } from "./command.ts";
import { displayablePorts } from "./displayable-ports.ts";
import { goTime, humanDuration } from "./human.ts";
import { type Column, ellipsis, renderTable } from "./table.ts";

const SIGNALS: Readonly<Record<string, number>> = { HUP: 1, INT: 2, QUIT: 3, KILL: 9, USR1: 10, TERM: 15 };

function statusText(container: Container, now: number): string {
  if (container.state === "created") return "Created";
  if (container.state === "running") return `Up ${humanDuration(now - container.startedNs)}`;
  return `Exited (${container.exitCode}) ${humanDuration(now - container.finishedNs)} ago`;
}

function columns(noTrunc: boolean, now: number): Column<Container>[] {
  const cut = (text: string, length: number): string => (noTrunc ? text : ellipsis(text, length));
  return [
    { field: "ID", heading: "CONTAINER ID", cell: (c) => (noTrunc ? c.id : c.shortId) },
    { field: "Image", heading: "IMAGE", cell: (c) => c.options.image },
    { field: "Command", heading: "COMMAND", cell: (c) => `"${cut(c.argv.join(" "), 20)}"` },
    { field: "RunningFor", heading: "CREATED", cell: (c) => `${humanDuration(now - c.createdNs)} ago` },
    { field: "CreatedAt", heading: "CREATED AT", cell: (c) => goTime(c.createdNs) },
    {
      field: "Labels",
      heading: "LABELS",
      cell: ({ options }) => [...options.labels].map((pair) => pair.join("=")).join(","),
    },
    {
      field: "Mounts",
      heading: "MOUNTS",
      cell: ({ options }) => options.mounts.map(({ source }) => cut(source, 15)).join(","),
    },
    { field: "LocalVolumes", heading: "LOCAL VOLUMES", cell: ({ options }) => String(options.mounts.length) },
    { field: "Status", heading: "STATUS", cell: (c) => statusText(c, now) },
    { field: "Ports", heading: "PORTS", cell: displayablePorts },
    { field: "Names", heading: "NAMES", cell: (c) => c.name },
    { field: "State", heading: "STATE", cell: (c) => c.state },
    { field: "Networks", heading: "NETWORKS", cell: (c) => c.networkNames.join(",") },
  ];
}

export const ps: DockerCommand = {
  path: "docker ps",
  usage: "[OPTIONS]",
  short: "List containers",
  flags: ["all,a", "filter,f=", "format=", "last,n=", "latest,l", "no-trunc", "quiet,q", "size,s!"],
  min: 0,
  max: 0,
  run(flags, { engine, now }): ToolOutput {
    const filters = filterMap(flags.list("filter"));
    const all = flags.on("all") || filters.has("status");
    const rows = engine.containers.filter(
      (c) =>
        (all || c.state === "running") &&
        passes(
          filters,
          "name",
          (value) => new RegExp(value).test(c.name) || new RegExp(value).test(`/${c.name}`),
        ) &&
        passes(filters, "id", (value) => c.id.startsWith(value)) &&
        passes(filters, "status", (value) => c.state === value) &&
        passes(filters, "ancestor", (value) => c.options.image === withTag(value)) &&
        passes(filters, "network", (value) => c.networkNames.includes(value)) &&
        passes(filters, "label", (value) => hasLabel(c.options.labels, value)),
    );
    const shown = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
    const text = renderTable(
      columns(flags.on("no-trunc"), now),
      shown,
      rows,
      flags.get("format"),
      flags.on("quiet"),
    );
    return ok(text);
  },
};

export const kill: DockerCommand = {
  path: "docker kill",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  short: "Kill one or more running containers",
  flags: ["signal,s="],
  min: 1,
  max: -1,
  run(flags, context): ToolOutput {
    const word = flags.get("signal", "KILL").replace(/^SIG/, "");
    const signal = SIGNALS[word] ?? Number(word);
    return forEachName(flags.args, (name) => {
      const container = need(name, context);
      if (!container.kill(signal))
        throw new DockerError(`Cannot kill container: ${name}: Container ${container.id} is not running`);
      return name;
    });
  },
};

export const rm: DockerCommand = {
  path: "docker rm",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  short: "Remove one or more containers",
  flags: ["force,f", "volumes,v", "link,l!"],
  min: 1,
  max: -1,
  run(flags, context): ToolOutput {
    const result = forEachName(flags.args, (name) => {
      const container = need(name, context);
      if (container.state === "running") {
        if (!flags.on("force"))
          throw new DockerError(
            `You cannot remove a running container ${container.id}. Stop the container before attempting removal or force remove`,
          );
        container.kill(9);
      }
      context.engine.removeContainer(container);
      return name;
    });
    return {
      ...result,
      stderr: result.stderr.replace(/^Error response from daemon: No such/gm, "Error: No such"),
    };
  },
};

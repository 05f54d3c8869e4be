/** docker volume create, ls, inspect, rm (cli/command/volume), and docker cp. */
import { DockerError, NoSuchObjectError } from "../../swarm/docker-error.ts";
import type { Volume } from "../../swarm/volumes.ts";
import { NotModelledError, SysError, UsageError } from "../../util/errors.ts";
import type { ToolOutput } from "../tool.ts";
import {
  type DockerCommand,
  failed,
  filterMap,
  forEachName,
  hasLabel,
  inspectJson,
  labelMap,
  ok,
  passes,
} from "./command.ts";
import { renderTemplate } from "./go-template.ts";
import { rfc3339 } from "./human.ts";
import { type Column, renderTable } from "./table.ts";
import { userlandOf } from "./userland.ts";

const mountpointOf = (name: string): string => `/var/lib/docker/volumes/${name}/_data`;

export const volumeCreate: DockerCommand = {
  path: "docker volume create",
  usage: "[OPTIONS] [VOLUME]",
  short: "Create a volume",
  flags: ["driver,d=", "label=", "opt,o=", "name="],
  min: 0,
  max: 1,
  run(flags, { engine }): ToolOutput {
    const [argument = flags.get("name")] = flags.args;
    if (flags.has("name") && flags.args.length > 0)
      throw new UsageError(
        "conflicting options: either specify --name or provide positional arg, not both",
        1,
      );
    const driver = flags.get("driver", "local");
    if (driver !== "local" || flags.has("opt"))
      throw new NotModelledError("volumes of another kind than local");
    return ok(`${engine.volumes.create(argument, labelMap(flags.list("label")), new Map()).name}\n`);
  },
};

const labelsText = ({ labels }: Volume): string =>
  [...(labels ?? [])].map((pair) => pair.join("=")).join(",");

const COLUMNS: readonly Column<Volume>[] = [
  { field: "Driver", heading: "DRIVER", cell: () => "local" },
  { field: "Name", heading: "VOLUME NAME", cell: ({ name }) => name },
  { field: "Scope", heading: "SCOPE", cell: () => "local" },
  { field: "Mountpoint", heading: "MOUNTPOINT", cell: ({ name }) => mountpointOf(name) },
  { field: "Labels", heading: "LABELS", cell: labelsText },
  { field: "Links", heading: "LINKS", cell: () => "N/A" },
  { field: "Size", heading: "SIZE", cell: () => "N/A" },
];

export const volumeLs: DockerCommand = {
  path: "docker volume ls",
  usage: "[OPTIONS]",
  short: "List volumes",
  flags: ["filter,f=", "format=", "quiet,q"],
  min: 0,
  max: 0,
  run(flags, { engine }): ToolOutput {
    const filters = filterMap(flags.list("filter"));
    const used = new Set(
      engine.containers.flatMap(({ options }) => options.mounts.map(({ source }) => source)),
    );
    const rows = engine.volumes
      .list()
      .filter(
        (volume) =>
          passes(filters, "name", (value) => volume.name.includes(value)) &&
          passes(filters, "driver", (value) => value === "local") &&
          passes(filters, "label", (value) => hasLabel(volume.labels ?? new Map(), value)) &&
          passes(
            filters,
            "dangling",
            (value) => used.has(volume.name) !== (value === "true" || value === "1"),
          ),
      );
    if (flags.on("quiet") && flags.get("format") === "")
      return ok(rows.map(({ name }) => `${name}\n`).join(""));
    return ok(renderTable(COLUMNS, ["Driver", "Name"], rows, flags.get("format"), false));
  },
};

function volumeJson({ name, createdNs, labels, options }: Volume) {
  return {
    CreatedAt: rfc3339(createdNs).replace(/\.\d+/, ""),
    Driver: "local",
    Labels: labels === null ? null : Object.fromEntries(labels),
    Mountpoint: mountpointOf(name),
    Name: name,
    Options: options === null ? null : Object.fromEntries(options),
    Scope: "local",
  };
}

export const volumeInspect: DockerCommand = {
  path: "docker volume inspect",
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  short: "Display detailed information on one or more volumes",
  flags: ["format,f="],
  min: 1,
  max: -1,
  run(flags, { engine }): ToolOutput {
    const found: unknown[] = [];
    let stderr = "";
    for (const name of flags.args) {
      const volume = engine.volumes.find(name);
      if (volume === null) stderr += `Error: No such volume: ${name}\n`;
      else found.push(volumeJson(volume));
    }
    const format = flags.get("format");
    const text =
      format === "" ? inspectJson(found) : found.map((one) => `${renderTemplate(format, one)}\n`).join("");
    return stderr === "" ? ok(text) : failed(stderr, 1, text);
  },
};

export const volumeRm: DockerCommand = {
  path: "docker volume rm",
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  short: "Remove one or more volumes",
  flags: ["force,f"],
  min: 1,
  max: -1,
  run(flags, { engine }): ToolOutput {
    return forEachName(flags.args, (name) => {
      const volume = engine.volumes.find(name);
      if (volume !== null) engine.volumes.remove(volume, engine.containers);
      else if (!flags.on("force")) throw new NoSuchObjectError("volume", name);
      return name;
    });
  },
};

/** `CONTAINER:PATH`, or a path of the machine. */
function placeOf(text: string): { readonly container: string; readonly path: string } {
  const at = /^[/.]/.test(text) ? -1 : text.indexOf(":");
  return { container: text.slice(0, Math.max(0, at)), path: text.slice(at + 1) };
}

const baseName = (path: string): string => path.replace(/\/+$/, "").replace(/^.*\//, "");

/** Where a copy lies: in the folder that is named, or under the name itself. */
function copyName(files: ReadonlyMap<string, string>, path: string, base: string): string {
  const folder = path.replace(/(?:^|\/)\.?$/, "");
  if (folder === "") return path.startsWith("/") ? `/${base}` : base;
  const isFolder = folder !== path || [...files.keys()].some((key) => key.startsWith(`${folder}/`));
  return (isFolder ? `${folder}/${base}` : path).replace(/^\.\//, "");
}

export const cp: DockerCommand = {
  path: "docker cp",
  usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tdocker cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
  short: "Copy files/folders between a container and the local filesystem",
  flags: ["archive,a!", "follow-link,L!"],
  min: 2,
  max: 2,
  run(flags, { engine, tool }): ToolOutput {
    const [from, to] = flags.args.map(placeOf);
    if (from.path === "-" || to.path === "-") throw new NotModelledError("docker cp of an archive");
    if (from.container !== "" && to.container !== "")
      throw new UsageError("copying between containers is not supported", 1);
    if (from.container === to.container)
      throw new UsageError("must specify at least one container source", 1);
    const inside = from.container === "" ? to : from;
    const container = engine.findContainer(inside.container);
    const missing = new NoSuchObjectError("container:path", `${inside.container}:${inside.path}`);
    if (container === null) throw missing;
    const { files } = userlandOf(container, tool.machine);
    const [source, target] = from.container === "" ? [tool.files, files] : [files, tool.files];
    const text = source.get(from.path.replace(/^\.\//, ""));
    if (text === undefined) {
      if (from.container === "")
        throw new UsageError(`lstat /root/${from.path}: no such file or directory`, 1);
      throw missing;
    }
    try {
      target.set(copyName(target, to.path, baseName(from.path)), text);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new DockerError("mounted volume is marked read-only");
    }
    return ok("");
  },
};

/** docker images, tag and rmi (cli/command/image): the images that every machine has, and names that were given to them here. */

import { DockerError, NoSuchObjectError } from "../../swarm/docker-error.ts";
import { type ImageSpec, withTag } from "../../swarm/images.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import type { ToolOutput } from "../tool.ts";
import { type DockerCommand, forEachName, ok } from "./command.ts";
import { type Column, renderTable } from "./table.ts";

const REFERENCE = /^[a-z0-9]+(?:[._/:-][a-z0-9]+)*(?::[\w][\w.-]{0,127})?$/;

const SHORT_ID = 12;
const SHOWN = ["Repository", "Tag", "ID", "CreatedSince", "Size"];

interface ImageRow {
  readonly repository: string;
  readonly tag: string;
  readonly id: string;
}

/** An image has no contents here: nobody knows its size, nor when it was made. */
const UNKNOWN = (): string => "N/A";

const columns = (noTrunc: boolean): readonly Column<ImageRow>[] => [
  { field: "Repository", heading: "REPOSITORY", cell: ({ repository }) => repository },
  { field: "Tag", heading: "TAG", cell: ({ tag }) => tag },
  { field: "ID", heading: "IMAGE ID", cell: ({ id }) => (noTrunc ? `sha256:${id}` : id.slice(0, SHORT_ID)) },
  { field: "CreatedSince", heading: "CREATED", cell: UNKNOWN },
  { field: "CreatedAt", heading: "CREATED AT", cell: UNKNOWN },
  { field: "Size", heading: "SIZE", cell: UNKNOWN },
];

/** `localhost:5000/web:v1` in two. */
function rowOf([reference, { id }]: readonly [string, ImageSpec]): ImageRow {
  const at = reference.lastIndexOf(":");
  return { repository: reference.slice(0, at), tag: reference.slice(at + 1), id };
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

export const images: DockerCommand = {
  path: "docker images",
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  short: "List images",
  flags: ["format=", "quiet,q", "all,a", "no-trunc", "filter,f=!", "digests!"],
  min: 0,
  max: 1,
  run(flags, { engine }): ToolOutput {
    const [wanted] = flags.args;
    const fits = ({ repository, tag }: ImageRow): boolean =>
      wanted === undefined || wanted === repository || wanted === `${repository}:${tag}`;
    const named = [...engine.fabric.images].map(([name, spec]) => [withTag(name), spec] as const);
    const rows = [...named, ...engine.tags].sort(byName).map(rowOf).filter(fits);
    const format = flags.get("format");
    const list = columns(flags.on("no-trunc"));
    const shown = flags.on("quiet") && format === "" ? ["ID"] : SHOWN;
    return ok(renderTable(list, shown, rows, format, flags.on("quiet")));
  },
};

export const tag: DockerCommand = {
  path: "docker tag",
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  short: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
  flags: [],
  min: 2,
  max: 2,
  run(flags, { engine }): ToolOutput {
    const [source, target] = flags.args;
    if (!REFERENCE.test(target))
      throw new UsageError(
        `Error parsing reference: "${target}" is not a valid repository/tag: invalid reference format`,
        1,
      );
    const image = engine.findImage(source);
    if (image === null) throw new DockerError(`No such image: ${withTag(source)}`);
    engine.tags.set(withTag(target), image);
    return ok("");
  },
};

export const rmi: DockerCommand = {
  path: "docker rmi",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  short: "Remove one or more images",
  flags: ["force,f", "no-prune"],
  min: 1,
  max: -1,
  run(flags, { engine }): ToolOutput {
    return forEachName(flags.args, (name) => {
      const reference = withTag(name);
      if (engine.tags.delete(reference)) return `Untagged: ${reference}`;
      if (engine.findImage(name) !== null)
        throw new NotModelledError("docker rmi of the last name of an image");
      throw new NoSuchObjectError("image", name);
    });
  },
};

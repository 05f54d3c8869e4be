/** Values of `--mount` and `--volume` (cli/opts/mount.go, volume/mounts): volumes; folders of the machine are not modelled. */
import type { Mount } from "../../swarm/manager/objects.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";

const KEYS: Readonly<Record<string, "source" | "target" | "readonly" | "type">> = {
  type: "type",
  source: "source",
  src: "source",
  target: "target",
  dst: "target",
  destination: "target",
  readonly: "readonly",
  ro: "readonly",
};

/** `type=volume,source=data,target=/data,readonly`; `path` is the command, `option` that of the value. */
export function parseMount(text: string, path: string, option = "mount"): Mount {
  const refuse = (why: string): UsageError =>
    new UsageError(`invalid argument "${text}" for "--${option}" flag: ${why}\nSee '${path} --help'.\n`, 125);
  const found = { type: "volume", source: "", target: "", readonly: "false" };
  for (const field of text.split(",")) {
    const at = field.indexOf("=");
    const name = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    const key = KEYS[name];
    if (key === undefined) {
      if (at < 0) throw refuse(`invalid field '${field}' must be a key=value pair`);
      if (/^(?:bind|volume|tmpfs)-|^consistency$/.test(name)) throw new NotModelledError(`--mount ${name}`);
      throw refuse(`unexpected key '${name}' in '${field}'`);
    }
    if (at < 0 && key !== "readonly") throw refuse(`invalid field '${field}' must be a key=value pair`);
    found[key] = at < 0 ? "true" : field.slice(at + 1);
  }
  if (found.target === "") throw refuse("target is required");
  if (found.type !== "volume") throw new NotModelledError(`a mount of type ${found.type}`);
  const readOnly = found.readonly === "true" || found.readonly === "1";
  return { type: "volume", source: found.source, target: found.target, readOnly };
}

/** `NAME:/folder[:ro]` or `/folder`. */
export function parseVolume(text: string): Mount {
  const parts = text.split(":");
  const [source, target] = parts.length === 1 ? ["", parts[0]] : parts;
  if (/^[/.~]/.test(source)) throw new NotModelledError(`docker run --volume ${text}`);
  return { type: "volume", source, target, readOnly: parts[2]?.split(",").includes("ro") ?? false };
}

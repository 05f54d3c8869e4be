/** Sizes and shares of processors as the client reads and shows them (docker/go-units, cli/opts). Limits decide nothing here: no program reaches them. */
import type { ResourceLimits } from "../../swarm/manager/objects.ts";
import type { UsageError } from "../../util/errors.ts";

const UNITS = "bkmgtp";

/** `50M`, `1.5g`, `1024` in bytes, by 1024; null when it is none. */
export function ramBytes(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i.exec(text);
  return found === null
    ? null
    : Math.floor(Number(found[1]) * 1024 ** UNITS.indexOf((found[2] ?? "b").toLowerCase()));
}

/** `50MiB`, as units.BytesSize has it: four digits. */
export function bytesSize(bytes: number): string {
  let unit = 0;
  while (unit < UNITS.length - 1 && bytes / 1024 ** unit >= 1024) unit++;
  const name = unit === 0 ? "B" : `${UNITS[unit].toUpperCase()}iB`;
  return `${Number((bytes / 1024 ** unit).toPrecision(4))}${name}`;
}

/** From `0.5` processors and `50M`; undefined when neither is given. `refuse` makes the error of a value that is none. */
export function limitsOf(
  cpus: string | undefined,
  memory: string | undefined,
  refuse: (what: "cpu" | "memory", text: string, why: string) => UsageError,
): ResourceLimits | undefined {
  if (cpus === undefined && memory === undefined) return undefined;
  if (cpus !== undefined && !/^(?:\d+\.?\d*|\.\d+)$/.test(cpus))
    throw refuse("cpu", cpus, `Failed to parse ${cpus} as a rational number`);
  const memoryBytes = memory === undefined ? 0 : ramBytes(memory);
  if (memoryBytes === null) throw refuse("memory", memory!, `invalid size: '${memory}'`);
  return { nanoCpus: Math.round(Number(cpus ?? 0) * 1e9), memoryBytes };
}

/** What the subcommands of docker have in common. */
import type { Co } from "../../host/process.ts";
import type { Container } from "../../swarm/container.ts";
import { DockerError, NoSuchObjectError } from "../../swarm/docker-error.ts";
import { type Engine, engineOf } from "../../swarm/engine.ts";
import { RpcError } from "../../swarm/manager/control-api.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import type { CommandSpec, Flags } from "./flags.ts";

export interface DockerContext {
  readonly engine: Engine;
  readonly tool: ToolContext;
  /** Virtual now, ns. */
  readonly now: number;
}

export interface DockerCommand extends CommandSpec {
  run(flags: Flags, context: DockerContext): ToolOutput | Co<ToolOutput>;
}

export function ok(stdout: string, stderr = ""): ToolOutput {
  return { stdout, stderr, status: 0 };
}

export function failed(stderr: string, status = 1, stdout = ""): ToolOutput {
  return { stdout, stderr: stderr.endsWith("\n") ? stderr : `${stderr}\n`, status };
}

/** The daemon's refusal as the client prints it; throws everything else on. */
export function daemonError(error: unknown): string {
  if (error instanceof NoSuchObjectError) return `Error: ${error.message}`;
  const missing =
    error instanceof RpcError ? /^(service|node|network) (\S+) not found$/.exec(error.desc) : null;
  if (missing !== null) return `Error: No such ${missing[1]}: ${missing[2]}`;
  if (error instanceof DockerError || error instanceof RpcError)
    return `Error response from daemon: ${error.message}`;
  throw error;
}

/** The context of a command; without an engine there is no daemon to talk to. */
export function dockerContext(tool: ToolContext): DockerContext | null {
  const engine = engineOf(tool.machine);
  return engine === null ? null : { engine, tool, now: tool.machine.kernel.sim.now };
}

/** A container of this engine by id, unique prefix or name; DockerError when there is none. */
export function need(reference: string, { engine }: DockerContext): Container {
  const container = engine.findContainer(reference);
  if (container === null) throw new DockerError(`No such container: ${reference}`);
  return container;
}

/**
 * Runs `one` for each of `names`: what it returns is a line of output, a refusal is a line of errors and makes the
 * status 1, and the others are still done.
 */
export function forEachName(names: readonly string[], one: (name: string) => string): ToolOutput {
  let stdout = "";
  let stderr = "";
  for (const name of names) {
    try {
      stdout += `${one(name)}\n`;
    } catch (error) {
      stderr += `${daemonError(error)}\n`;
    }
  }
  return { stdout, stderr, status: stderr === "" ? 0 : 1 };
}

/** `key=value` words as a map. */
export function labelMap(words: readonly string[]): Map<string, string> {
  return new Map(
    words.map((word) => {
      const i = word.indexOf("=");
      return i < 0 ? [word, ""] : [word.slice(0, i), word.slice(i + 1)];
    }),
  );
}

/** `--filter` words; values of one key are alternatives. */
export function filterMap(words: readonly string[]): Map<string, string[]> {
  const map = new Map<string, string[]>();
  for (const word of words) {
    const i = word.indexOf("=");
    const key = word.slice(0, i);
    const list = map.get(key);
    if (list === undefined) map.set(key, [word.slice(i + 1)]);
    else list.push(word.slice(i + 1));
  }
  return map;
}

/** Whether one of the filter's values fits; true without such a filter. */
export function passes(
  filters: ReadonlyMap<string, readonly string[]>,
  key: string,
  fits: (value: string) => boolean,
): boolean {
  const values = filters.get(key);
  return values === undefined || values.some(fits);
}

/** `KEY` or `KEY=VALUE` of a label filter. */
export function hasLabel(labels: ReadonlyMap<string, string>, text: string): boolean {
  const i = text.indexOf("=");
  const value = labels.get(i < 0 ? text : text.slice(0, i));
  return value !== undefined && (i < 0 || value === text.slice(i + 1));
}

/** JSON as docker inspect prints it. */
export function inspectJson(objects: readonly unknown[]): string {
  return `${JSON.stringify(objects, null, 4)}\n`;
}

export function capitalise(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

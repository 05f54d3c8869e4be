/**
 * docker service logs (cli/command/service/logs.go; swarmkit's log broker): what the containers of a service have printed, on
 * whatever node, each line behind the name of its task. The lines come at once: they are no packets here.
 */
import { type Co, sleep } from "../../host/process.ts";
import type { Container } from "../../swarm/container.ts";
import type { LogLine } from "../../swarm/container-log.ts";
import { RpcError } from "../../swarm/manager/control-api.ts";
import type { ServiceObject, TaskObject } from "../../swarm/manager/objects.ts";
import type { ToolOutput } from "../tool.ts";
import { type DockerCommand, type DockerContext, failed, ok } from "./command.ts";
import type { Flags } from "./flags.ts";
import { rfc3339Fixed } from "./human.ts";
import { findTask } from "./inspect-task.ts";
import { checkTold, chosenLines, LOG_FLAGS, logChoice } from "./logs.ts";

const SHORT_ID = 12;
const POLL_NS = 100_000_000;

/** A task whose container is there. */
interface Told {
  readonly task: TaskObject;
  readonly container: Container;
  /** What stands before each of its lines. */
  readonly head: string;
}

/** One line and whose it is. */
interface ToldLine {
  readonly head: string;
  readonly line: LogLine;
}

function findService(name: string, { engine }: DockerContext): ServiceObject | null {
  try {
    return engine.control().getService(name);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return null;
  }
}

const digits = (n: number): number => String(n).length;

/** `web.1.abcdefghijkl@node    | `, as wide for every slot of the service. */
function headOf(task: TaskObject, maxLength: number, flags: Flags, { engine }: DockerContext): string {
  if (flags.on("raw")) return "";
  const plain = flags.on("no-resolve");
  const node = engine
    .control()
    .listNodes()
    .find(({ id }) => id === task.nodeId);
  const id = flags.on("no-trunc") ? task.id : task.id.slice(0, SHORT_ID);
  const name = `${plain ? task.serviceId : task.serviceName}.${task.slot}${flags.on("no-task-ids") ? "" : `.${id}`}`;
  const padding = " ".repeat(Math.max(0, maxLength - digits(task.slot)));
  return `${name}@${plain ? task.nodeId : (node?.hostname ?? task.nodeId)}${padding}    | `;
}

/** The tasks whose containers are there; those of nodes that are not say nothing. */
function toldBy(
  tasks: readonly TaskObject[],
  maxLength: number,
  flags: Flags,
  context: DockerContext,
): Told[] {
  const { engine } = context;
  const nodes = engine.control().listNodes();
  const found: Told[] = [];
  for (const task of tasks) {
    const container = engine.fabric.taskContainers.get(task.id);
    const node = nodes.find(({ id }) => id === task.nodeId);
    if (container === undefined || node?.state !== "ready") continue;
    checkTold(task.spec.image, container.options.spec.quiet);
    found.push({ task, container, head: headOf(task, maxLength, flags, context) });
  }
  return found;
}

export const serviceLogs: DockerCommand = {
  path: "docker service logs",
  usage: "[OPTIONS] SERVICE|TASK",
  short: "Fetch the logs of a service or task",
  flags: ["details!", ...LOG_FLAGS, "no-resolve", "no-task-ids", "no-trunc", "raw"],
  min: 1,
  max: 1,
  *run(flags, context): Co<ToolOutput> {
    const control = context.engine.control();
    const [name] = flags.args;
    const service = findService(name, context);
    const single = service === null ? findTask(name, control) : null;
    if (service === null && single === null) return failed(`no such task or service: ${name}`);
    const wanted = (task: TaskObject): boolean =>
      service === null ? task.id === single?.id : task.serviceId === service.id;
    const maxLength = single !== null ? digits(single.slot) : digits(service!.spec.replicas ?? 0);
    const told = (): Told[] => toldBy(control.listTasks().filter(wanted), maxLength, flags, context);
    const choice = logChoice(flags, context.now);
    const seen = new Map<Container, number>();
    const lines = told().flatMap(({ container, head }): ToldLine[] => {
      seen.set(container, container.log.lines.length);
      return chosenLines(container.log.lines, choice).map((line) => ({ head, line }));
    });
    printLines(lines, flags, context);
    const missing = missingText(control.listTasks().filter(wanted), context);
    while (flags.on("follow")) {
      yield* sleep(POLL_NS);
      printLines(
        told().flatMap((one) => newLines(one, seen)),
        flags,
        context,
      );
    }
    return missing === "" ? ok("") : failed(missing);
  },
};

function newLines({ container, head }: Told, seen: Map<Container, number>): ToldLine[] {
  const { lines } = container.log;
  const from = seen.get(container) ?? 0;
  seen.set(container, lines.length);
  return lines.slice(from).map((line) => ({ head, line }));
}

function printLines(lines: readonly ToldLine[], flags: Flags, { tool }: DockerContext): void {
  const inOrder = [...lines].sort((a, b) => a.line.atNs - b.line.atNs);
  for (const { head, line } of inOrder) {
    const stamp = flags.on("timestamps") ? `${rfc3339Fixed(line.atNs)} ` : "";
    const text = `${stamp}${head}${line.text}`;
    if (line.stream === "stdout" || tool.printError === undefined) tool.print(text);
    else tool.printError(text);
  }
}

/** Nodes that are not there cannot send what their tasks have printed. */
function missingText(tasks: readonly TaskObject[], { engine }: DockerContext): string {
  const away = engine
    .control()
    .listNodes()
    .filter(({ id, state }) => state !== "ready" && tasks.some((task) => task.nodeId === id));
  if (away.length === 0) return "";
  const reasons = away.map(({ id }) => `node ${id} is not available`).join(", ");
  const warning =
    "warning: incomplete log stream. some logs could not be retrieved for the following reasons: ";
  return `error from daemon in stream: Error grabbing logs: rpc error: code = Unknown desc = ${warning}${reasons}`;
}

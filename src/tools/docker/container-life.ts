/** docker start, stop, restart and port (cli/command/container). */
import { type Co, sleep } from "../../host/process.ts";
import type { Container } from "../../swarm/container.ts";
import { DockerError } from "../../swarm/docker-error.ts";
import type { PortConfig } from "../../swarm/manager/objects.ts";
import { startPlain } from "../../swarm/plain-container.ts";
import type { ToolOutput } from "../tool.ts";
import {
  type DockerCommand,
  type DockerContext,
  daemonError,
  failed,
  forEachName,
  need,
  ok,
} from "./command.ts";
import { hostAddresses } from "./displayable-ports.ts";

/** From the request until the program runs: the runtime sets the container up. */
export const START_NS = 400_000_000;
const POLL_NS = 50_000_000;

const stillRuns = (container: Container): boolean => container.state === "running";

/** Takes the network of a container apart when it is no task (those have their agent). */
function settle(container: Container, { engine }: DockerContext): void {
  if (!container.options.labels.has("com.docker.swarm.task.id")) engine.releaseSandbox(container);
}

/** SIGTERM, and SIGKILL when it still runs after `graceNs`. */
function* stopOne(container: Container, graceNs: number, context: DockerContext): Co<void> {
  if (!stillRuns(container)) return;
  container.kill(15);
  const end = context.engine.sim.now + graceNs;
  while (stillRuns(container) && context.engine.sim.now < end) yield* sleep(POLL_NS);
  container.kill(9);
  yield* sleep(0);
  settle(container, context);
}

const STOP_FLAGS = ["time,t="] as const;
const graceOf = (text: string): number => Number(text) * 1e9;

export const stop: DockerCommand = {
  path: "docker stop",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  short: "Stop one or more running containers",
  flags: STOP_FLAGS,
  min: 1,
  max: -1,
  *run(flags, context): Co<ToolOutput> {
    for (const name of flags.args) {
      const container = context.engine.findContainer(name);
      if (container !== null) yield* stopOne(container, graceOf(flags.get("time", "10")), context);
    }
    return forEachName(flags.args, (name) => {
      need(name, context);
      return name;
    });
  },
};

export const restart: DockerCommand = {
  path: "docker restart",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  short: "Restart one or more containers",
  flags: STOP_FLAGS,
  min: 1,
  max: -1,
  *run(flags, context): Co<ToolOutput> {
    let stdout = "";
    let stderr = "";
    for (const name of flags.args) {
      try {
        const container = need(name, context);
        yield* stopOne(container, graceOf(flags.get("time", "10")), context);
        yield* sleep(START_NS);
        yield* startPlain(context.engine, container);
        stdout += `${name}\n`;
      } catch (error) {
        if (!(error instanceof DockerError)) throw error;
        const said = error.message.startsWith("No such") ? "" : `Cannot restart container ${name}: `;
        stderr += `Error response from daemon: ${said}${error.message}\n`;
      }
    }
    return { stdout, stderr, status: stderr === "" ? 0 : 1 };
  },
};

export const start: DockerCommand = {
  path: "docker start",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  short: "Start one or more stopped containers",
  flags: ["attach,a!", "interactive,i!", "detach-keys=!"],
  min: 1,
  max: -1,
  *run(flags, context): Co<ToolOutput> {
    let stdout = "";
    let stderr = "";
    const refused: string[] = [];
    for (const name of flags.args) {
      try {
        const container = need(name, context);
        if (!stillRuns(container)) {
          yield* sleep(START_NS);
          yield* startPlain(context.engine, container);
        }
        stdout += `${name}\n`;
      } catch (error) {
        stderr += `${daemonError(error)}\n`;
        refused.push(name);
      }
    }
    if (refused.length === 0) return ok(stdout);
    return failed(`${stderr}Error: failed to start containers: ${refused.join(", ")}`, 1, stdout);
  },
};

const bindings = (port: PortConfig): string[] =>
  hostAddresses(port).map((address) => `${address}:${port.publishedPort}`);

export const port: DockerCommand = {
  path: "docker port",
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  short: "List port mappings or a specific mapping for the container",
  flags: [],
  min: 1,
  max: 2,
  run(flags, { engine }): ToolOutput {
    const [name, wanted] = flags.args;
    const container = engine.findContainer(name);
    if (container === null) return failed(`Error: No such container: ${name}`);
    const mapped = container.mappedPorts;
    if (wanted === undefined)
      return ok(
        mapped
          .flatMap((one) =>
            bindings(one).map((address) => `${one.targetPort}/${one.protocol} -> ${address}\n`),
          )
          .join(""),
      );
    const key = wanted.includes("/") ? wanted : `${wanted}/tcp`;
    const found = mapped.filter((one) => `${one.targetPort}/${one.protocol}` === key);
    if (found.length === 0) return failed(`Error: No public port '${key}' published for ${name}`);
    return ok(found.flatMap((one) => bindings(one).map((address) => `${address}\n`)).join(""));
  },
};

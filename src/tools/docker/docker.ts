/** The docker command (cli/cmd/docker): finds the subcommand, parses its options, runs it against the machine's engine. */
import type { Co } from "../../host/process.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { type DockerCommand, daemonError, dockerContext, failed } from "./command.ts";
import { kill, ps, rm } from "./container.ts";
import { port, restart, start, stop } from "./container-life.ts";
import { exec } from "./exec.ts";
import { checkFlagValues } from "./flag-values.ts";
import { type Flags, parseFlags } from "./flags.ts";
import { images, rmi, tag } from "./image.ts";
import { containerInspect, inspect, serviceInspect } from "./inspect.ts";
import { logs } from "./logs.ts";
import { networkCreate, networkInspect, networkLs, networkPrune, networkRm } from "./network.ts";
import { networkConnect, networkDisconnect } from "./network-connect.ts";
import { nodeDemote, nodeInspect, nodeLs, nodePromote, nodePs, nodeRm, nodeUpdate } from "./node.ts";
import { create, run } from "./run.ts";
import {
  serviceCreate,
  serviceLs,
  servicePs,
  serviceRm,
  serviceRollback,
  serviceScale,
  serviceUpdate,
} from "./service.ts";
import { serviceLogs } from "./service-logs.ts";
import { stackDeploy, stackLs, stackPs, stackRm, stackServices } from "./stack/stack.ts";
import { swarmInit, swarmJoin, swarmJoinToken, swarmLeave } from "./swarm.ts";
import { info, version } from "./system-info.ts";
import { cp, volumeCreate, volumeInspect, volumeLs, volumeRm } from "./volume.ts";

type Group = Readonly<Record<string, DockerCommand>>;

const OF_CONTAINERS: Group = { cp, ps, create, exec, kill, logs, port, restart, rm, run, start, stop };
const CONTAINER: Group = { ...OF_CONTAINERS, ls: ps, list: ps, inspect: containerInspect };
const GROUPS: Readonly<Record<string, Group>> = {
  swarm: { init: swarmInit, join: swarmJoin, "join-token": swarmJoinToken, leave: swarmLeave },
  node: {
    ls: nodeLs,
    list: nodeLs,
    inspect: nodeInspect,
    update: nodeUpdate,
    promote: nodePromote,
    demote: nodeDemote,
    rm: nodeRm,
    remove: nodeRm,
    ps: nodePs,
  },
  network: {
    create: networkCreate,
    ls: networkLs,
    list: networkLs,
    inspect: networkInspect,
    rm: networkRm,
    remove: networkRm,
    prune: networkPrune,
    connect: networkConnect,
    disconnect: networkDisconnect,
  },
  service: {
    create: serviceCreate,
    update: serviceUpdate,
    scale: serviceScale,
    rollback: serviceRollback,
    rm: serviceRm,
    remove: serviceRm,
    ls: serviceLs,
    list: serviceLs,
    ps: servicePs,
    inspect: serviceInspect,
    logs: serviceLogs,
  },
  stack: {
    deploy: stackDeploy,
    up: stackDeploy,
    ls: stackLs,
    list: stackLs,
    ps: stackPs,
    rm: stackRm,
    remove: stackRm,
    down: stackRm,
    services: stackServices,
  },
  volume: {
    create: volumeCreate,
    ls: volumeLs,
    list: volumeLs,
    inspect: volumeInspect,
    rm: volumeRm,
    remove: volumeRm,
  },
  container: CONTAINER,
  image: { ls: images, list: images, tag, rm: rmi, remove: rmi },
  system: { info },
};
const TOP: Group = { ...OF_CONTAINERS, images, rmi, tag, inspect, info, version };

/** Commands that exist in reality. */
const NOT_MODELLED: readonly string[] = [
  "attach",
  "build",
  "builder",
  "commit",
  "config",
  "context",
  "diff",
  "events",
  "export",
  "history",
  "import",
  "load",
  "login",
  "logout",
  "manifest",
  "pause",
  "plugin",
  "pull",
  "push",
  "rename",
  "save",
  "search",
  "secret",
  "stats",
  "top",
  "trust",
  "unpause",
  "update",
  "wait",
  "compose",
];

interface DockerArgs {
  readonly command: DockerCommand;
  readonly flags: Flags;
}

const NO_DAEMON =
  "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";

export const dockerTool: Tool<DockerArgs, ToolOutput> = {
  name: "docker",

  parse(argv): DockerArgs {
    const { command, rest } = findCommand(argv);
    const flags = parseFlags(command, rest);
    checkFlagValues(flags, command.path);
    return { command, flags };
  },

  *run({ command, flags }, tool: ToolContext): Co<ToolOutput> {
    const context = dockerContext(tool);
    if (context === null) return failed(NO_DAEMON);
    try {
      const started = command.run(flags, context);
      return "status" in started ? started : yield* started;
    } catch (error) {
      return failed(daemonError(error));
    }
  },

  render(result): ToolOutput {
    return result;
  },
};

function findCommand(argv: readonly string[]): { command: DockerCommand; rest: readonly string[] } {
  const [first = "", second = ""] = argv;
  if (first === "--version" || first === "-v") return { command: version, rest: ["--format", VERSION_LINE] };
  const group = GROUPS[first];
  if (group !== undefined) {
    const command = group[second];
    if (command !== undefined) return { command, rest: argv.slice(2) };
    if (second === "" || second.startsWith("-"))
      throw new UsageError(
        `\nUsage:  docker ${first} COMMAND\n\nRun 'docker ${first} COMMAND --help' for more information on a command.\n`,
        0,
      );
    throw new NotModelledError(`docker ${first} ${second}`);
  }
  const command = TOP[first];
  if (command !== undefined) return { command, rest: argv.slice(1) };
  if (NOT_MODELLED.includes(first)) throw new NotModelledError(`docker ${first}`);
  if (first === "" || first === "--help") throw new UsageError("\nUsage:  docker [OPTIONS] COMMAND\n", 0);
  if (first.startsWith("-")) throw new UsageError(`unknown flag: ${first}\nSee 'docker --help'.\n`, 125);
  throw new UsageError(`docker: '${first}' is not a docker command.\nSee 'docker --help'\n`, 1);
}

const VERSION_LINE = "Docker version {{.Client.Version}}, build 297e128";

/** docker ps, exec, kill, stop, rm, run, images (cli/command/container). */
import { type Co, sleep } from "../../host/process.ts";
import type { Container } from "../../swarm/container.ts";
import { DockerError } from "../../swarm/docker-error.ts";
import { withTag } from "../../swarm/images.ts";
import type { PortConfig } from "../../swarm/manager/objects.ts";
import { startOnNetwork } from "../../swarm/plain-container.ts";
import { NotModelledError } from "../../util/errors.ts";
import type { ToolOutput } from "../tool.ts";
import {
  type DockerCommand,
  type DockerContext,
  failed,
  filterMap,
  forEachName,
  labelMap,
  need,
  ok,
  passes,
} from "./command.ts";
import { checkVolumes, Foreground } from "./foreground.ts";
import { humanDuration } from "./human.ts";
import { randomName } from "./names.ts";
import { networkRequest } from "./network-connect.ts";
import { parsePort } from "./port-option.ts";
import { type Column, ellipsis, renderTable } from "./table.ts";
import { userlandOf } from "./userland.ts";

const START_NS = 400_000_000;
const POLL_NS = 50_000_000;
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
    { field: "Status", heading: "STATUS", cell: (c) => statusText(c, now) },
    { field: "Ports", heading: "PORTS", cell: (c) => c.mappedPorts.map(mappedText).join(", ") },
    { field: "Names", heading: "NAMES", cell: (c) => c.name },
    { field: "State", heading: "STATE", cell: (c) => c.state },
    { field: "Networks", heading: "NETWORKS", cell: (c) => c.networkNames.join(",") },
  ];
}

function mappedText(port: PortConfig): string {
  const { publishedPort, targetPort, protocol } = port;
  return `0.0.0.0:${publishedPort}->${targetPort}/${protocol}, :::${publishedPort}->${targetPort}/${protocol}`;
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
        passes(filters, "label", (value) => hasLabel(c, value)),
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

function hasLabel(container: Container, text: string): boolean {
  const i = text.indexOf("=");
  const value = container.options.labels.get(i < 0 ? text : text.slice(0, i));
  return value !== undefined && (i < 0 || value === text.slice(i + 1));
}

export const exec: DockerCommand = {
  path: "docker exec",
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  short: "Run a command in a running container",
  flags: ["interactive,i", "tty,t", "detach,d!", "env,e=", "user,u=", "workdir,w=", "privileged"],
  min: 2,
  max: -1,
  stopAtArgument: true,
  *run(flags, context): Co<ToolOutput> {
    const [reference, ...argv] = flags.args;
    const container = context.engine.findContainer(reference);
    if (container === null) return failed(`Error: No such container: ${reference}`);
    if (container.state !== "running" || container.ns === null)
      throw new DockerError(`Container ${container.id} is not running`);
    const userland = userlandOf(container, context.tool.machine);
    return yield* context.tool.exec(argv, container.ns, userland);
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

/** Takes the network of a container apart when it is no task (those have their agent). */
function settle(container: Container, { engine }: DockerContext): void {
  if (!container.options.labels.has("com.docker.swarm.task.id")) engine.releaseSandbox(container);
}

export const stop: DockerCommand = {
  path: "docker stop",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  short: "Stop one or more running containers",
  flags: ["time,t="],
  min: 1,
  max: -1,
  *run(flags, context): Co<ToolOutput> {
    const graceNs = Number(flags.get("time", "10")) * 1e9;
    for (const name of flags.args) {
      const container = context.engine.findContainer(name);
      if (container === null || container.state !== "running") continue;
      container.kill(15);
      const end = context.engine.sim.now + graceNs;
      while (stillRuns(container) && context.engine.sim.now < end) yield* sleep(POLL_NS);
      container.kill(9);
      yield* sleep(0);
      settle(container, context);
    }
    return forEachName(flags.args, (name) => {
      need(name, context);
      return name;
    });
  },
};

function stillRuns(container: Container): boolean {
  return container.state === "running";
}

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

export const run: DockerCommand = {
  path: "docker run",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  short: "Run a command in a new container",
  flags: [
    "detach,d",
    "interactive,i",
    "tty,t",
    "rm",
    "name=",
    "publish,p=",
    "network=",
    "net=",
    "env,e=",
    "label,l=",
    "hostname,h=",
    "restart=",
    "privileged",
    "volume,v=",
    "mount=!",
    "link=!",
    "ip=",
    "network-alias=",
    "net-alias=",
    "publish-all,P!",
    "entrypoint=!",
  ],
  min: 1,
  max: -1,
  stopAtArgument: true,
  *run(flags, context): Co<ToolOutput> {
    const { engine } = context;
    const [image, ...command] = flags.args;
    const spec = engine.findImage(image);
    if (spec === null)
      return failed(
        `Unable to find image '${withTag(image)}' locally\ndocker: Error response from daemon: pull access denied for ${image}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied.\nSee 'docker run --help'.`,
        125,
      );
    checkVolumes(flags);
    const detached = flags.on("detach");
    if (!detached && command.length === 0 && spec.http + spec.udpEcho > 0)
      throw new NotModelledError("docker run of a server without -d");
    const foreground = new Foreground();
    const request = networkRequest(flags, flags.get("network", flags.get("net", "bridge")));
    const name = flags.get("name", randomName(engine.prng));
    const taken = engine.findContainer(name);
    if (taken !== null && taken.name === name)
      return failed(
        `docker: Error response from daemon: Conflict. The container name "/${name}" is already in use by container "${taken.id}". You have to remove (or rename) that container to be able to reuse that name.\nSee 'docker run --help'.`,
        125,
      );
    const container = engine.createContainer({
      name,
      named: flags.has("name"),
      image,
      spec,
      command,
      ...(detached ? {} : { main: () => foreground.main() }),
      env: flags.list("env"),
      hostname: flags.get("hostname"),
      labels: labelMap(flags.list("label")),
      nsName: name,
      hostPorts: flags
        .list("publish")
        .flatMap((text) => parsePort(text))
        .map((port) => ({ ...port, mode: "host" as const }))
        .sort((a, b) => (portName(a) < portName(b) ? -1 : 1)),
      autoRemove: flags.on("rm"),
    });
    container.networkNames = [request.target];
    yield* sleep(START_NS);
    container.onExit = () => {
      engine.releaseSandbox(container);
      if (container.options.autoRemove) engine.removeContainer(container);
    };
    try {
      yield* startOnNetwork(engine, container, request);
    } catch (error) {
      if (!(error instanceof DockerError)) throw error;
      if (container.options.autoRemove) engine.removeContainer(container);
      const id = detached ? `${container.id}\n` : "";
      return failed(`docker: Error response from daemon: ${error.message}.`, 125, id);
    }
    return detached ? ok(`${container.id}\n`) : yield* foreground.run(container, context);
  },
};

/** A port as the client names it; its request holds them in the order of their names. */
const portName = ({ targetPort, protocol }: PortConfig): string => `${targetPort}/${protocol}`;

interface ImageRow {
  readonly repository: string;
}

const IMAGE_COLUMNS: readonly Column<ImageRow>[] = [
  { field: "Repository", heading: "REPOSITORY", cell: ({ repository }) => repository },
  { field: "Tag", heading: "TAG", cell: () => "latest" },
];

export const images: DockerCommand = {
  path: "docker images",
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  short: "List images",
  flags: ["format=", "quiet,q!", "all,a", "no-trunc"],
  min: 0,
  max: 1,
  run(flags, { engine }): ToolOutput {
    const wanted = flags.args[0];
    const rows = [...engine.fabric.images.keys()]
      .filter((name) => wanted === undefined || withTag(wanted) === `${name}:latest`)
      .sort()
      .map((repository) => ({ repository }));
    return ok(renderTable(IMAGE_COLUMNS, ["Repository", "Tag"], rows, flags.get("format"), false));
  },
};

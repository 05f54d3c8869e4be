/** docker run and create (cli/command/container/run.go, create.go). */
import { type Co, KilledError, sleep } from "../../host/process.ts";
import type { Container } from "../../swarm/container.ts";
import { DockerError } from "../../swarm/docker-error.ts";
import { type ImageSpec, startsServer, withTag } from "../../swarm/images.ts";
import type { Mount, PortConfig, Protocol } from "../../swarm/manager/objects.ts";
import { startPlain } from "../../swarm/plain-container.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import type { ToolOutput } from "../tool.ts";
import { type DockerCommand, type DockerContext, failed, labelMap, ok } from "./command.ts";
import { START_NS } from "./container-life.ts";
import type { Flags } from "./flags.ts";
import { Foreground, NETNS_MOUNT } from "./foreground.ts";
import { checkTold, LogReader } from "./logs.ts";
import { parseMount, parseVolume } from "./mount-option.ts";
import { randomName } from "./names.ts";
import { networkRequest } from "./network-connect.ts";
import { exposedPorts, parseBinding } from "./port-option.ts";

const FAILED = 125;
const NOT_FOUND = 127;

const CREATE_FLAGS = [
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
  "mount=",
  "link=!",
  "ip=",
  "network-alias=",
  "net-alias=",
  "publish-all,P",
  "expose=",
  "entrypoint=!",
] as const;

type Verb = "run" | "create";

/** A refusal of the daemon: `docker create` gives it as it is, `docker run` in words of its own. */
function refusal(verb: Verb, message: string): ToolOutput {
  const text = `Error response from daemon: ${message}`;
  return verb === "create" ? failed(text) : failed(`docker: ${text}.\nSee 'docker run --help'.`, FAILED);
}

const refuseWords =
  (verb: Verb) =>
  (why: string): UsageError =>
    new UsageError(`docker: ${why}.\nSee 'docker ${verb} --help'.\n`, FAILED);

/** The values of `--publish`, in the order of the ports' names; those with `=` as `published:target/protocol`. */
function portsOf(flags: Flags, verb: Verb): PortConfig[] {
  const refuse = refuseWords(verb);
  return flags
    .list("publish")
    .map((text) => (text.includes("=") ? shortForm(text, refuse) : text))
    .flatMap((text) => parseBinding(text, refuse))
    .map((port) => ({ ...port, mode: "host" as const }))
    .sort((a, b) => (portName(a) < portName(b) ? -1 : portName(a) > portName(b) ? 1 : 0));
}

const portName = ({ targetPort, protocol }: PortConfig): string => `${targetPort}/${protocol}`;

/** The ports that the image and `--expose` name, and those that are published. */
function exposedOf(flags: Flags, verb: Verb, spec: ImageSpec, published: readonly PortConfig[]): string[] {
  const refuse = refuseWords(verb);
  const named = flags.list("expose").flatMap((text) => exposedPorts(text, refuse));
  return [...new Set([...spec.exposed, ...named, ...published.map(portName)])].sort();
}

/** Volumes; what shows the namespaces of the machine is there without. */
function mountsOf(flags: Flags, verb: Verb): Mount[] {
  return [
    ...flags
      .list("volume")
      .filter((text) => !NETNS_MOUNT.test(text))
      .map(parseVolume),
    ...flags.list("mount").map((text) => parseMount(text, `docker ${verb}`)),
  ];
}

/** With -P every port that is named and has no place gets one of the node's choice. */
function withAll(exposed: readonly string[], published: readonly PortConfig[]): PortConfig[] {
  const open = exposed.filter((name) => published.every((port) => portName(port) !== name));
  const chosen = open.map((name) => {
    const [target, protocol] = name.split("/");
    return {
      protocol: protocol as Protocol,
      targetPort: Number(target),
      publishedPort: 0,
      mode: "host" as const,
    };
  });
  return [...published, ...chosen];
}

function shortForm(text: string, refuse: (why: string) => UsageError): string {
  const values = new Map([["protocol", "tcp"]]);
  for (const field of text.split(",")) {
    const [key, value] = field.split("=");
    if (value === undefined)
      throw refuse(`invalid publish opts format (should be name=value but got '${field}')`);
    values.set(key, value);
  }
  return `${values.get("published") ?? ""}:${values.get("target") ?? ""}/${values.get("protocol")}`;
}

/** The container that the words describe, or what is said instead. */
function createContainer(flags: Flags, { engine }: DockerContext, verb: Verb): Container | ToolOutput {
  const [image, ...command] = flags.args;
  const published = portsOf(flags, verb);
  const spec = engine.findImage(image);
  if (spec === null) {
    const denied = `pull access denied for ${image}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`;
    const output = refusal(verb, denied);
    return { ...output, stderr: `Unable to find image '${withTag(image)}' locally\n${output.stderr}` };
  }
  const exposed = exposedOf(flags, verb, spec, published);
  const request = networkRequest(flags, flags.get("network", flags.get("net", "bridge")));
  if (request.target === "host" || request.target === "none")
    throw new NotModelledError(`docker ${verb} --network ${request.target}`);
  const name = flags.get("name", randomName(engine.prng));
  const taken = engine.findContainer(name);
  if (taken !== null && taken.name === name)
    return refusal(
      verb,
      `Conflict. The container name "/${name}" is already in use by container "${taken.id}". You have to remove (or rename) that container to be able to reuse that name`,
    );
  let mounts: Mount[];
  try {
    mounts = engine.volumes.settle(mountsOf(flags, verb));
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    return refusal(verb, error.message);
  }
  const container = engine.createContainer({
    name,
    named: flags.has("name"),
    image,
    spec,
    command,
    env: flags.list("env"),
    hostname: flags.get("hostname"),
    labels: labelMap(flags.list("label")),
    nsName: name,
    hostPorts: flags.on("publish-all") ? withAll(exposed, published) : published,
    exposed,
    mounts,
    autoRemove: flags.on("rm"),
  });
  container.networkNames = [request.target];
  container.requests = [request];
  return container;
}

export const create: DockerCommand = {
  path: "docker create",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  short: "Create a new container",
  flags: CREATE_FLAGS,
  min: 1,
  max: -1,
  stopAtArgument: true,
  run(flags, context): ToolOutput {
    const made = createContainer(flags, context, "create");
    return "stdout" in made ? made : ok(`${made.id}\n`);
  },
};

export const run: DockerCommand = {
  path: "docker run",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  short: "Run a command in a new container",
  flags: ["detach,d", ...CREATE_FLAGS],
  min: 1,
  max: -1,
  stopAtArgument: true,
  *run(flags, context): Co<ToolOutput> {
    const { engine } = context;
    const container = createContainer(flags, context, "run");
    if ("stdout" in container) return container;
    const { spec, command, autoRemove } = container.options;
    const detached = flags.on("detach");
    const isServer = startsServer(spec, command);
    if (!detached && isServer) checkTold(container.options.image, spec.quiet);
    const foreground = detached || isServer ? null : new Foreground();
    if (foreground !== null) container.attachedMain = () => foreground.main();
    yield* sleep(START_NS);
    try {
      yield* startPlain(engine, container);
    } catch (error) {
      if (!(error instanceof DockerError)) throw error;
      if (autoRemove) engine.removeContainer(container);
      const id = detached ? `${container.id}\n` : "";
      const status = /executable file not found|no such file/.test(error.message) ? NOT_FOUND : FAILED;
      return failed(`docker: Error response from daemon: ${error.message}.`, status, id);
    }
    if (detached) return ok(`${container.id}\n`);
    if (foreground !== null) return yield* foreground.run(container, context);
    return yield* watch(container, context);
  },
};

/** Stays with a server until it ends; a signal to the client is one to the server. */
function* watch(container: Container, { tool }: DockerContext): Co<ToolOutput> {
  const reader = new LogReader(container.log, tool);
  try {
    yield* reader.follow(container);
  } catch (error) {
    if (error instanceof KilledError) container.kill(error.signal);
    throw error;
  }
  return { stdout: "", stderr: "", status: container.exitCode };
}

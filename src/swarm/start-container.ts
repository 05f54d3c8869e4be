/**
 * How a container starts (daemon/start.go, and runc's words): its network first, then its program; why it could not.
 */
import { type Container, isKnownCommand } from "./container.ts";
import type { Engine } from "./engine.ts";
import { startsServer } from "./images.ts";
import type { Attachment } from "./network/controller.ts";

/** What Docker sets in the namespace of every container that has one of its own. */
const CONTAINER_SYSCTLS = [
  ["net.ipv4.ip_unprivileged_port_start", "0"],
  ["net.ipv4.ping_group_range", "0\t2147483647"],
] as const;

/** Exit code of a container whose program is not there. */
const NOT_FOUND = 127;

/** Joins the container to its networks and starts its programs. Null, or why it could not. */
export function startContainer(
  engine: Engine,
  container: Container,
  attachments: readonly Attachment[],
): string | null {
  const { controller, fabric, machine } = engine;
  const { nsName, hostPorts, command } = container.options;
  const sandbox = controller.createSandbox(container.id, container.name, attachments);
  container.sandbox = sandbox;
  container.networkNames = attachments.map(({ networkId }) => controller.findNetwork(networkId)!.name);
  const ns = sandbox.createNs(nsName);
  for (const [name, value] of CONTAINER_SYSCTLS)
    if (ns.sysctl.names().includes(name)) ns.sysctl.set(name, value);
  const refused = controller.mapPorts(sandbox, hostPorts);
  if (refused !== null) {
    const { id, name } = sandbox.gatewayEndpoint()!;
    engine.releaseSandbox(container);
    return `driver failed programming external connectivity on endpoint ${name} (${id}): ${refused}`;
  }
  container.mappedPorts = sandbox.gatewayEndpoint()?.portMappings ?? [];
  const known = command.length === 0 || startsServer(container.options.spec, command);
  const missing = known ? null : missingProgram(engine, container, command[0]);
  if (missing !== null) {
    engine.releaseSandbox(container);
    container.exitCode = NOT_FOUND;
    return `failed to create shim task: OCI runtime create failed: runc create failed: ${missing}`;
  }
  const { runCommand } = fabric;
  container.start(runCommand === null ? null : (argv, log) => runCommand(machine, ns, argv, log));
  return null;
}

/** What the runtime says when a container has no such program; null when it has. */
export function missingProgram(
  { fabric, machine }: Engine,
  container: Container,
  word: string,
): string | null {
  if (isKnownCommand(word) || fabric.hasProgram(machine, container, word)) return null;
  const why = word.includes("/")
    ? `stat ${word}: no such file or directory`
    : "executable file not found in $PATH";
  return `unable to start container process: exec: "${word}": ${why}: unknown`;
}

/** docker exec (cli/command/container/exec.go, daemon/exec.go, and runc's words for what it cannot run). */
import type { Co } from "../../host/process.ts";
import { DockerError } from "../../swarm/docker-error.ts";
import { missingProgram } from "../../swarm/start-container.ts";
import type { ToolOutput } from "../tool.ts";
import { type DockerCommand, failed } from "./command.ts";
import { userlandOf } from "./userland.ts";

/** The daemon's exit code of a command that did not start. */
const NOT_STARTED = 126;

export const exec: DockerCommand = {
  path: "docker exec",
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  short: "Run a command in a running container",
  flags: ["interactive,i", "tty,t", "detach,d!", "env,e=", "user,u=", "workdir,w=", "privileged"],
  min: 2,
  max: -1,
  stopAtArgument: true,
  *run(flags, { engine, tool }): Co<ToolOutput> {
    const [reference, ...argv] = flags.args;
    const container = engine.findContainer(reference);
    if (container === null) return failed(`Error: No such container: ${reference}`);
    if (container.state !== "running" || container.ns === null)
      throw new DockerError(`Container ${container.id} is not running`);
    const missing = missingProgram(engine, container, argv[0]);
    if (missing !== null) {
      // The stream is the command's by then: the daemon writes into its standard output.
      const stdout = `OCI runtime exec failed: exec failed: ${missing}\r\n`;
      return { stdout, stderr: "", status: NOT_STARTED };
    }
    return yield* tool.exec(argv, container.ns, userlandOf(container, tool.machine));
  },
};

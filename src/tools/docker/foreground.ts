/**
 * `docker run` without `-d` (cli/command/container/run.go): the client stays attached, prints what the command prints and
 * ends with its status. The command runs in the client's stead, so that its output is at hand; process 1 of the container
 * waits for it.
 */
import type { Co } from "../../host/process.ts";
import { WaitQueue } from "../../sim/wait-queue.ts";
import type { Container } from "../../swarm/container.ts";
import type { ToolOutput } from "../tool.ts";
import type { DockerContext } from "./command.ts";
import { userlandOf } from "./userland.ts";

/** The volume that shows the namespaces of the machine. */
export const NETNS_MOUNT = /^\/(?:var\/)?run\/docker\/netns(?:\/[^:]*)?:/;

export class Foreground {
  private readonly ended = new WaitQueue();
  private status: number | null = null;

  /** Process 1 of the container. */
  *main(): Co<number> {
    while (this.status === null) yield { queues: [this.ended] };
    return this.status;
  }

  /** Runs the container's command in it. */
  *run(container: Container, { tool }: DockerContext): Co<ToolOutput> {
    let status = 1;
    try {
      const output = yield* tool.exec(container.argv, container.ns!, userlandOf(container, tool.machine));
      status = output.status;
      return output;
    } finally {
      this.status = status;
      this.ended.wake();
    }
  }
}

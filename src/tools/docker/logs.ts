/** docker logs (cli/command/container/logs.go, daemon/logs.go): what a container has printed, as it was printed. */
import type { Co } from "../../host/process.ts";
import type { Container } from "../../swarm/container.ts";
import type { ContainerLog, LogLine } from "../../swarm/container-log.ts";
import { DockerError } from "../../swarm/docker-error.ts";
import { NotModelledError } from "../../util/errors.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { type DockerCommand, failed, ok } from "./command.ts";
import type { Flags } from "./flags.ts";
import { parseMoment, rfc3339Fixed } from "./human.ts";

/** Options that docker logs and docker service logs share. */
export const LOG_FLAGS = ["follow,f", "since=", "tail,n=", "timestamps,t"] as const;

/** What the options choose. */
export interface LogChoice {
  readonly sinceNs: number;
  readonly untilNs: number;
  /** How many of the last lines; infinite for all. */
  readonly tail: number;
}

export function logChoice(flags: Flags, nowNs: number): LogChoice {
  const moment = (name: string, otherwise: number): number => {
    const text = flags.get(name);
    if (text === "") return otherwise;
    const found = parseMoment(text, nowNs);
    if (found === null)
      throw new DockerError(
        `invalid value for "${name}": failed to parse value as time or duration: "${text}"`,
      );
    return found;
  };
  const tail = flags.get("tail", "all");
  return {
    sinceNs: moment("since", Number.NEGATIVE_INFINITY),
    untilNs: moment("until", Number.POSITIVE_INFINITY),
    tail: /^\d+$/.test(tail) ? Number(tail) : Number.POSITIVE_INFINITY,
  };
}

export function chosenLines(lines: readonly LogLine[], choice: LogChoice): readonly LogLine[] {
  const inTime = lines.filter(({ atNs }) => atNs >= choice.sinceNs && atNs <= choice.untilNs);
  return inTime.slice(Math.max(0, inTime.length - choice.tail));
}

/** Hands lines of a log to a client's two streams as they come. */
export class LogReader {
  private readonly log: ContainerLog;
  private readonly tool: ToolContext;
  private readonly stamped: boolean;
  private next = 0;

  constructor(log: ContainerLog, tool: ToolContext, stamped = false) {
    this.log = log;
    this.tool = tool;
    this.stamped = stamped;
  }

  /** What is there already. */
  print(choice: LogChoice): void {
    for (const line of chosenLines(this.log.lines, choice)) this.line(line);
    this.next = this.log.lines.length;
  }

  /** Until the container has ended. */
  *follow(container: Container): Co<void> {
    for (;;) {
      while (this.next < this.log.lines.length) this.line(this.log.lines[this.next++]);
      if (container.state !== "running") return;
      yield { queues: [this.log.changed] };
    }
  }

  private line({ atNs, stream, text }: LogLine): void {
    const shown = this.stamped ? `${rfc3339Fixed(atNs)} ${text}` : text;
    if (stream === "stdout" || this.tool.printError === undefined) this.tool.print(shown);
    else this.tool.printError(shown);
  }
}

export const logs: DockerCommand = {
  path: "docker logs",
  usage: "[OPTIONS] CONTAINER",
  short: "Fetch the logs of a container",
  flags: ["details", ...LOG_FLAGS, "until="],
  min: 1,
  max: 1,
  *run(flags, { engine, tool, now }): Co<ToolOutput> {
    const [name] = flags.args;
    const container = engine.findContainer(name);
    if (container === null) return failed(`Error: No such container: ${name}`);
    checkTold(container.options.image, engine.findImage(container.options.image)?.quiet ?? false);
    const reader = new LogReader(container.log, tool, flags.on("timestamps"));
    reader.print(logChoice(flags, now));
    if (flags.on("follow")) yield* reader.follow(container);
    return ok("");
  },
};

/** The server of some images stands for another program, whose words nobody knows here. */
export function checkTold(image: string, quiet: boolean): void {
  if (quiet) throw new NotModelledError(`what a container of ${image} prints`);
}

/** `dig` of BIND 9.18: one question and its answer as text (bin/dig/dig.c). */
import type { Co } from "../../host/process.ts";
import { MS, type Sim } from "../../sim/sim.ts";
import { formatCtime, wallTime } from "../../sim/wall-clock.ts";
import { UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { type DigArgs, parseDig } from "./dig-args.ts";
import { digGreeting, digMessage } from "./dig-text.ts";
import { type Answer, lookup } from "./query.ts";

const STATUS_NO_REPLY = 9;

function statistics(answer: Answer, args: DigArgs, sim: Sim): string {
  const server = formatIp4(answer.server);
  const when = formatCtime(wallTime(sim)).replace(/ (\d+)$/, " UTC $1");
  return (
    `;; Query time: ${Math.floor(answer.tookNs / MS)} msec\n` +
    `;; SERVER: ${server}#${args.port}(${args.server || server}) (${answer.tcp ? "TCP" : "UDP"})\n` +
    `;; WHEN: ${when}\n;; MSG SIZE  rcvd: ${answer.length}\n\n`
  );
}

function* runDig(args: DigArgs, context: ToolContext): Co<ToolOutput> {
  const { answer, errors } = yield* lookup(args, context);
  if (answer === null) {
    const stdout = `${errors}${digGreeting(args)};; no servers could be reached\n`;
    return { stdout, stderr: "", status: STATUS_NO_REPLY };
  }
  const stats = args.shown.stats ? statistics(answer, args, context.machine.kernel.sim) : "";
  const stdout = errors + digGreeting(args) + digMessage(answer.message, args) + stats;
  return { stdout, stderr: "", status: 0 };
}

export const dig: Tool<DigArgs, ToolOutput> = {
  name: "dig",
  parse: (argv) => parseDig(argv),
  run: runDig,
  render: (output) => output,
  failure(error): ToolOutput | null {
    if (!(error instanceof UsageError)) return null;
    return { stdout: "", stderr: `${error.message}\n`, status: error.status };
  },
};

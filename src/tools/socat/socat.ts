/**
 * `socat` 1.7.4 between two of its addresses: a block read is a block written (a datagram, a segment), and after the end
 * of one direction the other may go on for the -t time.
 */
import type { Co } from "../../host/process.ts";
import { wallTime } from "../../sim/wall-clock.ts";
import { SysError, strerror } from "../../util/errors.ts";
import { OptionReader } from "../options.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { type Address, parseAddress, usage } from "./address.ts";
import { type Endpoint, openEndpoint } from "./endpoint.ts";

interface SocatArgs {
  readonly left: Address;
  readonly right: Address;
  /** -u, -U: only from left to right, or the other way. */
  readonly way: "both" | "right" | "left";
  /** How long the other direction may last after the end of one, ns. */
  readonly lingerNs: number;
  /** -T: how long both may be silent, ns. */
  readonly idleNs: number;
  readonly blockBytes: number;
  /** -h, -V: what it prints. */
  readonly text: string;
}

const SEC = 1_000_000_000;
const HELP = "socat by Gerhard Rieger and contributors - see www.dest-unreach.org\n";

function parseSocat(argv: readonly string[]): SocatArgs {
  const words = argv.map((word) => (word === "-" ? "STDIO" : word));
  const reader = new OptionReader("socat", words, "t:T:b:uUdvhV46Dx", 1);
  let [lingerNs, idleNs, blockBytes] = [SEC / 2, 0, 8192];
  let way: SocatArgs["way"] = "both";
  let text = "";
  for (const { option, value } of reader.options()) {
    if (option === "u" || option === "U") way = option === "u" ? "right" : "left";
    if (option === "h" || option === "V") text = HELP;
    if (!"tTb".includes(option)) continue;
    const given = Number(value);
    if (Number.isNaN(given) || given < 0) throw usage(`invalid argument "${value}" to option "-${option}"`);
    if (option === "t") lingerNs = Math.round(given * SEC);
    else if (option === "T") idleNs = Math.round(given * SEC);
    else blockBytes = Math.max(1, Math.floor(given));
  }
  const { rest } = reader;
  if (text !== "")
    return { left: { kind: "stdio" }, right: { kind: "stdio" }, way, lingerNs, idleNs, blockBytes, text };
  if (rest.length !== 2)
    throw usage(`exactly 2 addresses required (there are ${rest.length}); use option "-h" for help`);
  const [left, right] = rest.map(parseAddress);
  return { left, right, way, lingerNs, idleNs, blockBytes, text };
}

/** A line of the log, as socat writes what fails. */
function logLine(context: ToolContext, text: string): string {
  const { year, month, day, hour, minute, second } = wallTime(context.machine.kernel.sim);
  const two = (n: number): string => String(n).padStart(2, "0");
  const stamp = `${year}/${two(month)}/${two(day)} ${two(hour)}:${two(minute)}:${two(second)}`;
  return `${stamp} socat[${context.process.pid}] E ${text}\n`;
}

/** From one end to the other. */
interface Direction {
  readonly from: Endpoint;
  readonly to: Endpoint;
  ended: boolean;
}

function* runSocat(args: SocatArgs, context: ToolContext): Co<ToolOutput> {
  if (args.text !== "") return { stdout: args.text, stderr: "", status: 0 };
  // With fork a child has one peer, and who listens stays.
  const { left } = args;
  const stays = left.kind === "udp-listen" && left.options.fork;
  for (;;) {
    const output = yield* runOnce(args, context);
    if (!stays || output.status !== 0) return output;
  }
}

function* runOnce(args: SocatArgs, context: ToolContext): Co<ToolOutput> {
  const ends: Endpoint[] = [];
  let failing: Endpoint | null = null;
  try {
    ends.push(yield* openEndpoint(args.left, context));
    ends.push(yield* openEndpoint(args.right, context));
    const [left, right] = ends;
    const directions: Direction[] = [];
    if (args.way !== "left") directions.push({ from: left, to: right, ended: false });
    if (args.way !== "right") directions.push({ from: right, to: left, ended: false });
    failing = args.way === "left" ? left : right;
    yield* copy(directions, args, (end) => {
      failing = end;
    });
    return { stdout: "", stderr: "", status: 0 };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const call = failing?.call ?? "connect(5)";
    return { stdout: "", stderr: logLine(context, `${call}: ${strerror(error.code)}`), status: 1 };
  } finally {
    for (const end of ends) end.close();
  }
}

function* copy(directions: Direction[], args: SocatArgs, using: (end: Endpoint) => void): Co<void> {
  for (;;) {
    let moved = false;
    for (const direction of directions) {
      if (direction.ended) continue;
      using(direction.from);
      const block = yield* direction.from.read(args.blockBytes);
      if (block === null) continue;
      moved = true;
      using(direction.to);
      if (block.length > 0) yield* direction.to.write(block);
      else {
        direction.ended = true;
        direction.to.finish();
      }
    }
    const open = directions.filter(({ ended }) => !ended);
    if (open.length === 0) return;
    if (moved) continue;
    const queues = open.flatMap(({ from }) => (from.wq === null ? [] : [from.wq]));
    if (queues.length === 0) return;
    const timeoutNs = open.length < directions.length ? args.lingerNs : args.idleNs || undefined;
    const wake = yield timeoutNs === undefined ? { queues } : { queues, timeoutNs };
    if (wake === "timeout") return;
  }
}

/** The command. */
export const socat: Tool<SocatArgs, ToolOutput> = {
  name: "socat",
  parse: (argv) => parseSocat(argv),
  run: runSocat,
  render: (result) => result,
};

/**
 * The `whoami` server of the image of that name, started by hand: `whoami [PORT]`, `whoami --port PORT`. Serves HTTP on
 * the port until a signal comes, with `--udp PORT` an echo too. Without a port: the name of the user (coreutils).
 */
import type { Co } from "../host/process.ts";
import { whoami as server } from "../host/whoami.ts";
import { SysError, strerror, UsageError } from "../util/errors.ts";
import type { Tool, ToolOutput } from "./tool.ts";

interface WhoamiArgs {
  /** 0: tell the user. */
  readonly port: number;
  readonly udpPorts: readonly number[];
}

function parse(argv: readonly string[]): WhoamiArgs {
  if (argv.length === 0) return { port: 0, udpPorts: [] };
  const words = argv.flatMap((word) => word.split("="));
  const udpPorts: number[] = [];
  let port = 0;
  for (let i = 0; i < words.length; i++)
    if (/^--?udp$/.test(words[i])) udpPorts.push(portOf(words[++i] ?? ""));
    else if (/^--?port$/.test(words[i])) port = portOf(words[++i] ?? "");
    else port = portOf(words[i]);
  return { port, udpPorts };
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new UsageError(`whoami: extra operand '${text}'\nTry 'whoami --help' for more information.`, 1);
  return port;
}

export const whoami: Tool<WhoamiArgs, ToolOutput> = {
  name: "whoami",
  parse,
  *run({ port, udpPorts }, { machine, process }): Co<ToolOutput> {
    if (port === 0) return { stdout: "root\n", stderr: "", status: 0 };
    return {
      stdout: "",
      stderr: "",
      status: yield* server({ hostname: machine.name, port, udpPorts })(process),
    };
  },
  render: (output) => output,
  failure(error): ToolOutput | null {
    if (!(error instanceof SysError)) return null;
    return { stdout: "", stderr: `bind: ${strerror(error.code)}\n`, status: 1 };
  },
};

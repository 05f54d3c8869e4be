/**
 * `iperf3` 3.12 as far as a server that waits: it accepts one control connection after the other, reads the 37 bytes of
 * its cookie, and gives up a peer that sends something shorter (iperf_server_api.c iperf_accept). No test runs.
 */
import type { Co } from "../host/process.ts";
import { acceptTcp, closeSocket, listenTcp, recvTcp } from "../host/socket.ts";
import { NotModelledError, SysError, UsageError } from "../util/errors.ts";
import { OptionReader } from "./options.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

interface IperfArgs {
  readonly port: number;
  readonly version: boolean;
  readonly once: boolean;
}

const COOKIE_SIZE = 37;
const VERSION = "iperf 3.12 (cJSON 1.7.15)\n";
const RULE = "-----------------------------------------------------------\n";

function parseIperf(argv: readonly string[]): IperfArgs {
  const reader = new OptionReader("iperf3", argv, "sc:p:vD1i:B:t:uP:4", 1, {
    server: "s",
    client: "c:",
    port: "p:",
    version: "v",
  });
  let port = 5201;
  let server = false;
  let version = false;
  let once = false;
  for (const { option, value } of reader.options()) {
    if (option === "s") server = true;
    else if (option === "p") port = Number(value);
    else if (option === "v") version = true;
    else if (option === "1") once = true;
    else throw new NotModelledError(`iperf3 -${option}`);
  }
  if (!server && !version)
    throw new UsageError("iperf3: parameter error - must either be a client (-c) or server (-s)\n", 1);
  return { port, version, once };
}

function* serve({ port, version, once }: IperfArgs, context: ToolContext): Co<ToolOutput> {
  if (version) return { stdout: VERSION, stderr: "", status: 0 };
  const { process } = context;
  do {
    const listener = listenTcp(process, 0, port, 2147483647);
    context.print(`${RULE}Server listening on ${port} (test #1)\n${RULE}`);
    const sk = yield* acceptTcp(process, listener);
    try {
      let cookie = 0;
      while (cookie < COOKIE_SIZE) {
        const data = yield* recvTcp(sk, COOKIE_SIZE - cookie);
        if (data.length === 0) break;
        cookie += data.length;
      }
      if (cookie === COOKIE_SIZE) throw new NotModelledError("a test of iperf3");
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
    closeSocket(process, sk);
    closeSocket(process, listener);
  } while (!once);
  return { stdout: "", stderr: "iperf3: error - unable to receive cookie at server: \n", status: 1 };
}

export const iperf3: Tool<IperfArgs, ToolOutput> = {
  name: "iperf3",
  parse: (argv) => parseIperf(argv),
  run: serve,
  render: (result) => result,
  failure(error): ToolOutput | null {
    if (!(error instanceof SysError)) return null;
    return {
      stdout: "",
      stderr: "iperf3: error - unable to start listener for connections: Address already in use\n",
      status: 1,
    };
  },
};

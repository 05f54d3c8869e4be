/**
 * The program of the `whoami` image: an HTTP/1.1 server that tells who it is and who asks, closes each connection after
 * one answer, sends `/data?size=N` bytes and delays by `/wait?s=N` seconds; and UDP echoes.
 */

import { addressesOf } from "../net/ctl/address.ts";
import type { TcpSock } from "../net/ipv4/tcp-sock.ts";
import { SysError } from "../util/errors.ts";
import { formatIp4 } from "../wire/address.ts";
import { asciiBytes, asciiText } from "./ascii.ts";
import { passFd } from "./fd-table.ts";
import { type Co, type Process, type Program, sleep, work } from "./process.ts";
import { acceptTcp, closeSocket, listenTcp, recvTcp, sendTcp, shutdownTcp } from "./socket.ts";
import { udpEcho } from "./udp-echo.ts";

export interface WhoamiOptions {
  readonly hostname: string;
  /** TCP port, 80 when absent. */
  readonly port?: number;
  /** UDP ports that echo, none when absent. */
  readonly udpPorts?: readonly number[];
  /** Its standard error. */
  readonly print?: (text: string) => void;
}

const REQUEST_MAX = 16383;
const SIGKILL = 9;
/**
 * Work of the program on the recorded machines, medians: to start a process for the connection and ask the kernel for all
 * addresses; to make a large body; from the last byte to the end of the connection.
 */
const ANSWER_NS = 4_500_000;
const BODY_NS = 1_000_000;
const SHUTDOWN_NS = 220_000;

/** The server; ends only by a signal. Its children (one a connection, one a UDP port) end with it. */
export function whoami(options: WhoamiOptions): Program {
  return function* (process: Process): Co<number> {
    const { machine, ns } = process;
    const children: Process[] = [];
    try {
      for (const port of options.udpPorts ?? [])
        children.push(machine.spawn("whoami", ns, udpEcho({ hostname: options.hostname, port })));
      const port = options.port ?? 80;
      const listener = listenTcp(process, 0, port);
      options.print?.(`Starting up on port ${port}\n`);
      for (;;) {
        const sk = yield* acceptTcp(process, listener);
        for (let i = children.length - 1; i >= 0; i--)
          if (children[i].exitStatus !== null) children.splice(i, 1);
        const child = machine.spawn("whoami", ns, (self) => serve(self, sk, options.hostname));
        passFd(process, child, sk);
        children.push(child);
      }
    } finally {
      for (const child of children) child.kill(SIGKILL);
    }
  };
}

/** One connection: request, answer, our FIN, and waits for the peer's. */
function* serve(process: Process, sk: TcpSock, hostname: string): Co<number> {
  try {
    let request = "";
    while (!request.includes("\r\n\r\n") && !request.includes("\n\n") && request.length < REQUEST_MAX) {
      const data = yield* recvTcp(sk, REQUEST_MAX - request.length);
      if (data.length === 0) return 0;
      request += asciiText(data);
    }
    const size = numberAfter(request, "/data?size=");
    const delay = numberAfter(request, "/wait?s=");
    yield* work(ANSWER_NS);
    const body = describe(process, sk, hostname, request);
    if (delay > 0) yield* sleep(delay * 1e9);
    if (size > 0) {
      yield* sendTcp(sk, asciiBytes(head("application/octet-stream", size)));
      yield* work(BODY_NS);
      yield* sendTcp(
        sk,
        Uint8Array.from({ length: size }, (_, i) => 65 + (i % 26)),
      );
    } else yield* sendTcp(sk, asciiBytes(head("text/plain; charset=utf-8", body.length) + body));
    yield* work(SHUTDOWN_NS);
    shutdownTcp(sk);
    while ((yield* recvTcp(sk)).length > 0);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  } finally {
    closeSocket(process, sk);
  }
  return 0;
}

function numberAfter(text: string, mark: string): number {
  const at = text.indexOf(mark);
  return at < 0 ? 0 : Number.parseInt(text.slice(at + mark.length), 10) || 0;
}

function head(type: string, length: number): string {
  return `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`;
}

/** The text: host, addresses in the order of the devices' numbers, the peer, and the head of the request. */
function describe(process: Process, sk: TcpSock, hostname: string, request: string): string {
  let text = `Hostname: ${hostname}\n`;
  for (const dev of process.ns.devices())
    for (const { local } of addressesOf(dev)) text += `IP: ${formatIp4(local)}\n`;
  text += `RemoteAddr: ${formatIp4(sk.daddr)}:${sk.dport}\n`;
  const end = request.indexOf("\r\n\r\n");
  return `${text}${end < 0 ? request : request.slice(0, end + 2)}\r\n`;
}

/** The servers of a case in meshwire: see Listener in case.ts. */
import type { Co, Process, Program } from "../../src/host/process.ts";
import {
  acceptTcp,
  closeSocket,
  listenTcp,
  openUdp,
  recvTcp,
  recvUdp,
  sendTcp,
} from "../../src/host/socket.ts";
import type { TcpSock } from "../../src/net/ipv4/tcp-sock.ts";
import { WaitQueue } from "../../src/sim/wait-queue.ts";
import { SysError } from "../../src/util/errors.ts";
import type { Listener } from "./case.ts";

/** The program of a server. */
export function serverProgram({ protocol, port, does }: Listener): Program {
  if (does === undefined)
    return (process) =>
      hold(() => (protocol === "tcp" ? listenTcp(process, 0, port) : openUdp(process, 0, port)));
  return (process) => (protocol === "tcp" ? acceptAll(process, port, does) : answerAll(process, port));
}

/** Holds a socket for ever. */
function* hold(open: () => unknown): Co<number> {
  open();
  yield { queues: [new WaitQueue()] };
  return 0;
}

function* answerAll(process: Process, port: number): Co<number> {
  const sk = openUdp(process, 0, port);
  for (;;) {
    const { data, saddr, sport } = yield* recvUdp(sk);
    refused(() => sk.send(data, saddr, sport));
  }
}

function* acceptAll(process: Process, port: number, does: "echo" | "close"): Co<number> {
  const listener = listenTcp(process, 0, port);
  for (;;) {
    const sk = yield* acceptTcp(process, listener);
    process.machine.spawn("connection", process.ns, () => serve(process, sk, does));
  }
}

function* serve(process: Process, sk: TcpSock, does: "echo" | "close"): Co<number> {
  try {
    let data = yield* recvTcp(sk);
    while (data.length > 0 && does === "echo") {
      yield* sendTcp(sk, data);
      data = yield* recvTcp(sk);
    }
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
  closeSocket(process, sk);
  return 0;
}

function refused(send: () => void): void {
  try {
    send();
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}

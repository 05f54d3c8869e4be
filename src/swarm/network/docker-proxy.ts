/**
 * docker-proxy (libnetwork cmd/proxy): one process for each port that a container publishes on the host. It serves the
 * connections that no rule translates, such as those to 127.0.0.1, by connecting to the container itself.
 */
import type { Machine } from "../../host/machine.ts";
import { type Co, type Process, waitFor } from "../../host/process.ts";
import {
  acceptTcp,
  closeSocket,
  connectTcp,
  listenTcp,
  openUdp,
  recvTcp,
  sendTcp,
  shutdownTcp,
} from "../../host/socket.ts";
import type { TcpSock } from "../../net/ipv4/tcp-sock.ts";
import { WaitQueue } from "../../sim/wait-queue.ts";
import { SysError } from "../../util/errors.ts";
import type { PortConfig } from "../manager/objects.ts";

const BACKLOG = 4096;
const COMM = "docker-proxy";

export class DockerProxies {
  private readonly machine: Machine;
  private readonly proxies = new Map<string, Process>();

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** Starts the proxy of a published port. False when somebody else has the port. */
  start(port: PortConfig, containerIp: number): boolean {
    if (port.protocol === "sctp") return true;
    const machine = this.machine;
    let listener: TcpSock | null = null;
    // The socket is there before the program's first step.
    const process = machine.spawn(COMM, machine.hostNs, function* (self): Co<number> {
      if (listener === null) return yield* forever();
      return yield* serve(machine, self, listener, containerIp, port.targetPort);
    });
    try {
      if (port.protocol === "tcp") listener = listenTcp(process, 0, port.publishedPort, BACKLOG);
      else openUdp(process, 0, port.publishedPort);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      process.kill(9);
      return false;
    }
    this.proxies.set(`${port.protocol}/${port.publishedPort}`, process);
    return true;
  }

  stop(port: PortConfig): void {
    const key = `${port.protocol}/${port.publishedPort}`;
    this.proxies.get(key)?.kill(9);
    this.proxies.delete(key);
  }
}

/** Datagrams are not relayed; the socket keeps the port. */
function* forever(): Co<number> {
  const never = new WaitQueue();
  for (;;) yield* waitFor(never);
}

function* serve(machine: Machine, self: Process, listener: TcpSock, ip: number, port: number): Co<number> {
  const workers: Process[] = [];
  try {
    for (;;) {
      const front = yield* acceptTcp(self, listener);
      workers.push(machine.spawn(COMM, self.ns, (worker) => relay(machine, worker, self, front, ip, port)));
      for (let i = workers.length - 1; i >= 0; i--) if (workers[i].exitStatus !== null) workers.splice(i, 1);
    }
  } finally {
    for (const worker of workers) worker.kill(9);
  }
}

/** One connection: both directions until both have ended. */
function* relay(
  machine: Machine,
  self: Process,
  owner: Process,
  front: TcpSock,
  ip: number,
  port: number,
): Co<number> {
  let answers: Process | null = null;
  try {
    const back = yield* connectTcp(self, ip, port);
    answers = machine.spawn(COMM, self.ns, () => pump(back, front));
    yield* pump(front, back);
    if (answers.exitStatus === null) yield* waitFor(answers.exited);
    return 0;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return 1;
  } finally {
    answers?.kill(9);
    closeSocket(owner, front);
  }
}

function* pump(from: TcpSock, to: TcpSock): Co<number> {
  try {
    for (;;) {
      const data = yield* recvTcp(from);
      if (data.length === 0) break;
      yield* sendTcp(to, data);
    }
    shutdownTcp(to);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
  return 0;
}

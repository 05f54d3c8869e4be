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
import { SysError, strerror } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { PortConfig } from "../manager/objects.ts";

const BACKLOG = 4096;
const COMM = "docker-proxy";

export class DockerProxies {
  private readonly machine: Machine;
  private readonly proxies = new Map<string, Process>();

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** Starts the proxy of a published port. Null, or why it could not listen. */
  start(port: PortConfig, containerIp: number): string | null {
    if (port.protocol === "sctp") return null;
    const machine = this.machine;
    const hostIp = port.hostIp ?? 0;
    let listener: TcpSock | null = null;
    // The socket is there before the program's first step.
    const process = machine.spawn(COMM, machine.hostNs, function* (self): Co<number> {
      if (listener === null) return yield* forever();
      return yield* serve(machine, self, listener, containerIp, port.targetPort);
    });
    try {
      if (port.protocol === "tcp") listener = listenTcp(process, hostIp, port.publishedPort, BACKLOG);
      else openUdp(process, hostIp, port.publishedPort);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      process.kill(9);
      const at = `listen ${port.protocol}4 ${formatIp4(hostIp)}:${port.publishedPort}`;
      const why = strerror(error.code);
      return `Error starting userland proxy: ${at}: bind: ${why[0].toLowerCase()}${why.slice(1)}`;
    }
    this.proxies.set(proxyKey(port), process);
    return null;
  }

  stop(port: PortConfig): void {
    const key = proxyKey(port);
    this.proxies.get(key)?.kill(9);
    this.proxies.delete(key);
  }
}

const proxyKey = ({ protocol, publishedPort, hostIp = 0 }: PortConfig): string =>
  `${protocol}/${hostIp}/${publishedPort}`;

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

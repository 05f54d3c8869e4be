/**
 * Encrypted streams over TCP (gRPC over TLS to 2377, memberlist's streams to 7946): messages of given sizes in both
 * directions, each acted on when its last byte has arrived. `S` is what the accepting side is to the one that dials.
 */
import { type Co, waitFor } from "../../host/process.ts";
import { closeSocket, connectTcp, isConnected, shutdownTcp } from "../../host/socket.ts";
import { tcpRecvmsg } from "../../net/ipv4/tcp.ts";
import { tcpSendmsg } from "../../net/ipv4/tcp-sendmsg.ts";
import type { TcpSock } from "../../net/ipv4/tcp-sock.ts";
import { WaitQueue } from "../../sim/wait-queue.ts";
import { SysError } from "../../util/errors.ts";
import type { Daemon } from "../daemon.ts";
import { cipherText, type Meanings } from "./meanings.ts";

const READ_BYTES = 65536;

interface Message {
  /** Where it ends in the stream. */
  readonly end: number;
  readonly arrived: () => void;
}

/** What the two ends share: the messages on the way, and the accepting side once it is there. */
class Pipe<S> {
  readonly toServer: Message[] = [];
  readonly toClient: Message[] = [];
  server: StreamEnd<S> | null = null;
  context: S | null = null;
}

/** One end of a stream. */
export class StreamEnd<S> {
  readonly sk: TcpSock;
  /** Woken when the stream has ended. */
  readonly ended = new WaitQueue();
  isOpen = true;
  private readonly daemon: Daemon;
  private readonly meanings: Meanings;
  private readonly isServer: boolean;
  private pipe: Pipe<S> | null;
  private sent = 0;
  private got = 0;
  /** What the socket has not taken yet. */
  private readonly backlog: Uint8Array[] = [];

  constructor(daemon: Daemon, meanings: Meanings, sk: TcpSock, pipe: Pipe<S> | null) {
    this.daemon = daemon;
    this.meanings = meanings;
    this.sk = sk;
    this.pipe = pipe;
    this.isServer = pipe === null;
  }

  /** Sends a message of `bytes`; `arrived` runs on the other side. */
  push(bytes: number, arrived: () => void): void {
    if (!this.isOpen || this.pipe === null) return;
    const first = this.sent === 0 && !this.isServer;
    const data = first ? this.meanings.seal(this.pipe, bytes) : cipherText(bytes, this.sent);
    this.sent += bytes;
    const queue = this.isServer ? this.pipe.toClient : this.pipe.toServer;
    queue.push({ end: this.sent, arrived });
    this.backlog.push(data);
    this.flush();
  }

  /** Sends a message of `bytes` to the accepting side. */
  pushTo(bytes: number, arrived: (context: S) => void): void {
    const { pipe } = this;
    this.push(bytes, () => arrived(pipe!.context!));
  }

  /** The accepting side's end, once it is there. */
  get peer(): StreamEnd<S> | null {
    return this.pipe?.server ?? null;
  }

  /** Asks without waiting: `serve` runs on the accepting side, `answered` here when its answer has come. */
  ask<T>(bytes: number, answerBytes: number, serve: (context: S) => T, answered: (value: T) => void): void {
    const { pipe } = this;
    this.push(bytes, () => {
      const value = serve(pipe!.context!);
      pipe!.server!.push(answerBytes, () => answered(value));
    });
  }

  /** Nothing more to say: closes once the rest is sent and the other side has closed. */
  finish(): void {
    shutdownTcp(this.sk);
  }

  /** Asks the accepting side: `serve` runs there, its result is back with `answerBytes`. ETIMEDOUT, ECONNRESET. */
  *call<T>(bytes: number, answerBytes: number, serve: (context: S) => T, timeoutNs: number): Co<T> {
    const { sim } = this.daemon.machine.kernel;
    const done = new WaitQueue();
    let result: { value: T } | null = null;
    this.ask(bytes, answerBytes, serve, (value) => {
      result = { value };
      done.wake();
    });
    const deadline = sim.now + timeoutNs;
    const answer = (): { value: T } | null => result;
    while (answer() === null) {
      if (!this.isOpen) throw new SysError("ECONNRESET");
      if (sim.now >= deadline) throw new SysError("ETIMEDOUT");
      yield { queues: [done, this.ended], timeoutNs: deadline - sim.now };
    }
    return answer()!.value;
  }

  /** Reads until the stream ends, then closes it. `context` is what this side is to the other (accepting side). */
  *pump(context: S | null): Co<void> {
    try {
      for (;;) {
        this.flush();
        const data = tcpRecvmsg(this.sk, READ_BYTES);
        if (data === null) yield* waitFor(this.sk.wq);
        else if (data.length === 0 || !this.attach(data, context)) return;
        else this.take(data.length);
        if (!this.isOpen) return;
      }
    } finally {
      this.close();
    }
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    closeSocket(this.daemon.process, this.sk);
    this.ended.wake();
  }

  /** The first bytes say whose stream it is. False: nobody's. */
  private attach(data: Uint8Array, context: S | null): boolean {
    if (this.pipe !== null) return true;
    const pipe = this.meanings.open(data);
    if (!(pipe instanceof Pipe)) return false;
    this.pipe = pipe as Pipe<S>;
    this.pipe.server = this;
    this.pipe.context = context;
    return true;
  }

  private take(count: number): void {
    this.got += count;
    const queue = this.isServer ? this.pipe!.toServer : this.pipe!.toClient;
    while (queue.length > 0 && queue[0].end <= this.got) queue.shift()!.arrived();
  }

  private flush(): void {
    try {
      while (this.backlog.length > 0 && isConnected(this.sk)) {
        const data = this.backlog[0];
        const taken = tcpSendmsg(this.sk, data, 0);
        if (taken < data.length) {
          this.backlog[0] = data.subarray(taken);
          return;
        }
        this.backlog.shift();
      }
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      this.close();
    }
  }
}

/** Connects to `addr:port` and reads in a routine of its own. Errors of connect; ETIMEDOUT after `timeoutNs`. */
export function* dialStream<S>(
  daemon: Daemon,
  meanings: Meanings,
  addr: number,
  port: number,
  timeoutNs: number,
): Co<StreamEnd<S>> {
  const sk = yield* connectTcp(daemon.process, addr, port, { timeoutNs, noDelay: true, usesPins: false });
  const end = new StreamEnd<S>(daemon, meanings, sk, new Pipe<S>());
  daemon.go(() => end.pump(null));
  return end;
}

/** Serves an accepted connection in a routine of its own. */
export function serveStream<S>(daemon: Daemon, meanings: Meanings, sk: TcpSock, context: S): void {
  sk.noDelay = true;
  const end = new StreamEnd<S>(daemon, meanings, sk, null);
  daemon.go(() => end.pump(context));
}

/** The ends between which `socat` copies: standard streams, files, TCP and UDP sockets. */
import { asciiBytes, asciiText } from "../../host/ascii.ts";
import { type Co, waitFor } from "../../host/process.ts";
import {
  acceptTcp,
  closeSocket,
  connectTcp,
  listenTcp,
  openUdp,
  readableTcp,
  recvTcp,
  sendTcp,
  shutdownTcp,
} from "../../host/socket.ts";
import type { PmtuDiscovery } from "../../net/ipv4/sock.ts";
import type { TcpSock } from "../../net/ipv4/tcp-sock.ts";
import type { UdpSock } from "../../net/ipv4/udp-sock.ts";
import type { WaitQueue } from "../../sim/wait-queue.ts";
import { SysError } from "../../util/errors.ts";
import type { ToolContext } from "../tool.ts";
import type { Address, SocketOptions } from "./address.ts";

const ZEROS = 65536;

export interface Endpoint {
  /** Woken when there may be more to read; null: there is always an answer. */
  readonly wq: WaitQueue | null;
  /** At most `max` bytes, one datagram; null: nothing yet; empty: the end. */
  read(max: number): Co<Uint8Array | null>;
  write(data: Uint8Array): Co<void>;
  /** Nothing more will be written. */
  finish(): void;
  close(): void;
  /** The system call that an error belongs to. */
  readonly call: string;
}

/** Opens an end; a listening one waits for its peer. Throws SysError. */
export function* openEndpoint(address: Address, context: ToolContext): Co<Endpoint> {
  switch (address.kind) {
    case "stdio":
      return new Stdio(context);
    case "pipe":
      return new Pipe();
    case "file":
      return new FileEnd(address, context);
    case "tcp": {
      const { bindAddr, bindPort, reset } = address.options;
      const sk = yield* connectTcp(context.process, address.addr, address.port, {
        saddr: bindAddr,
        sport: bindPort,
        device: deviceOf(address.options, context),
      });
      sk.lingerReset = reset;
      return new TcpEnd(sk, null, context);
    }
    case "tcp-listen": {
      const listener = listenTcp(context.process, address.options.bindAddr, address.port, 5);
      const sk = yield* acceptTcp(context.process, listener);
      if (address.options.fork) return new TcpEnd(sk, listener, context);
      closeSocket(context.process, listener);
      return new TcpEnd(sk, null, context);
    }
    case "udp":
    case "udp-sendto":
      return new UdpEnd(udpSocket(address.options, context, address.options.bindPort), address, context);
    default:
      return yield* udpListener(address, context);
  }
}

function deviceOf({ device }: SocketOptions, context: ToolContext) {
  return device === "" ? undefined : context.ns.device(device);
}

function udpSocket(options: SocketOptions, context: ToolContext, port: number): UdpSock {
  const sk = openUdp(context.process, options.bindAddr, port);
  if (options.discovery >= 0) sk.pmtuDisc = options.discovery as PmtuDiscovery;
  sk.ttl = options.ttl;
  sk.tos = options.tos;
  sk.boundDev = deviceOf(options, context) ?? null;
  return sk;
}

/** `UDP-LISTEN` belongs to the first peer that sends; `UDP-RECV` hears everybody and says nothing. */
function* udpListener(
  address: Extract<Address, { kind: "udp-listen" | "udp-recv" | "tcp-listen" }>,
  context: ToolContext,
): Co<Endpoint> {
  const sk = udpSocket(address.options, context, address.port);
  const end = new UdpEnd(sk, null, context);
  if (address.kind === "udp-recv") return end;
  let first = sk.receive();
  while (first === null) {
    yield* waitFor(sk.wq);
    first = sk.receive();
  }
  end.first = first.data;
  if (!address.options.fork) sk.connect(first.saddr, first.sport);
  end.peer = { addr: first.saddr, port: first.sport };
  return end;
}

class Stdio implements Endpoint {
  readonly call = "write(1, ...)";
  private readonly context: ToolContext;
  /** What was taken from the input and is more than one block. */
  private kept: string;

  constructor(context: ToolContext) {
    this.context = context;
    this.kept = context.input === undefined ? context.stdin : "";
  }

  get wq(): WaitQueue | null {
    return this.context.input?.readable ?? null;
  }

  // biome-ignore lint/correctness/useYield: it never waits
  *read(max: number): Co<Uint8Array | null> {
    if (this.kept === "") {
      const text = this.context.input?.available() ?? null;
      if (text === "") return null;
      this.kept = text ?? "";
    }
    const block = this.kept.slice(0, max);
    this.kept = this.kept.slice(max);
    return asciiBytes(block);
  }

  // biome-ignore lint/correctness/useYield: it never waits
  *write(data: Uint8Array): Co<void> {
    this.context.print(asciiText(data));
  }

  finish(): void {}

  close(): void {}
}

/** Gives back what it is told. */
class Pipe implements Endpoint {
  readonly wq = null;
  readonly call = "write(5, ...)";
  private kept: Uint8Array[] = [];
  private ended = false;

  // biome-ignore lint/correctness/useYield: it never waits
  *read(): Co<Uint8Array | null> {
    return this.kept.shift() ?? (this.ended ? new Uint8Array(0) : null);
  }

  // biome-ignore lint/correctness/useYield: it never waits
  *write(data: Uint8Array): Co<void> {
    this.kept.push(data);
  }

  finish(): void {
    this.ended = true;
  }

  close(): void {}
}

class FileEnd implements Endpoint {
  readonly wq = null;
  readonly call = "write(5, ...)";
  private readonly path: string;
  private readonly files: Map<string, string>;
  private left: string;

  constructor(address: Extract<Address, { kind: "file" }>, context: ToolContext) {
    this.path = address.path.replace(/^\.\//, "");
    this.files = context.files;
    if (this.path === "/dev/zero") this.left = "\0".repeat(address.readBytes < 0 ? ZEROS : address.readBytes);
    else {
      const text = this.files.get(this.path) ?? "";
      this.left = address.readBytes < 0 ? text : text.slice(0, address.readBytes);
    }
    if (address.truncate && !this.path.startsWith("/dev/")) this.files.set(this.path, "");
  }

  // biome-ignore lint/correctness/useYield: it never waits
  *read(max: number): Co<Uint8Array> {
    const block = this.left.slice(0, max);
    this.left = this.left.slice(max);
    return asciiBytes(block);
  }

  // biome-ignore lint/correctness/useYield: it never waits
  *write(data: Uint8Array): Co<void> {
    if (!this.path.startsWith("/dev/"))
      this.files.set(this.path, (this.files.get(this.path) ?? "") + asciiText(data));
  }

  finish(): void {}

  close(): void {}
}

class TcpEnd implements Endpoint {
  readonly call = "write(5, ...)";
  private sk: TcpSock;
  /** Where the next peer comes from, null when one is all. */
  private readonly listener: TcpSock | null;
  private readonly context: ToolContext;

  constructor(sk: TcpSock, listener: TcpSock | null, context: ToolContext) {
    this.sk = sk;
    this.listener = listener;
    this.context = context;
  }

  get wq(): WaitQueue {
    return this.sk.wq;
  }

  *read(max: number): Co<Uint8Array | null> {
    if (!readableTcp(this.sk)) return null;
    const data = yield* recvTcp(this.sk, max);
    if (data.length > 0 || this.listener === null) return data;
    closeSocket(this.context.process, this.sk);
    this.sk = yield* acceptTcp(this.context.process, this.listener);
    return null;
  }

  *write(data: Uint8Array): Co<void> {
    yield* sendTcp(this.sk, data);
  }

  finish(): void {
    shutdownTcp(this.sk);
  }

  close(): void {
    closeSocket(this.context.process, this.sk);
    if (this.listener !== null) closeSocket(this.context.process, this.listener);
  }
}

class UdpEnd implements Endpoint {
  call = "write(5, ...)";
  /** A datagram that was read to learn who the peer is. */
  first: Uint8Array | null = null;
  peer: { addr: number; port: number } | null = null;
  private readonly sk: UdpSock;
  private readonly context: ToolContext;

  constructor(sk: UdpSock, to: { kind: string; addr: number; port: number } | null, context: ToolContext) {
    this.sk = sk;
    this.context = context;
    if (to === null) return;
    this.peer = { addr: to.addr, port: to.port };
    if (to.kind === "udp") sk.connect(to.addr, to.port);
  }

  get wq(): WaitQueue {
    return this.sk.wq;
  }

  // biome-ignore lint/correctness/useYield: it never waits
  *read(max: number): Co<Uint8Array | null> {
    const { first } = this;
    this.first = null;
    if (first !== null) return first;
    this.call = `read(5, ..., ${max})`;
    const datagram = this.sk.receive();
    if (datagram === null) return null;
    this.peer = { addr: datagram.saddr, port: datagram.sport };
    return datagram.data;
  }

  // biome-ignore lint/correctness/useYield: it never waits
  *write(data: Uint8Array): Co<void> {
    this.call = `write(5, ..., ${data.length})`;
    if (this.peer === null) throw new SysError("EDESTADDRREQ");
    this.sk.send(data, this.peer.addr, this.peer.port);
  }

  finish(): void {}

  close(): void {
    closeSocket(this.context.process, this.sk);
  }
}

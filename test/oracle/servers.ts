/** The servers of a case on the real kernel: sockets of namespaces, served by this thread whenever it looks. */
import type { Listener } from "./case.ts";
import { acceptOne, closeFd, enterNetns, listenOn, receiveFrom, sendBack } from "./libc.ts";

interface Open {
  readonly fd: number;
  readonly protocol: "tcp" | "udp";
  readonly does: Listener["does"];
}

export class Servers {
  private readonly listeners: Open[] = [];
  private readonly connections = new Map<number, Open>();

  /** Opens a server in the namespace of a descriptor. */
  open({ protocol, port, does }: Listener, netns: number): void {
    enterNetns(netns);
    this.listeners.push({ fd: listenOn(protocol, port), protocol, does });
  }

  /** Does what there is to do; it may make packets, which make more to do. */
  serve(): void {
    while (this.turn());
  }

  close(): void {
    for (const { fd } of [...this.connections.values(), ...this.listeners]) closeFd(fd);
  }

  private turn(): boolean {
    let busy = false;
    for (const listener of this.listeners) {
      if (listener.does === undefined) continue;
      if (listener.protocol === "udp") busy = answer(listener.fd) || busy;
      else busy = this.accept(listener) || busy;
    }
    for (const connection of [...this.connections.values()]) busy = this.read(connection) || busy;
    return busy;
  }

  private accept(listener: Open): boolean {
    const fd = acceptOne(listener.fd);
    if (fd < 0) return false;
    this.connections.set(fd, { ...listener, fd });
    return true;
  }

  private read({ fd, does }: Open): boolean {
    const got = receiveFrom(fd);
    if (got === null) return false;
    const goesOn = got !== "error" && got.data.length > 0 && does === "echo" && sendBack(fd, got.data, null);
    if (goesOn) return true;
    this.connections.delete(fd);
    closeFd(fd);
    return true;
  }
}

/** Sends a datagram back to where it came from. */
function answer(fd: number): boolean {
  const got = receiveFrom(fd);
  if (got === null) return false;
  if (got !== "error") sendBack(fd, got.data, got.from);
  return true;
}

/**
 * A system call holds its socket (lock_sock, release_sock in net/core/sock.c): segments that its own packets call forth on
 * this machine meanwhile wait in the socket's backlog, and are handled when the call ends.
 */
import { tcpV4BacklogRcv } from "./tcp-ipv4.ts";
import type { TcpSock } from "./tcp-sock.ts";

/** Begins a section of the kernel that holds `sk`. */
export function tcpLock(sk: TcpSock): void {
  sk.ns.kernel.enter();
  sk.owned = true;
}

/** Ends it. */
export function tcpRelease(sk: TcpSock): void {
  const { kernel } = sk.ns;
  kernel.leave();
  for (let skb = sk.backlogQueue.shift(); skb !== null; skb = sk.backlogQueue.shift()) {
    kernel.enter();
    tcpV4BacklogRcv(sk, skb);
    kernel.leave();
  }
  sk.owned = false;
}

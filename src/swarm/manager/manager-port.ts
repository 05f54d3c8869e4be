/**
 * What a manager answers on 2377/tcp (swarmkit ca/server.go, manager/dispatcher): certificates for those who join, and
 * the calls of the agents.
 */
import type { Co, Process } from "../../host/process.ts";
import { acceptTcp, closeSocket, listenTcp } from "../../host/socket.ts";
import type { TcpSock } from "../../net/ipv4/tcp-sock.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { Daemon } from "../daemon.ts";
import type { Meanings } from "../wire/meanings.ts";
import { serveStream } from "../wire/secure-stream.ts";
import type { Cluster, NodeDescription } from "./cluster.ts";
import type { Availability, Role } from "./objects.ts";

export const MANAGER_PORT = 2377;

/** A certificate as far as it matters here: who the node is. */
export interface Certificate {
  readonly cluster: Cluster;
  readonly nodeId: string;
  readonly role: Role;
}

export class ManagerPort {
  readonly cluster: Cluster;
  private readonly daemon: Daemon;
  private readonly meanings: Meanings;
  private listener: TcpSock | null = null;
  private acceptor: Process | null = null;

  constructor(daemon: Daemon, meanings: Meanings, cluster: Cluster) {
    this.daemon = daemon;
    this.meanings = meanings;
    this.cluster = cluster;
  }

  /** Listens, if it does not yet. */
  open(): void {
    if (this.listener !== null) return;
    const listener = listenTcp(this.daemon.process, 0, MANAGER_PORT);
    listener.dualStack = true;
    this.listener = listener;
    this.acceptor = this.daemon.go(() => this.accept(listener));
  }

  close(): void {
    this.acceptor?.kill(9);
    this.acceptor = null;
    if (this.listener !== null) closeSocket(this.daemon.process, this.listener);
    this.listener = null;
  }

  /** Whether the token's digest is that of this cluster's root certificate. */
  trusts(token: string): boolean {
    return token.split("-")[2] === this.cluster.tokens.worker.split("-")[2];
  }

  /** IssueNodeCertificate: null when the token admits nobody. */
  certify(token: string, description: NodeDescription, availability: Availability): Certificate | null {
    const { cluster } = this;
    const role = cluster.roleOf(token);
    if (role === null) return null;
    const node = cluster.addNode(description, role, `${formatIp4(description.addr)}:${MANAGER_PORT}`);
    node.availability = availability;
    return { cluster, nodeId: node.id, role };
  }

  private *accept(listener: TcpSock): Co<void> {
    for (;;) {
      const sk = yield* acceptTcp(this.daemon.process, listener);
      serveStream<ManagerPort>(this.daemon, this.meanings, sk, this);
    }
  }
}

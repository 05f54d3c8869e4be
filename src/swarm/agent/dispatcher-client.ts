/**
 * An agent's way to its dispatcher (swarmkit agent/agent.go). On a manager it is a local one. A worker keeps one
 * connection to a manager's 2377/tcp: assignments come down, reports go up, and a heartbeat every five seconds says that
 * the node is alive. A broken connection is made anew, with growing pauses; reports wait meanwhile.
 */
import { type Co, sleep } from "../../host/process.ts";
import { SysError } from "../../util/errors.ts";
import { parseIp4 } from "../../wire/address.ts";
import type { Daemon } from "../daemon.ts";
import type { Cluster } from "../manager/cluster.ts";
import { RpcError } from "../manager/control-api.ts";
import type { AgentLink, StatusReport } from "../manager/dispatcher.ts";
import { MANAGER_PORT, type ManagerPort } from "../manager/manager-port.ts";
import { type AttachRequest, attachNetwork, detachNetwork } from "../manager/resource-allocator.ts";
import type { Meanings } from "../wire/meanings.ts";
import { dialStream, type StreamEnd } from "../wire/secure-stream.ts";

const DIAL_TIMEOUT_NS = 10_000_000_000;
const RPC_TIMEOUT_NS = 5_000_000_000;
const BACKOFF_FIRST_NS = 100_000_000;
const BACKOFF_MOST_NS = 8_000_000_000;
/** Sizes of the messages on the wire: question, answer. */
const HELLO = [270, 1029] as const;
const FINISHED = [835, 68] as const;
const REGISTER = [1166, 52] as const;
const HEARTBEAT = [88, 98] as const;
/** What HTTP/2 asks after an answer, to measure the way. */
const PING = [69, 39] as const;
const REPORT = [312, 165] as const;
const ATTACH = [236, 105] as const;
const GOODBYE_BYTES = 69;
const SESSION_POLL_NS = 100_000_000;
const KEYS_BYTES = 350;
const ASSIGNMENTS_BYTES = 350;
const TASK_BYTES = 1450;

const IGNORE = (): void => {};

/** How an agent talks to the dispatcher. */
export interface DispatcherClient {
  start(): void;
  /** Leaves for good: the node is down at once. */
  stop(): void;
  /** Ends without a word. */
  halt(): void;
  report(taskId: string, status: StatusReport): void;
  taskRemoved(taskId: string): void;
  /** Asks for an address for a container; the id of its task. RpcError, or ETIMEDOUT when nobody answers until then. */
  attachNetwork(request: AttachRequest, deadlineNs: number): Co<string>;
  detachNetwork(taskId: string): void;
}

/** That of a manager's own agent. */
export class LocalDispatcher implements DispatcherClient {
  private readonly cluster: Cluster;
  private readonly nodeId: string;
  private readonly link: AgentLink;

  constructor(cluster: Cluster, nodeId: string, link: AgentLink) {
    this.cluster = cluster;
    this.nodeId = nodeId;
    this.link = link;
  }

  start(): void {
    this.cluster.dispatcher.register(this.nodeId, this.link);
  }

  stop(): void {
    this.cluster.dispatcher.unregister(this.nodeId);
  }

  /** With the only manager its dispatcher is gone. */
  halt(): void {
    if (this.cluster.managers.size === 1) this.cluster.dispatcher.suspend();
  }

  report(taskId: string, status: StatusReport): void {
    this.cluster.dispatcher.updateTaskStatus(taskId, status);
  }

  taskRemoved(taskId: string): void {
    this.cluster.dispatcher.taskRemoved(taskId);
  }

  *attachNetwork(request: AttachRequest): Co<string> {
    yield* sleep(0);
    return granted(attachNetwork(this.cluster, this.nodeId, request));
  }

  detachNetwork(taskId: string): void {
    detachNetwork(this.cluster, taskId);
  }
}

function granted(answer: string | RpcError): string {
  if (answer instanceof RpcError) throw answer;
  return answer;
}

type Deed = (port: ManagerPort) => void;

export class RemoteDispatcher implements DispatcherClient {
  private readonly daemon: Daemon;
  private readonly meanings: Meanings;
  private readonly nodeId: string;
  private readonly link: AgentLink;
  /** Addresses of managers, int32, the one to try next first. */
  private managers: number[];
  private stream: StreamEnd<ManagerPort> | null = null;
  /** Reports that no manager has acknowledged, oldest first. */
  private readonly unsaid: Deed[] = [];
  private stopped = false;

  constructor(daemon: Daemon, meanings: Meanings, nodeId: string, link: AgentLink, manager: number) {
    this.daemon = daemon;
    this.meanings = meanings;
    this.nodeId = nodeId;
    this.link = link;
    this.managers = [manager];
  }

  start(): void {
    this.daemon.go(() => this.run());
  }

  stop(): void {
    this.stopped = true;
    const { stream } = this;
    stream?.pushTo(GOODBYE_BYTES, (port) => port.cluster.dispatcher.unregister(this.nodeId));
    stream?.finish();
    this.stream = null;
  }

  halt(): void {
    this.stopped = true;
    this.stream = null;
  }

  report(taskId: string, status: StatusReport): void {
    this.say((port) => port.cluster.dispatcher.updateTaskStatus(taskId, status));
  }

  taskRemoved(taskId: string): void {
    this.say((port) => port.cluster.dispatcher.taskRemoved(taskId));
  }

  *attachNetwork(request: AttachRequest, deadlineNs: number): Co<string> {
    const { sim } = this.daemon.machine.kernel;
    while (this.stream === null) {
      if (sim.now >= deadlineNs) throw new SysError("ETIMEDOUT");
      yield* sleep(SESSION_POLL_NS);
    }
    const serve = (port: ManagerPort): string | RpcError => attachNetwork(port.cluster, this.nodeId, request);
    return granted(yield* this.stream.call(...ATTACH, serve, deadlineNs - sim.now));
  }

  detachNetwork(taskId: string): void {
    this.say((port) => detachNetwork(port.cluster, taskId));
  }

  private say(deed: Deed): void {
    this.unsaid.push(deed);
    if (this.stream !== null) this.sendReport(this.stream, deed);
  }

  private sendReport(stream: StreamEnd<ManagerPort>, deed: Deed): void {
    stream.ask(REPORT[0], REPORT[1], deed, () => {
      const i = this.unsaid.indexOf(deed);
      if (i >= 0) this.unsaid.splice(i, 1);
    });
  }

  private *run(): Co<void> {
    let pause = BACKOFF_FIRST_NS;
    while (!this.stopped) {
      try {
        const stream = yield* this.register();
        pause = BACKOFF_FIRST_NS;
        yield* this.beat(stream);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
      }
      this.stream?.close();
      this.stream = null;
      if (this.stopped) return;
      this.managers.push(this.managers.shift()!);
      yield* sleep(pause);
      pause = Math.min(pause * 2, BACKOFF_MOST_NS);
    }
  }

  private *register(): Co<StreamEnd<ManagerPort>> {
    const stream: StreamEnd<ManagerPort> = yield* dialStream(
      this.daemon,
      this.meanings,
      this.managers[0],
      MANAGER_PORT,
      DIAL_TIMEOUT_NS,
    );
    this.stream = stream;
    yield* stream.call(...HELLO, () => true, DIAL_TIMEOUT_NS);
    yield* stream.call(...FINISHED, () => true, DIAL_TIMEOUT_NS);
    const register = (port: ManagerPort) =>
      port.cluster.registerAgent(this.nodeId, linkOver(stream, this.link));
    const managers = yield* stream.call(...REGISTER, register, RPC_TIMEOUT_NS);
    if (managers === null) throw new SysError("ECONNREFUSED");
    this.learn(managers);
    for (const deed of this.unsaid) this.sendReport(stream, deed);
    return stream;
  }

  /** Heartbeats until the connection breaks; the dispatcher says when the next one is due. */
  private *beat(stream: StreamEnd<ManagerPort>): Co<void> {
    const beat = (port: ManagerPort): number => port.cluster.dispatcher.heartbeat(this.nodeId);
    while (stream.isOpen) {
      const period = yield* stream.call(...HEARTBEAT, beat, RPC_TIMEOUT_NS);
      if (this.stopped || period === 0) return;
      stream.ask(...PING, () => true, IGNORE);
      yield { queues: [stream.ended], timeoutNs: period };
    }
  }

  private learn(addresses: readonly string[]): void {
    const [current] = this.managers;
    const all = addresses.map((text) => parseIp4(text.replace(/:\d+$/, ""))!);
    this.managers = [current, ...all.filter((addr) => addr !== current)];
  }
}

/** The dispatcher's end: what it tells the agent travels down the stream. */
function linkOver(stream: StreamEnd<ManagerPort>, link: AgentLink): AgentLink {
  return {
    networkKeys(keys) {
      stream.peer?.push(KEYS_BYTES, () => link.networkKeys(keys));
    },
    assignments(tasks, attachments) {
      stream.peer?.push(ASSIGNMENTS_BYTES + TASK_BYTES * tasks.length, () =>
        link.assignments(tasks, attachments),
      );
    },
  };
}

/**
 * The kernel of this machine: each namespace of a case is one of its network namespaces, held by a descriptor only, so
 * that nothing is left behind however the process ends. Commands are those of the distribution, iptables the legacy one.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { allNamespaces, type Case, type Command, WORLD } from "./case.ts";
import {
  closeFd,
  currentNetns,
  disableOffloads,
  enterNetns,
  interfaceIndex,
  isSettled,
  newNetns,
  openSender,
  sendFrame,
} from "./libc.ts";
import { type FreshNamespace, NamespaceStore } from "./namespaces.ts";
import { scripts } from "./script.ts";
import { Servers } from "./servers.ts";
import { type Seen, type Side, TooSlowError } from "./side.ts";

/** What this thread has in store. */
export const namespaceStore = new NamespaceStore();

const SETTLE_MS = 6000;
const SBIN = "/usr/sbin";
/** Ends the answer to a question. */
const BETWEEN = "=== end of an answer ===";
const COMMAND_PATH = `${SBIN}:/usr/bin:/sbin:/bin`;

/** Why real namespaces cannot be had here; null when they can. */
export function whyNotReal(): string | null {
  for (const name of ["ip", "bridge", "sysctl", "conntrack", "iptables-legacy"])
    if (!existsSync(join(SBIN, name)) && !existsSync(join("/usr/bin", name)))
      return `${name} is not installed`;
  try {
    const root = currentNetns();
    closeFd(newNetns());
    enterNetns(root);
    closeFd(root);
    return null;
  } catch (error) {
    return `no new network namespace: ${(error as Error).message}`;
  }
}

/** The plain names mean the legacy programs, as Docker of that time used them. Aliases are read a line at a time. */
const LEGACY = `
alias iptables=iptables-legacy
alias iptables-save=iptables-legacy-save
alias iptables-restore=iptables-legacy-restore
`;

interface Namespace extends FreshNamespace {
  readonly name: string;
  readonly names: Map<number, string>;
}

export class RealSide implements Side {
  private readonly root = currentNetns();
  private readonly namespaces: Namespace[] = [];
  private readonly servers = new Servers();
  private sender = -1;
  private readonly indexes = new Map<string, number>();

  constructor(one: Case) {
    try {
      this.build(one);
    } catch (error) {
      this.close();
      throw error;
    }
    enterNetns(this.root);
  }

  inject(dev: string, frame: Uint8Array): void {
    sendFrame(this.sender, this.indexes.get(dev)!, frame);
    this.servers.serve();
  }

  rest(ms: number): void {
    pause(ms);
  }

  collect(): Seen[] {
    const seen: Seen[] = [];
    for (const ns of this.namespaces) {
      for (let frame = ns.capture.receive(); frame !== null; frame = ns.capture.receive()) {
        const dev = ns.names.get(frame.ifindex) ?? `if${frame.ifindex}`;
        seen.push({ ns: ns.name, dev, outgoing: frame.outgoing, bytes: frame.bytes });
      }
    }
    return seen;
  }

  ask(ns: string, questions: readonly string[]): string[] {
    const script = questions.map((question) => `${question}\necho '${BETWEEN}'`).join("\n");
    return this.shell(this.namespace(ns), script).split(`${BETWEEN}\n`);
  }

  close(): void {
    enterNetns(this.root);
    this.servers.close();
    for (const ns of this.namespaces) namespaceStore.giveBack(ns);
    if (this.sender >= 0) closeFd(this.sender);
    closeFd(this.root);
  }

  private build(one: Case): void {
    for (const name of allNamespaces(one))
      this.namespaces.push({ name, names: new Map(), ...namespaceStore.take() });
    this.run(one.setup);
    this.run(one.rules);
    for (const ns of this.namespaces) this.prepare(ns);
    for (const listener of one.listeners) this.servers.open(listener, this.namespace(listener.ns).fd);
    const world = this.namespace(WORLD);
    enterNetns(world.fd);
    this.sender = openSender();
    for (const [index, name] of world.names) this.indexes.set(name, index);
    this.collect();
  }

  private run(commands: readonly Command[]): void {
    for (const { ns, text } of scripts(commands, (line) => this.expand(line)))
      this.shell(this.namespace(ns), text);
  }

  /**
   * Puts in the paths of namespaces. Bridges do without multicast snooping, which meshwire does not model: with it each
   * bridge joins a group and sends a report at a random time.
   */
  private expand(command: string): string {
    const whole = command.endsWith("type bridge") ? `${command} mcast_snooping 0` : command;
    return whole.replace(/@([a-z]\w*)/g, (_, name) => `/proc/${process.pid}/fd/${this.namespace(name).fd}`);
  }

  private shell(ns: Namespace, script: string): string {
    enterNetns(ns.fd);
    const { status, stdout, stderr, error } = spawnSync("sh", ["-s"], {
      input: `${LEGACY}${script}`,
      encoding: "utf8",
      env: { PATH: COMMAND_PATH, LC_ALL: "C", TZ: "UTC" },
      timeout: 20_000,
    });
    enterNetns(this.root);
    if (error !== undefined) throw new TooSlowError(`${ns.name}: ${error.message}`);
    if (status !== 0) throw new Error(`real ${ns.name}: status ${status}\n${stderr}\n${script}`);
    return stdout;
  }

  /** Offloads off, carriers settled, capture open. */
  private prepare(ns: Namespace): void {
    enterNetns(ns.fd);
    const { fd } = ns.capture;
    const table = readFileSync("/proc/thread-self/net/dev", "utf8");
    for (const [, name] of table.matchAll(/^ *([^\s|:]+):/gm)) ns.names.set(interfaceIndex(name), name);
    const deadline = performance.now() + SETTLE_MS;
    for (const name of ns.names.values()) {
      if (name === "lo") continue;
      disableOffloads(fd, name);
      while (!isSettled(fd, name)) {
        if (performance.now() > deadline) throw new TooSlowError(`${ns.name}: ${name} does not come up`);
        pause(1);
      }
    }
    ns.capture.start();
  }

  private namespace(name: string): Namespace {
    const found = this.namespaces.find((ns) => ns.name === name);
    if (found === undefined) throw new Error(`no namespace ${name}`);
    return found;
  }
}

const pauseCell = new Int32Array(new SharedArrayBuffer(4));

/** Sleeps this thread. */
export function pause(ms: number): void {
  Atomics.wait(pauseCell, 0, 0, ms);
}

/**
 * The kernel of this machine: each namespace of a case is one of its network namespaces, held by a descriptor only, so
 * that nothing is left behind however the process ends. Commands are those of the distribution, iptables the legacy one.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { allNamespaces, type Case, type Command, WORLD } from "./case.ts";
import {
  Capture,
  closeFd,
  currentNetns,
  disableOffloads,
  enterNetns,
  interfaceName,
  isSettled,
  listenOn,
  newNetns,
  openSender,
  sendFrame,
} from "./libc.ts";
import type { Seen, Side } from "./side.ts";

const SETTLE_MS = 3000;
const SBIN = "/usr/sbin";
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

interface Namespace {
  readonly name: string;
  readonly fd: number;
  readonly names: Map<number, string>;
  capture: Capture | null;
}

export class RealSide implements Side {
  private readonly root = currentNetns();
  private readonly namespaces: Namespace[] = [];
  private readonly sockets: number[] = [];
  private sender = -1;
  private readonly indexes = new Map<string, number>();

  constructor(one: Case) {
    try {
      this.build(one);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      enterNetns(this.root);
    }
  }

  inject(dev: string, frame: Uint8Array): void {
    sendFrame(this.sender, this.indexes.get(dev)!, frame);
  }

  rest(ms: number): void {
    pause(ms);
  }

  collect(): Seen[] {
    const seen: Seen[] = [];
    for (const ns of this.namespaces) {
      for (let frame = ns.capture!.receive(); frame !== null; frame = ns.capture!.receive()) {
        const dev = ns.names.get(frame.ifindex) ?? `if${frame.ifindex}`;
        seen.push({ ns: ns.name, dev, outgoing: frame.outgoing, bytes: frame.bytes });
      }
    }
    return seen;
  }

  ask(ns: string, command: string): string {
    return this.shell(this.namespace(ns), command);
  }

  close(): void {
    enterNetns(this.root);
    for (const fd of this.sockets) closeFd(fd);
    for (const ns of this.namespaces) {
      ns.capture?.close();
      closeFd(ns.fd);
    }
    if (this.sender >= 0) closeFd(this.sender);
    closeFd(this.root);
  }

  private build(one: Case): void {
    for (const name of allNamespaces(one)) {
      this.namespaces.push({ name, fd: newNetns(), names: new Map(), capture: null });
      this.shell(this.namespaces.at(-1)!, DEFAULTS);
    }
    this.run(one.setup);
    this.run(one.rules);
    for (const ns of this.namespaces) this.prepare(ns);
    for (const { ns, protocol, port } of one.listeners) {
      enterNetns(this.namespace(ns).fd);
      this.sockets.push(listenOn(protocol, port));
    }
    const world = this.namespace(WORLD);
    enterNetns(world.fd);
    this.sender = openSender();
    for (const [index, name] of world.names) this.indexes.set(name, index);
    this.collect();
  }

  /** Runs neighbouring commands of one namespace as one script. */
  private run(commands: readonly Command[]): void {
    for (let i = 0; i < commands.length; ) {
      const { ns } = commands[i];
      const lines: string[] = [];
      while (i < commands.length && commands[i].ns === ns) lines.push(this.expand(commands[i++].run));
      this.shell(this.namespace(ns), `set -e\n${lines.join("\n")}`);
    }
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
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`real ${ns.name}: status ${status}\n${stderr}\n${script}`);
    return stdout;
  }

  /** Offloads off, carriers settled, capture open. */
  private prepare(ns: Namespace): void {
    enterNetns(ns.fd);
    const { fd } = (ns.capture = new Capture());
    for (let index = 1; index < MAX_IFINDEX; index++) {
      const name = nameOrNull(index);
      if (name !== null) ns.names.set(index, name);
    }
    const deadline = performance.now() + SETTLE_MS;
    for (const name of ns.names.values()) {
      if (name === "lo") continue;
      disableOffloads(fd, name);
      while (!isSettled(fd, name)) {
        if (performance.now() > deadline) throw new Error(`${ns.name}: ${name} does not come up`);
        pause(1);
      }
    }
  }

  private namespace(name: string): Namespace {
    const found = this.namespaces.find((ns) => ns.name === name);
    if (found === undefined) throw new Error(`no namespace ${name}`);
    return found;
  }
}

const MAX_IFINDEX = 64;

/** No IPv6 chatter; no ECN on sockets, which meshwire's do not have; receive buffers as Linux 6.1 has them (the window scale of a SYN follows from the largest). */
const DEFAULTS = `
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
echo 0 > /proc/sys/net/ipv4/tcp_ecn
echo 4096 131072 6291456 > /proc/sys/net/ipv4/tcp_rmem
`;

function nameOrNull(index: number): string | null {
  try {
    return interfaceName(index);
  } catch {
    return null;
  }
}

const pauseCell = new Int32Array(new SharedArrayBuffer(4));

/** Sleeps this thread. */
export function pause(ms: number): void {
  Atomics.wait(pauseCell, 0, 0, ms);
}

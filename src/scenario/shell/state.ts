/** What a shell keeps from one command line to the next, and the files of a machine. */
import type { Process } from "../../host/process.ts";
import { resolverConfigOf } from "../../host/resolver.ts";
import { SysError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";

export class ShellState {
  readonly variables: Map<string, string>;
  /** Names of the variables that go into the environment of other programs. */
  readonly exported: Set<string>;
  /** `$0`, `$1`, … */
  positional: readonly string[] = ["bash"];
  /** `$?` */
  status = 0;
  /** Jobs started with `&` that `wait` waits for. */
  readonly jobs: Process[] = [];
  /** `$!` */
  lastJob = 0;

  /** `variables` are all exported. */
  constructor(variables: Iterable<readonly [string, string]> = []) {
    this.variables = new Map(variables);
    this.exported = new Set(this.variables.keys());
  }

  /** A shell of its own, as `sh -c` starts one: it knows only what is exported. */
  program(): ShellState {
    return new ShellState([...this.variables].filter(([name]) => this.exported.has(name)));
  }

  /** A copy for a subshell: it sees everything, nothing comes back. */
  fork(): ShellState {
    const copy = new ShellState(this.variables);
    copy.exported.clear();
    for (const name of this.exported) copy.exported.add(name);
    copy.positional = this.positional;
    copy.status = this.status;
    copy.lastJob = this.lastJob;
    return copy;
  }
}

/** As much of /dev/zero as any reader gets. */
const ZEROS = 65536;
const PROC_SYS = "/proc/sys/";

/** The addresses of localhost in every /etc/hosts that Docker writes. */
const LOCAL_HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/**
 * The files that a shell sees: those of the machine, the kernel's parameters under /proc/sys, and the resolver's two.
 */
export class FileView {
  readonly files: Map<string, string>;
  private readonly process: Process;

  constructor(files: Map<string, string>, process: Process) {
    this.files = files;
    this.process = process;
  }

  /** ENOENT when there is none. */
  read(path: string): string {
    if (path === "/dev/null") return "";
    if (path === "/dev/zero") return "\0".repeat(ZEROS);
    if (path.startsWith(PROC_SYS))
      return `${this.process.ns.sysctl.get(path.slice(PROC_SYS.length).replaceAll("/", "."))}\n`;
    if (path === "/etc/resolv.conf") return this.resolvConf();
    if (path === "/etc/hosts" && !this.files.has(path)) return this.hosts();
    const text = this.files.get(path) ?? this.files.get(path.replace(/^\.\//, ""));
    if (text === undefined) throw new SysError("ENOENT", path);
    return text;
  }

  /** Replaces the file's text. Throws SysError as the kernel does for its parameters. */
  write(path: string, text: string): void {
    if (path === "/dev/null" || path === "/dev/stdout" || path === "/dev/stderr") return;
    if (path.startsWith(PROC_SYS))
      this.process.ns.sysctl.set(path.slice(PROC_SYS.length).replaceAll("/", "."), text.trim());
    else this.files.set(path.replace(/^\.\//, ""), text);
  }

  append(path: string, text: string): void {
    const old = path.startsWith(PROC_SYS) ? "" : (this.files.get(path.replace(/^\.\//, "")) ?? "");
    this.write(path, old + text);
  }

  private resolvConf(): string {
    const { nameservers, search, ndots } = resolverConfigOf(this.process);
    const lines = nameservers.map((addr) => `nameserver ${formatIp4(addr)}`);
    if (search !== undefined && search.length > 0) lines.unshift(`search ${search.join(" ")}`);
    if (ndots !== undefined) lines.push(`options ndots:${ndots}`);
    return lines.map((line) => `${line}\n`).join("");
  }

  private hosts(): string {
    const own = [...(resolverConfigOf(this.process).hosts ?? [])];
    return LOCAL_HOSTS + own.map(([name, addr]) => `${formatIp4(addr)}\t${name}\n`).join("");
  }
}

/**
 * The files that a shell sees: those of the machine, the kernel's parameters under /proc/sys, what it tells under
 * /proc/net and /sys/class/net, and the resolver's two. Relative names lie in the shell's own folder.
 */
import type { Process } from "../../host/process.ts";
import { resolverConfigOf } from "../../host/resolver.ts";
import { kernelFile, kernelFolder } from "../../tools/kernel-files.ts";
import { SysError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import { patternSource } from "./pattern.ts";
import type { Sink } from "./streams.ts";

/** As much of /dev/zero as any reader gets. */
const ZEROS = 65536;
const PROC_SYS = "/proc/sys/";
/** Folders that are there without a file in them. */
const FOLDERS: ReadonlySet<string> = new Set(
  "/ /tmp /proc /proc/net /proc/sys /sys /sys/class /sys/class/net /sys/module /dev /etc /run /run/netns /var /var/run /var/run/netns /root . ..".split(
    " ",
  ),
);
/** Folders that hold namespaces, as one can write them. */
const NETNS = /^(?:\/var)?\/run\/(?:docker\/)?netns$/;
const DEVICES: ReadonlySet<string> = new Set([
  "/dev/null",
  "/dev/zero",
  "/dev/urandom",
  "/dev/random",
  "/dev/stdin",
  "/dev/stdout",
  "/dev/stderr",
]);

/** The addresses of localhost in every /etc/hosts that Docker writes. */
const LOCAL_HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

export type FileKind = "file" | "folder" | "device";

export class FileView {
  readonly files: Map<string, string>;
  /** Pipes to those that read what is written into `>(…)`, by the names of the files. */
  readonly pipes: Map<string, Sink>;
  private readonly process: Process;
  /** Names of commands that lie in a folder of the search path. */
  private readonly isCommand: (name: string) => boolean;

  constructor(
    files: Map<string, string>,
    process: Process,
    isCommand: (name: string) => boolean = () => false,
    pipes: Map<string, Sink> = new Map(),
  ) {
    this.files = files;
    this.process = process;
    this.isCommand = isCommand;
    this.pipes = pipes;
  }

  /** What a name stands for; null: nothing. */
  kind(name: string): FileKind | null {
    const path = clean(name);
    if (DEVICES.has(path) || this.pipes.has(path)) return "device";
    if (FOLDERS.has(path) || this.files.has(`${path}/`) || kernelFolder(this.process.ns, path))
      return "folder";
    if (this.tryRead(path) !== null) return "file";
    if (/^(?:\/usr)?\/s?bin\/[^/]+$/.test(path))
      return this.isCommand(path.replace(/^.*\//, "")) ? "file" : null;
    if (NETNS.test(path.replace(/\/[^/]*$/, "")))
      return this.namespaces(path.replace(/\/[^/]*$/, "")).includes(path) ? "file" : null;
    return [...this.files.keys()].some((key) => key.startsWith(`${path}/`)) ? "folder" : null;
  }

  /** ENOENT when there is none. */
  read(name: string): string {
    const path = clean(name);
    if (path === "/dev/zero") return "\0".repeat(ZEROS);
    if (path === "/dev/urandom" || path === "/dev/random") return this.noise();
    if (DEVICES.has(path)) return "";
    if (path.startsWith(PROC_SYS)) return this.sysctl(path);
    if (path === "/etc/resolv.conf") return this.resolvConf();
    if (path === "/etc/hosts" && !this.files.has(path)) return this.hosts();
    const text = this.files.get(path) ?? kernelFile(this.process.ns, path);
    if (text === undefined || text === null) throw new SysError("ENOENT", name);
    return text;
  }

  /** Replaces the file's text. Throws SysError as the kernel does for its parameters. */
  write(name: string, text: string): void {
    const path = clean(name);
    if (DEVICES.has(path)) return;
    if (FOLDERS.has(path)) throw new SysError("EISDIR", name);
    const pipe = this.pipes.get(path);
    if (pipe !== undefined) pipe.write(text);
    else if (path.startsWith(PROC_SYS))
      this.process.ns.sysctl.set(path.slice(PROC_SYS.length).replaceAll("/", "."), text.trim());
    else this.files.set(path, text);
  }

  append(name: string, text: string): void {
    const path = clean(name);
    this.write(path, path.startsWith(PROC_SYS) ? text : (this.files.get(path) ?? "") + text);
  }

  /** false when there was none. */
  remove(name: string): boolean {
    return this.files.delete(clean(name));
  }

  /** The names that a pattern describes, in order. */
  glob(pattern: string): string[] {
    const regex = new RegExp(`^(?:${patternSource(pattern, "[^/]*", "[^/]")})$`);
    const hidden = /(?:^|\/)\./.test(pattern);
    const names = new Set([...this.files.keys()].map((key) => key.replace(/\/$/, "")));
    const folder = pattern.slice(0, pattern.search(/[*?[]/)).replace(/\/[^/]*$/, "");
    for (const name of kernelFolder(this.process.ns, folder) || []) names.add(`${folder}/${name}`);
    for (const name of NETNS.test(folder) ? this.namespaces(folder) : []) names.add(name);
    if (pattern.startsWith(PROC_SYS))
      for (const name of this.process.ns.sysctl.names()) names.add(PROC_SYS + name.replaceAll(".", "/"));
    return [...names].filter((name) => regex.test(name) && (hidden || !/(?:^|\/)\./.test(name))).sort();
  }

  /** The files of the namespaces that are bound in `folder`. */
  private namespaces(folder: string): string[] {
    const inside = `${folder.replace(/^\/var/, "")}/`;
    return this.process.machine.kernel.namespaces
      .map((ns) => ns.path.replace(/^\/var/, ""))
      .filter((path) => path.startsWith(inside))
      .map((path) => `${folder}/${path.slice(inside.length)}`);
  }

  private tryRead(path: string): string | null {
    try {
      return this.read(path);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return null;
    }
  }

  private sysctl(path: string): string {
    return `${this.process.ns.sysctl.get(path.slice(PROC_SYS.length).replaceAll("/", "."))}\n`;
  }

  /** Bytes without pattern that are the same in every run. */
  private noise(): string {
    let state = (this.process.pid * 2654435761) | 1;
    let text = "";
    for (let i = 0; i < ZEROS; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      text += String.fromCharCode((state >>> 24) & 0xff);
    }
    return text;
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

/** One name for one file: without `./`, doubled slashes and a slash at the end. */
function clean(name: string): string {
  const path = name.replace(/\/{2,}/g, "/").replace(/^(?:\.\/)+(?=.)/, "");
  return path.length > 1 ? path.replace(/\/$/, "") : path;
}

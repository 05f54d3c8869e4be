/** Images: what a container of each listens on. Stands for the registry and for the images built on the machines. */
import { Prng } from "../util/prng.ts";

export interface ImageSpec {
  /** TCP port of the HTTP server, 0 none. */
  readonly http: number;
  /** UDP port of the echo server, 0 none. */
  readonly udpEcho: number;
  /** Default command, as `docker ps` shows it. */
  readonly command: readonly string[];
  /** Words that start its server as well, behind the first of `command`. */
  readonly servers?: readonly string[];
  /** Its commands are those of busybox. */
  readonly busybox: boolean;
  /** Its server stands for another program: what that one prints nobody knows here. */
  readonly quiet: boolean;
  /** Ports that it names (EXPOSE), such as `80/tcp`. */
  readonly exposed: readonly string[];
  /** 64 hexadecimal digits, the same on every machine: "" until the table has given it a name. */
  readonly id: string;
}

/** As a lab page writes it: `whoami: { http: 80, udp-echo: 5353 }`. */
export interface ImageDecl {
  readonly http?: number;
  readonly "udp-echo"?: number;
  readonly command?: readonly string[];
  readonly expose?: readonly (string | number)[];
}

export type ImageTable = ReadonlyMap<string, ImageSpec>;

const WHOAMI: ImageSpec = {
  http: 80,
  udpEcho: 0,
  command: ["/whoami"],
  busybox: true,
  quiet: false,
  exposed: [],
  id: "",
};
const NGINX: ImageSpec = {
  http: 80,
  udpEcho: 0,
  command: ["/docker-entrypoint.sh", "nginx", "-g", "daemon off;"],
  servers: ["nginx", "nginx-debug"],
  busybox: false,
  quiet: true,
  exposed: ["80/tcp"],
  id: "",
};
const SHELL: ImageSpec = {
  http: 0,
  udpEcho: 0,
  command: ["sh"],
  busybox: true,
  quiet: false,
  exposed: [],
  id: "",
};

const BUILT_IN: Readonly<Record<string, ImageSpec>> = {
  whoami: WHOAMI,
  "containous/whoami": { ...WHOAMI, exposed: ["80/tcp"] },
  "traefik/whoami": { ...WHOAMI, exposed: ["80/tcp"] },
  nginx: NGINX,
  busybox: SHELL,
  "nicolaka/netshoot": { ...SHELL, command: ["zsh"], busybox: false },
  alpine: { ...SHELL, command: ["/bin/sh"] },
};

const idOf = (name: string): string => new Prng(0, `image/${name}`).hex(64);

/** The built-in images and those of a lab page, which win. */
export function imageTable(declared: Readonly<Record<string, ImageDecl>> = {}): ImageTable {
  const table = new Map(Object.entries(BUILT_IN).map(([name, spec]) => [name, { ...spec, id: idOf(name) }]));
  for (const [name, decl] of Object.entries(declared)) {
    const base = table.get(name) ?? {
      http: 0,
      udpEcho: 0,
      command: [`/${name.replace(/^.*\//, "")}`],
      busybox: true,
      quiet: false,
      exposed: [],
      id: "",
    };
    table.set(name, {
      http: decl.http ?? base.http,
      udpEcho: decl["udp-echo"] ?? base.udpEcho,
      servers: base.servers ?? [],
      command: decl.command ?? base.command,
      busybox: base.busybox,
      quiet: base.quiet,
      exposed:
        decl.expose?.map((port) => (/\//.test(String(port)) ? String(port) : `${port}/tcp`)) ?? base.exposed,
      id: idOf(name),
    });
  }
  return table;
}

/** The image of a reference with or without tag and digest, or of the beginning of an id; null when nobody has it. */
export function findImage(table: ImageTable, reference: string): ImageSpec | null {
  const name = reference.replace(/@sha256:[0-9a-f]+$/, "").replace(/:[^:/]*$/, "");
  const named = table.get(name) ?? table.get(name.replace(/^(docker\.io\/)?(library\/)?/, ""));
  if (named !== undefined) return named;
  if (!/^[0-9a-f]{4,64}$/.test(reference)) return null;
  const found = [...table.values()].filter(({ id }) => id.startsWith(reference));
  return found.length === 1 ? found[0] : null;
}

/** Whether a command (none: the image's own) is the server of the image. */
export function startsServer(
  { http, udpEcho, servers = [] }: ImageSpec,
  command: readonly string[],
): boolean {
  return http + udpEcho > 0 && (command.length === 0 || servers.includes(command[0]));
}

/** `whoami` -> `whoami:latest` (reference.TagNameOnly). */
export function withTag(reference: string): string {
  return /(:[^:/]+|@sha256:[0-9a-f]+)$/.test(reference) ? reference : `${reference}:latest`;
}

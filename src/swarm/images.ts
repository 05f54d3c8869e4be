/** Images: what a container of each listens on. Stands for the registry and for the images built on the machines. */

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
  /** On a registry: its digest is known. */
  readonly digest: string | null;
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
  digest: null,
};
const NGINX: ImageSpec = {
  http: 80,
  udpEcho: 0,
  command: ["/docker-entrypoint.sh", "nginx", "-g", "daemon off;"],
  servers: ["nginx", "nginx-debug"],
  busybox: false,
  quiet: true,
  exposed: ["80/tcp"],
  digest: null,
};
const SHELL: ImageSpec = {
  http: 0,
  udpEcho: 0,
  command: ["sh"],
  busybox: true,
  quiet: false,
  exposed: [],
  digest: null,
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

/** The built-in images and those of a lab page, which win. */
export function imageTable(declared: Readonly<Record<string, ImageDecl>> = {}): ImageTable {
  const table = new Map<string, ImageSpec>(Object.entries(BUILT_IN));
  for (const [name, decl] of Object.entries(declared)) {
    const base = table.get(name) ?? {
      http: 0,
      udpEcho: 0,
      command: [`/${name.replace(/^.*\//, "")}`],
      busybox: true,
      quiet: false,
      exposed: [],
      digest: null,
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
      digest: null,
    });
  }
  return table;
}

/** The image of a reference with or without tag and digest; null when nobody has it. */
export function findImage(table: ImageTable, reference: string): ImageSpec | null {
  const name = reference.replace(/@sha256:[0-9a-f]+$/, "").replace(/:[^:/]*$/, "");
  return table.get(name) ?? table.get(name.replace(/^(docker\.io\/)?(library\/)?/, "")) ?? null;
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

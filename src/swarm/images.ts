/** Images: what a container of each listens on. Stands for the registry and for the images built on the machines. */

export interface ImageSpec {
  /** TCP port of the HTTP server, 0 none. */
  readonly http: number;
  /** UDP port of the echo server, 0 none. */
  readonly udpEcho: number;
  /** Default command, as `docker ps` shows it. */
  readonly command: readonly string[];
  /** Its commands are those of busybox. */
  readonly busybox: boolean;
  /** Its server stands for another program: what that one prints nobody knows here. */
  readonly quiet: boolean;
  /** On a registry: its digest is known. */
  readonly digest: string | null;
}

/** As a lab page writes it: `whoami: { http: 80, udp-echo: 5353 }`. */
export interface ImageDecl {
  readonly http?: number;
  readonly "udp-echo"?: number;
  readonly command?: readonly string[];
}

export type ImageTable = ReadonlyMap<string, ImageSpec>;

const WHOAMI: ImageSpec = {
  http: 80,
  udpEcho: 0,
  command: ["/whoami"],
  busybox: true,
  quiet: false,
  digest: null,
};
const NGINX: ImageSpec = {
  http: 80,
  udpEcho: 0,
  command: ["/docker-entrypoint.sh", "nginx", "-g", "daemon off;"],
  busybox: false,
  quiet: true,
  digest: null,
};
const SHELL: ImageSpec = { http: 0, udpEcho: 0, command: ["sh"], busybox: true, quiet: false, digest: null };

const BUILT_IN: Readonly<Record<string, ImageSpec>> = {
  whoami: WHOAMI,
  "containous/whoami": WHOAMI,
  "traefik/whoami": WHOAMI,
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
      digest: null,
    };
    table.set(name, {
      http: decl.http ?? base.http,
      udpEcho: decl["udp-echo"] ?? base.udpEcho,
      command: decl.command ?? base.command,
      busybox: base.busybox,
      quiet: base.quiet,
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

/** `whoami` -> `whoami:latest` (reference.TagNameOnly). */
export function withTag(reference: string): string {
  return /(:[^:/]+|@sha256:[0-9a-f]+)$/.test(reference) ? reference : `${reference}:latest`;
}

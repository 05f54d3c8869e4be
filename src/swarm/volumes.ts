/** Volumes of an engine (volume/service, the driver `local`): folders that outlive containers and that several can share. */
import { SysError } from "../util/errors.ts";
import type { Prng } from "../util/prng.ts";
import type { Container } from "./container.ts";
import { DockerError } from "./docker-error.ts";
import { newHexId } from "./ids.ts";
import type { Mount } from "./manager/objects.ts";

export interface Volume {
  readonly name: string;
  readonly createdNs: number;
  /** null where a container brought it forth. */
  readonly labels: ReadonlyMap<string, string> | null;
  readonly options: ReadonlyMap<string, string> | null;
  /** By their names inside, without a slash at the front. */
  readonly files: Map<string, string>;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

export class Volumes {
  private readonly byName = new Map<string, Volume>();
  private readonly prng: Prng;
  private readonly now: () => number;

  constructor(prng: Prng, now: () => number) {
    this.prng = prng;
    this.now = now;
  }

  /** In the order of their names. */
  list(): Volume[] {
    return [...this.byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  find(name: string): Volume | null {
    return this.byName.get(name) ?? null;
  }

  /** The one that is there, or a new one; "" makes a name. */
  create(name: string, labels: Volume["labels"] = null, options: Volume["options"] = null): Volume {
    const found = this.byName.get(name);
    if (found !== undefined) return found;
    if (name !== "" && !NAME.test(name)) throw new DockerError(nameRefusal(name));
    const volume = {
      name: name === "" ? newHexId(this.prng) : name,
      createdNs: this.now(),
      labels,
      options,
      files: new Map<string, string>(),
    };
    this.byName.set(volume.name, volume);
    return volume;
  }

  /** Throws DockerError while a container has it. */
  remove({ name }: Volume, containers: readonly Container[]): void {
    const users = containers.filter(({ options }) => options.mounts.some((mount) => mount.source === name));
    if (users.length > 0)
      throw new DockerError(`remove ${name}: volume is in use - [${users.map(({ id }) => id).join(", ")}]`);
    this.byName.delete(name);
  }

  /** Makes what the mounts of a container name; those without a name get one. */
  settle(mounts: readonly Mount[]): Mount[] {
    return mounts.map((mount) => ({ ...mount, source: this.create(mount.source).name }));
  }
}

function nameRefusal(name: string): string {
  return name.length < 2
    ? `create ${name}: volume name is too short, names should be at least two alphanumeric characters`
    : `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`;
}

interface MountedFolder {
  /** With a slash at the end. */
  readonly target: string;
  readonly files: Map<string, string>;
  readonly readOnly: boolean;
}

/** The files of a container, those of its volumes in their places. */
export class MountedFiles extends Map<string, string> {
  private readonly folders: readonly MountedFolder[];

  constructor(folders: readonly MountedFolder[]) {
    super();
    this.folders = folders;
  }

  override get(name: string): string | undefined {
    const at = this.folderOf(name);
    return at === undefined ? super.get(name) : at.files.get(name.slice(at.target.length));
  }

  override has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  override set(name: string, text: string): this {
    const at = this.folderOf(name);
    if (at === undefined) return super.set(name, text);
    if (at.readOnly) throw new SysError("EROFS", name);
    at.files.set(name.slice(at.target.length), text);
    return this;
  }

  override delete(name: string): boolean {
    const at = this.folderOf(name);
    if (at === undefined) return super.delete(name);
    if (at.readOnly) throw new SysError("EROFS", name);
    return at.files.delete(name.slice(at.target.length));
  }

  override *keys(): MapIterator<string> {
    yield* super.keys();
    for (const { target, files } of this.folders) {
      yield target;
      for (const name of files.keys()) yield target + name;
    }
  }

  private folderOf(name: string): MountedFolder | undefined {
    return this.folders.find(({ target }) => name.length > target.length && name.startsWith(target));
  }
}

/** The folders that the mounts of a container are. */
export function mountedFolders(mounts: readonly Mount[], volumes: Volumes): MountedFolder[] {
  return mounts.map(({ source, target, readOnly }) => ({
    target: `${target.replace(/\/$/, "")}/`,
    files: volumes.create(source).files,
    readOnly,
  }));
}

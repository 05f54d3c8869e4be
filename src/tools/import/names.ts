/**
 * Names of namespaces in a lab from what Docker calls their files: `1-<network id>` an overlay's, `lb_<network id>` its
 * load balancer's, `ingress_sbox`, and those of the containers by their sandbox keys.
 */
import { type DumpSection, HOST_NETNS, type NodeDump } from "./dump.ts";

interface Container {
  readonly hostname: string;
  readonly name: string;
}

/** `NAME.SLOT.<25 characters of the task's id>` */
const TASK = /^(.+)\.([^.]+)\.[0-9a-z]{25}$/;

function rows(section: DumpSection | undefined): string[][] {
  return (section?.text ?? "")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words.length > 1);
}

function base(path: string): string {
  return path.replace(/^.*\//, "");
}

export class NamespaceNames {
  private readonly networks: readonly (readonly string[])[];
  private readonly containers: ReadonlyMap<string, Container>;
  private readonly taken = new Set<string>();

  constructor(dump: NodeDump) {
    this.networks = rows(dump.docker.get("networks"));
    this.containers = new Map(
      rows(dump.docker.get("containers")).map(([key, hostname, name = hostname]) => [
        base(key),
        { hostname, name: name.replace(/^\//, "") },
      ]),
    );
  }

  /** The name of the namespace at `path`; another one for each. */
  name(path: string): string {
    const wanted = this.wanted(path);
    let name = wanted;
    for (let i = 2; this.taken.has(name); i++) name = `${wanted}-${i}`;
    this.taken.add(name);
    return name;
  }

  /** Host name inside of the container at `path`, null when there is none. */
  hostname(path: string): string | null {
    return this.containers.get(base(path))?.hostname ?? null;
  }

  private wanted(path: string): string {
    if (path === HOST_NETNS) return "host";
    const file = base(path);
    const container = this.containers.get(file);
    if (container !== undefined) {
      const task = TASK.exec(container.name);
      return task === null ? `ctr-${container.name}` : `ctr-${task[1]}.${task[2]}`;
    }
    const balancer = /^lb_(.+)$/.exec(file);
    const overlay = /^[0-9a-z]+-(.+)$/.exec(file);
    const network = this.networks.find(([id]) => id.startsWith((balancer ?? overlay)?.[1] ?? " "));
    if (network === undefined) return file;
    return `${balancer !== null ? "lb" : "ovl"}-${network[1]}`;
  }
}

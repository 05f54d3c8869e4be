/** docker network create, ls, inspect, rm, prune (cli/command/network). */
import { DockerError, NoSuchObjectError } from "../../swarm/docker-error.ts";
import { RpcError } from "../../swarm/manager/control-api.ts";
import { swarmNetwork } from "../../swarm/network/swarm-network.ts";
import type { LocalNetwork } from "../../swarm/network/types.ts";
import { NotModelledError } from "../../util/errors.ts";
import { parseCidr, parseIp4 } from "../../wire/address.ts";
import type { ToolOutput } from "../tool.ts";
import {
  type DockerCommand,
  type DockerContext,
  daemonError,
  failed,
  filterMap,
  forEachName,
  inspectJson,
  labelMap,
  ok,
  passes,
} from "./command.ts";
import type { Flags } from "./flags.ts";
import { renderTemplate } from "./go-template.ts";
import { goTime } from "./human.ts";
import { networkJson } from "./inspect-json.ts";
import { type Column, renderTable } from "./table.ts";

export const networkCreate: DockerCommand = {
  path: "docker network create",
  usage: "[OPTIONS] NETWORK",
  short: "Create a network",
  flags: [
    "driver,d=",
    "opt,o=",
    "label=",
    "internal",
    "attachable",
    "ingress",
    "scope=",
    "subnet=",
    "gateway=",
    "ip-range=!",
    "aux-address=!",
    "ipv6!",
    "ipam-driver=!",
    "ipam-opt=!",
    "config-from=!",
    "config-only!",
  ],
  min: 1,
  max: 1,
  run(flags, context): ToolOutput {
    const driver = flags.get("driver", "bridge");
    const name = flags.args[0];
    const range = subnetFlags(flags);
    if (driver === "overlay") return createOverlay(name, flags, range, context);
    if (driver !== "bridge") throw new NotModelledError(`docker network create -d ${driver}`);
    const { controller } = context.engine;
    if (controller.findNetwork(name) !== null)
      throw new DockerError(`network with name ${name} already exists`);
    const pool =
      range.subnet === null
        ? null
        : { ...range.subnet, gateway: range.gateway ?? (range.subnet.addr + 1) | 0 };
    const network = controller.createUserBridge(name, pool, flags.on("internal"));
    if (network === null)
      throw new DockerError(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
      );
    return ok(`${network.id}\n`);
  },
};

function subnetFlags(flags: Flags) {
  const text = flags.get("subnet");
  const subnet = text === "" ? null : parseCidr(text);
  if (text !== "" && subnet === null)
    throw new DockerError(`invalid subnet ${text} : invalid CIDR address: ${text}`);
  const gateway = flags.has("gateway") ? parseIp4(flags.get("gateway")) : null;
  if (flags.has("gateway") && subnet === null)
    throw new DockerError("every ip-range or gateway must have a corresponding subnet");
  return { subnet, gateway };
}

function createOverlay(
  name: string,
  flags: Flags,
  { subnet, gateway }: ReturnType<typeof subnetFlags>,
  { engine }: DockerContext,
): ToolOutput {
  const control = engine.control();
  const options = labelMap(flags.list("opt"));
  const spec = {
    name,
    driver: "overlay",
    ingress: flags.on("ingress"),
    attachable: flags.on("attachable"),
    internal: flags.on("internal"),
    labels: labelMap(flags.list("label")),
    options,
    subnet,
    gateway,
  };
  try {
    return ok(`${control.createNetwork(spec).id}\n`);
  } catch (error) {
    if (error instanceof RpcError && error.code === "AlreadyExists" && !spec.ingress)
      throw new DockerError(error.desc);
    throw error;
  }
}

/** A network as `network ls` knows it: local, or of the swarm. */
interface NetworkRow {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly scope: string;
  readonly internal: boolean;
  readonly createdNs: number;
  readonly labels: ReadonlyMap<string, string>;
}

/** Local networks, those of the swarm that are here, and on a manager all of the swarm. */
function allNetworks({ engine }: DockerContext): NetworkRow[] {
  const rows: NetworkRow[] = [...engine.controller.networks];
  if (engine.role !== "manager") return rows;
  for (const network of engine.control().listNetworks())
    if (!rows.some((row) => row.id === network.id)) rows.push({ ...network, scope: "swarm" });
  return rows;
}

const columns = (noTrunc: boolean): Column<NetworkRow>[] => [
  { field: "ID", heading: "NETWORK ID", cell: ({ id }) => (noTrunc ? id : id.slice(0, 12)) },
  { field: "Name", heading: "NAME", cell: ({ name }) => name },
  { field: "Driver", heading: "DRIVER", cell: ({ driver }) => driver },
  { field: "Scope", heading: "SCOPE", cell: ({ scope }) => scope },
  { field: "Internal", heading: "INTERNAL", cell: ({ internal }) => String(internal) },
  { field: "IPv6", heading: "IPV6", cell: () => "false" },
  { field: "CreatedAt", heading: "CREATED AT", cell: ({ createdNs }) => goTime(createdNs) },
  {
    field: "Labels",
    heading: "LABELS",
    cell: ({ labels }) => [...labels].map(([key, value]) => `${key}=${value}`).join(","),
  },
];

export const networkLs: DockerCommand = {
  path: "docker network ls",
  usage: "[OPTIONS]",
  short: "List networks",
  flags: ["filter,f=", "format=", "no-trunc", "quiet,q"],
  min: 0,
  max: 0,
  run(flags, context): ToolOutput {
    const filters = filterMap(flags.list("filter"));
    const rows = allNetworks(context)
      .filter(
        (row) =>
          passes(filters, "name", (value) => row.name.includes(value)) &&
          passes(filters, "driver", (value) => row.driver === value) &&
          passes(filters, "scope", (value) => row.scope === value) &&
          passes(filters, "id", (value) => row.id.startsWith(value)),
      )
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const shown = ["ID", "Name", "Driver", "Scope"];
    return ok(
      renderTable(columns(flags.on("no-trunc")), shown, rows, flags.get("format"), flags.on("quiet")),
    );
  },
};

/** By name, id or unique id prefix, on this node or (manager) in the swarm. */
function findNetwork(reference: string, context: DockerContext): LocalNetwork | null {
  const { engine } = context;
  const exact = engine.controller.findNetwork(reference);
  if (exact !== null) return exact;
  const rows = allNetworks(context);
  const row = rows.find((r) => r.name === reference) ?? rows.find((r) => r.id.startsWith(reference));
  if (row === undefined) return null;
  const local = engine.controller.findNetwork(row.id);
  if (local !== null) return local;
  // A network of the swarm that this node has no part in.
  const object = engine
    .control()
    .listNetworks()
    .find((network) => network.id === row.id)!;
  return swarmNetwork(object, object.createdNs);
}

export const networkInspect: DockerCommand = {
  path: "docker network inspect",
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  short: "Display detailed information on one or more networks",
  flags: ["format,f=", "verbose,v"],
  min: 1,
  max: -1,
  run(flags, context): ToolOutput {
    const found: unknown[] = [];
    let stderr = "";
    for (const name of flags.args) {
      const network = findNetwork(name, context);
      if (network === null) stderr += `Error: No such network: ${name}\n`;
      else found.push(networkJson(network, context, flags.on("verbose")));
    }
    const format = flags.get("format");
    const text =
      format === "" ? inspectJson(found) : found.map((o) => `${renderTemplate(format, o)}\n`).join("");
    return stderr === "" ? ok(text) : failed(stderr, 1, text);
  },
};

export const networkRm: DockerCommand = {
  path: "docker network rm",
  usage: "NETWORK [NETWORK...]",
  short: "Remove one or more networks",
  flags: [],
  min: 1,
  max: -1,
  run(flags, context): ToolOutput {
    return forEachName(flags.args, (name) => {
      const network = findNetwork(name, context);
      if (network === null) throw new NoSuchObjectError("network", name);
      removeNetwork(network, context);
      return name;
    });
  },
};

function removeNetwork(network: LocalNetwork, { engine }: DockerContext): void {
  if (network.scope === "swarm") {
    engine.control().removeNetwork(network.id);
    return;
  }
  if (["bridge", "host", "none"].includes(network.name))
    throw new DockerError(`${network.name} is a pre-defined network and cannot be removed`);
  if (network.endpoints.length > 0)
    throw new DockerError(
      `error while removing network: network ${network.name} id ${network.id} has active endpoints`,
    );
  engine.controller.deleteBridge(network);
}

export const networkPrune: DockerCommand = {
  path: "docker network prune",
  usage: "[OPTIONS]",
  short: "Remove all unused networks",
  flags: ["force,f", "filter="],
  min: 0,
  max: 0,
  run(flags, context): ToolOutput {
    const warning = "WARNING! This will remove all custom networks not used by at least one container.\n";
    if (!flags.on("force")) return ok(`${warning}Are you sure you want to continue? [y/N] `);
    const removed: string[] = [];
    for (const { id, name } of allNetworks(context)) {
      const network = findNetwork(id, context)!;
      if (
        network.ingress ||
        network.endpoints.length > 0 ||
        ["bridge", "host", "none", "docker_gwbridge"].includes(name)
      )
        continue;
      try {
        removeNetwork(network, context);
        removed.push(name);
      } catch (error) {
        daemonError(error);
      }
    }
    return ok(removed.length === 0 ? "" : `Deleted Networks:\n${removed.join("\n")}\n\n`);
  },
};

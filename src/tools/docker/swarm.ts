/** docker swarm init, join, join-token, leave, ca (cli/command/swarm). */
import { type Co, sleep } from "../../host/process.ts";
import { addressesOf } from "../../net/ctl/address.ts";
import { DockerError } from "../../swarm/docker-error.ts";
import { MANAGER_PORT } from "../../swarm/manager/manager-port.ts";
import type { Role } from "../../swarm/manager/objects.ts";
import { BAD_TOKEN } from "../../swarm/swarm-errors.ts";
import { UsageError } from "../../util/errors.ts";
import { formatIp4, parseCidr, parseIp4 } from "../../wire/address.ts";
import type { ToolOutput } from "../tool.ts";
import { type DockerCommand, type DockerContext, ok } from "./command.ts";
import type { Flags } from "./flags.ts";
import { availabilityWord } from "./node.ts";

const INIT_NS = 300_000_000;
/** From the certificate until the node is ready. */
const JOIN_NS = 300_000_000;
const BAD_ADVERTISE =
  "advertise address must be a non-zero IP address or network interface (with optional port number)";

const BAD_LISTEN = "listen address must be an IP address or network interface (with optional port number)";
const MUST_LISTEN =
  "must specify a listening address because the address to advertise is not recognized as a system address, and a system's IP address to use could not be uniquely identified";
const MAX_SUBNET_SIZE = 29;

const ADDRESS_FLAGS = ["advertise-addr=", "listen-addr=", "data-path-addr=", "availability="] as const;

export const swarmInit: DockerCommand = {
  path: "docker swarm init",
  usage: "[OPTIONS]",
  short: "Initialize a swarm",
  flags: [
    ...ADDRESS_FLAGS,
    "force-new-cluster!",
    "autolock!",
    "data-path-port=",
    "default-addr-pool=",
    "default-addr-pool-mask-length=",
    "cert-expiry=!",
    "dispatcher-heartbeat=!",
    "external-ca=!",
    "max-snapshots=!",
    "snapshot-interval=!",
    "task-history-limit=!",
  ],
  min: 0,
  max: 0,
  *run(flags, context): Co<ToolOutput> {
    const { engine } = context;
    const addresses = addressFlags(flags, context);
    const subnetSize = Number(flags.get("default-addr-pool-mask-length", "24"));
    const pools = poolFlags(flags);
    checkPools(pools, subnetSize);
    const port = Number(flags.get("data-path-port", "0"));
    if (port !== 0 && (port < 1024 || port > 49151))
      throw new DockerError(`Datapath port number is not in valid range (1024-49151) : ${port}`);
    const membership = engine.initSwarm(addresses, {
      pools,
      subnetSize,
      dataPathPort: port === 0 ? 4789 : port,
    });
    yield* sleep(INIT_NS);
    const info = engine.control().info();
    return ok(
      `Swarm initialized: current node (${membership.nodeId}) is now a manager.\n\n` +
        `To add a worker to this swarm, run the following command:\n\n${joinLine(info.workerToken, addresses.advertise)}\n` +
        "To add a manager to this swarm, run 'docker swarm join-token manager' and follow the instructions.\n\n",
    );
  },
};

export const swarmJoin: DockerCommand = {
  path: "docker swarm join",
  usage: "[OPTIONS] HOST:PORT",
  short: "Join a swarm as a node and/or manager",
  flags: [...ADDRESS_FLAGS, "token="],
  min: 1,
  max: 1,
  *run(flags, context): Co<ToolOutput> {
    const { engine } = context;
    const [host, portText] = flags.args[0].split(":");
    const remote = parseIp4(host);
    if (remote === null) throw new DockerError(`invalid remote address ${flags.args[0]}`);
    const token = flags.get("token");
    if (engine.membership === null && !/^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/.test(token))
      throw new DockerError(BAD_TOKEN);
    const availability = availabilityWord(flags.get("availability")) ?? "active";
    const port = Number(portText ?? MANAGER_PORT);
    const addresses = addressFlags(flags, context, remote);
    yield* engine.joinSwarm({ remote, port, token, availability }, addresses);
    yield* sleep(JOIN_NS);
    const role = engine.role ?? "worker";
    return ok(`This node joined a swarm as a ${role}.\n`);
  },
};

export const swarmJoinToken: DockerCommand = {
  path: "docker swarm join-token",
  usage: "[OPTIONS] (worker|manager)",
  short: "Manage join tokens",
  flags: ["quiet,q", "rotate"],
  min: 1,
  max: 1,
  run(flags, { engine }): ToolOutput {
    const role = flags.args[0];
    if (role !== "worker" && role !== "manager") throw new UsageError("unknown role " + role);
    const control = engine.control();
    let text = "";
    if (flags.on("rotate")) {
      control.rotateToken(role);
      if (!flags.on("quiet")) text = `Successfully rotated ${role} join token.\n\n`;
    }
    const token = tokenOf(control.info(), role);
    if (flags.on("quiet")) return ok(`${token}\n`);
    const line = joinLine(token, engine.membership!.advertise);
    return ok(`${text}To add a ${role} to this swarm, run the following command:\n\n${line}\n`);
  },
};

export const swarmLeave: DockerCommand = {
  path: "docker swarm leave",
  usage: "[OPTIONS]",
  short: "Leave the swarm",
  flags: ["force,f"],
  min: 0,
  max: 0,
  run(flags, { engine }): ToolOutput {
    engine.leaveSwarm(flags.on("force"));
    return ok("Node left the swarm.\n");
  },
};

function tokenOf(info: { workerToken: string; managerToken: string }, role: Role): string {
  return role === "worker" ? info.workerToken : info.managerToken;
}

function joinLine(token: string, addr: number): string {
  return `    docker swarm join --token ${token} ${formatIp4(addr)}:2377\n`;
}

function poolFlags(flags: Flags): { addr: number; prefixLen: number }[] {
  return flags.list("default-addr-pool").map((text) => {
    const pool = parseCidr(text);
    if (pool === null)
      throw new UsageError(
        `invalid argument "${text}" for "--default-addr-pool" flag: invalid CIDR address: ${text}\nSee 'docker swarm init --help'.\n`,
        125,
      );
    return pool;
  });
}

/** validateDefaultAddrPool in daemon/cluster/swarm.go */
function checkPools(pools: readonly { addr: number; prefixLen: number }[], subnetSize: number): void {
  if (subnetSize > MAX_SUBNET_SIZE) throw new DockerError(`subnet size is out of range: ${subnetSize}`);
  for (const { addr, prefixLen } of pools)
    if (subnetSize < prefixLen)
      throw new DockerError(
        `invalid CIDR: "${formatIp4(addr)}/${prefixLen}". Subnet size is too small for pool: ${subnetSize}`,
      );
}

/** Advertise and data-path address as given, or the one that the system has. */
function addressFlags(flags: Flags, context: DockerContext, remote: number | null = null) {
  const listen = namedAddress(flags.get("listen-addr", "0.0.0.0:2377"), context, BAD_LISTEN, true);
  const advertise =
    namedAddress(flags.get("advertise-addr"), context, BAD_ADVERTISE) ?? systemAddress(context, remote);
  if (listen === 0 && remote === null) checkLocal(advertise, context);
  const dataPath = namedAddress(
    flags.get("data-path-addr"),
    context,
    "data path address must be a non-zero IP address or network interface (without a port number)",
  );
  return { advertise, dataPath: dataPath ?? advertise };
}

/** An address that is none of ours does when there is just one that is: the manager's own connections need it. */
function checkLocal(advertise: number, context: DockerContext): void {
  const { hostNs } = context.tool.machine;
  if (hostNs.devices().some((dev) => addressesOf(dev).some(({ local }) => local === advertise))) return;
  try {
    systemAddress(context, null);
  } catch (error) {
    throw error instanceof DockerError ? new DockerError(MUST_LISTEN) : error;
  }
}

/** An address, or the first one of a device; null when the flag was not given. */
function namedAddress(
  text: string,
  { tool }: DockerContext,
  refusal: string,
  anyAllowed = false,
): number | null {
  if (text === "") return null;
  const host = text.replace(/:\d+$/, "");
  const addr = parseIp4(host);
  if (addr !== null && (addr !== 0 || anyAllowed)) return addr;
  const dev = tool.machine.hostNs.device(host);
  const first = dev === undefined ? undefined : addressesOf(dev)[0];
  if (addr === 0 || first === undefined) throw new DockerError(refusal);
  return first.local;
}

/** The one address of the network cards; towards `remote` when there are several (the join asks the route). */
function systemAddress({ tool }: DockerContext, remote: number | null): number {
  const found: { addr: number; dev: string; near: boolean }[] = [];
  for (const dev of tool.machine.hostNs.devices()) {
    if (dev.ops.kind !== "nic" || !dev.isUp) continue;
    for (const { local, prefixLen } of addressesOf(dev)) {
      const near = remote !== null && (local ^ remote) >>> (32 - prefixLen) === 0;
      found.push({ addr: local, dev: dev.name, near });
    }
  }
  if (remote !== null && found.length > 0) return (found.find(({ near }) => near) ?? found[0]).addr;
  if (found.length === 0)
    throw new DockerError("could not find the system's IP address - specify one with --advertise-addr");
  if (found.length === 1) return found[0].addr;
  const [a, b] = found;
  const where =
    a.dev === b.dev
      ? `interface ${a.dev} (${formatIp4(a.addr)} and ${formatIp4(b.addr)})`
      : `different interfaces (${formatIp4(a.addr)} on ${a.dev} and ${formatIp4(b.addr)} on ${b.dev})`;
  throw new DockerError(
    `could not choose an IP address to advertise since this system has multiple addresses on ${where} - specify one with --advertise-addr`,
  );
}

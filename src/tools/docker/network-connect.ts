/** docker network connect and disconnect (cli/command/network), and the network options of docker run. */
import type { Co } from "../../host/process.ts";
import type { NetworkRequest } from "../../swarm/container.ts";
import { DockerError } from "../../swarm/docker-error.ts";
import { connectToNetwork, disconnectFromNetwork } from "../../swarm/plain-container.ts";
import { NotModelledError } from "../../util/errors.ts";
import { parseIp4 } from "../../wire/address.ts";
import type { ToolOutput } from "../tool.ts";
import { type DockerCommand, need, ok } from "./command.ts";
import type { Flags } from "./flags.ts";

/** The network `target` with the address and the names that the options give. */
export function networkRequest(flags: Flags, target: string): NetworkRequest {
  if (target.includes("=") || target.startsWith("container:"))
    throw new NotModelledError(`docker run --network ${target}`);
  const text = flags.get("ip");
  const addr = text === "" ? 0 : parseIp4(text);
  if (addr === null) throw new DockerError(`invalid IPv4 address: ${text}`);
  const aliases = [...flags.list("alias"), ...flags.list("network-alias"), ...flags.list("net-alias")];
  return { target, addr, aliases };
}

export const networkConnect: DockerCommand = {
  path: "docker network connect",
  usage: "[OPTIONS] NETWORK CONTAINER",
  short: "Connect a container to a network",
  flags: ["ip=", "alias=", "ip6=!", "link=!", "link-local-ip=!", "driver-opt=!"],
  min: 2,
  max: 2,
  *run(flags, context): Co<ToolOutput> {
    const [target, reference] = flags.args;
    const request = networkRequest(flags, target);
    yield* connectToNetwork(context.engine, need(reference, context), request);
    return ok("");
  },
};

export const networkDisconnect: DockerCommand = {
  path: "docker network disconnect",
  usage: "[OPTIONS] NETWORK CONTAINER",
  short: "Disconnect a container from a network",
  flags: ["force,f"],
  min: 2,
  max: 2,
  run(flags, context): ToolOutput {
    const [target, reference] = flags.args;
    disconnectFromNetwork(context.engine, need(reference, context), target);
    return ok("");
  },
};

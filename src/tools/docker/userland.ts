/** What a process finds inside a container: the files that Docker puts there, its resolver, the image's commands. */
import type { Machine } from "../../host/machine.ts";
import type { ResolverConfig } from "../../host/resolver.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import type { Container } from "../../swarm/container.ts";
import { engineOf } from "../../swarm/engine.ts";
import { externalServers } from "../../swarm/network/resolver.ts";
import type { Endpoint } from "../../swarm/network/types.ts";
import { MountedFiles, mountedFolders } from "../../swarm/volumes.ts";
import { formatIp4 } from "../../wire/address.ts";
import { APPLETS } from "../busybox/applets.ts";
import type { Userland } from "../tool.ts";

const EMBEDDED_DNS = (127 << 24) | 11;
const NO_TOOLS: Userland["tools"] = new Map();

/** The first lines of /etc/hosts. */
const LOCAL_HOSTS =
  "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n" +
  "ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

const files = new WeakMap<Container, Map<string, string>>();

function filesOf(container: Container, machine: Machine): Map<string, string> {
  let own = files.get(container);
  if (own === undefined) {
    own = new MountedFiles(mountedFolders(container.options.mounts, engineOf(machine)!.volumes));
    own.set("/etc/hostname", `${hostnameOf(container)}\n`);
    files.set(container, own);
  }
  own.set(
    "/etc/hosts",
    LOCAL_HOSTS +
      ownAddresses(container)
        .map((addr) => `${formatIp4(addr)}\t${hostnameOf(container)}\n`)
        .join(""),
  );
  return own;
}

function hostnameOf(container: Container): string {
  return container.options.hostname || container.shortId;
}

function endpointsOf(container: Container): readonly Endpoint[] {
  return container.sandbox?.endpoints.filter((endpoint) => !endpoint.isGatewayBridge) ?? [];
}

/** Addresses that /etc/hosts gives to the host name: those on ingress only when there are no others. */
function ownAddresses(container: Container): number[] {
  const endpoints = endpointsOf(container);
  const named = endpoints.filter((endpoint) => !endpoint.network.ingress);
  return (named.length > 0 ? named : endpoints).map(({ addr }) => addr);
}

/** Name servers and own address: the embedded server on every network but the default bridge. */
function resolverOf(container: Container, machine: Machine): ResolverConfig {
  const endpoints = endpointsOf(container);
  const own = ownAddresses(container).slice(0, 1);
  const hosts = new Map(own.map((addr) => [hostnameOf(container).toLowerCase(), addr]));
  if (endpoints.every((endpoint) => endpoint.network.name === "bridge"))
    return { nameservers: externalServers(machine), hosts };
  return { nameservers: [EMBEDDED_DNS], ndots: 0, hosts };
}

export function userlandOf(container: Container, machine: Machine): Userland {
  return {
    tools: container.options.spec.busybox ? APPLETS : NO_TOOLS,
    resolver: resolverOf(container, machine),
    files: filesOf(container, machine),
  };
}

/** The userland of the container that owns a namespace, null when none does. */
export function userlandIn(machine: Machine, ns: NetNs): Userland | null {
  const container = engineOf(machine)?.containers.find((candidate) => candidate.ns === ns);
  return container === undefined ? null : userlandOf(container, machine);
}

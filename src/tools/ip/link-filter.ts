/** Which devices `ip link show` and `ip addr show` are about (the filter of iproute2 ip/ipaddress.c). */
import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { type Cidr, parseCidr } from "../../wire/address.ts";

export interface LinkFilter {
  dev: NetDevice | null;
  up: boolean;
  master: NetDevice | null;
  noMaster: boolean;
  kind: string | null;
  scope: string | null;
  label: string | null;
  to: Cidr | null;
}

/** Reads `[dev] NAME | up | master NAME | type KIND | ...`. A name that is not there: "Device does not exist". */
export function parseLinkFilter(argv: readonly string[], ns: NetNs): LinkFilter {
  const filter: LinkFilter = {
    dev: null,
    up: false,
    master: null,
    noMaster: false,
    kind: null,
    scope: null,
    label: null,
    to: null,
  };
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (word === "up") filter.up = true;
    else if (word === "nomaster") filter.noMaster = true;
    else if (word === "master") filter.master = device(argv[++i], ns);
    else if (word === "type") filter.kind = argv[++i];
    else if (word === "scope") filter.scope = argv[++i];
    else if (word === "label") filter.label = argv[++i];
    else if (word === "to") filter.to = parseCidr(argv[++i]);
    else if (["dynamic", "permanent", "primary", "secondary", "group", "vrf"].includes(word))
      throw new NotModelledError(`ip show ${word}`);
    else filter.dev = device(word === "dev" ? argv[++i] : word, ns);
  }
  return filter;
}

function device(name: string | undefined, ns: NetNs): NetDevice {
  if (name === undefined) throw new UsageError('Command line is not complete. Try option "help"', 255);
  const dev = ns.device(name);
  if (dev === undefined) throw new UsageError(`Device "${name}" does not exist.`, 1);
  return dev;
}

export function linksOf(ns: NetNs, filter: LinkFilter): NetDevice[] {
  return ns.devices().filter((dev) => {
    if (filter.dev !== null && dev !== filter.dev) return false;
    if (filter.up && !dev.isUp) return false;
    if (filter.master !== null && dev.master !== filter.master) return false;
    if (filter.noMaster && dev.master !== null) return false;
    if (filter.kind === "bridge_slave") return dev.master !== null;
    return filter.kind === null || dev.ops.kind === filter.kind;
  });
}

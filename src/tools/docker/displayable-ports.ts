/** Ports of a container as `docker ps` and `docker port` show them (cli/command/formatter/container.go). */
import type { Container } from "../../swarm/container.ts";
import type { PortConfig } from "../../swarm/manager/objects.ts";
import { formatIp4 } from "../../wire/address.ts";

interface ShownPort {
  /** "": the port is named only. */
  readonly ip: string;
  readonly inside: number;
  readonly outside: number;
  readonly protocol: string;
}

/** Where a port is on the host: one address, or all of IPv4 and of IPv6. */
export function hostAddresses({ hostIp }: PortConfig): string[] {
  return hostIp === undefined ? ["0.0.0.0", "::"] : [formatIp4(hostIp)];
}

function shownPorts({ options, mappedPorts, sandbox }: Container): ShownPort[] {
  if (sandbox === null) return [];
  const mapped = mappedPorts.flatMap((port) =>
    hostAddresses(port).map((ip) => ({
      ip,
      inside: port.targetPort,
      outside: port.publishedPort,
      protocol: port.protocol,
    })),
  );
  const named = options.exposed.map((name) => {
    const [inside, protocol] = name.split("/");
    return { ip: "", inside: Number(inside), outside: 0, protocol };
  });
  const isMapped = (one: ShownPort): boolean =>
    mapped.some(({ inside, protocol }) => inside === one.inside && protocol === one.protocol);
  return [...mapped, ...named.filter((one) => !isMapped(one))];
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function compare(a: ShownPort, b: ShownPort): number {
  return a.inside - b.inside || byText(a.ip, b.ip) || a.outside - b.outside || byText(a.protocol, b.protocol);
}

/** Neighbours that keep their numbers stand as one range; those that change them follow one by one. */
export function displayablePorts(container: Container): string {
  const groups = new Map<string, { port: ShownPort; first: number; last: number }>();
  const shown: string[] = [];
  const changed: string[] = [];
  for (const port of shownPorts(container).sort(compare)) {
    const { ip, inside, outside, protocol } = port;
    if (ip !== "" && outside !== inside) {
      changed.push(`${ip}:${outside}->${inside}/${protocol}`);
      continue;
    }
    const key = `${ip}/${protocol}`;
    const group = groups.get(key);
    if (group !== undefined && inside === group.last + 1) {
      group.last = inside;
      continue;
    }
    if (group !== undefined) shown.push(groupText(group));
    // In its place in the order of the first port of its kind.
    groups.set(key, { port, first: inside, last: inside });
  }
  return [...shown, ...[...groups.values()].map(groupText), ...changed].join(", ");
}

function groupText({ port, first, last }: { port: ShownPort; first: number; last: number }): string {
  const range = first === last ? String(first) : `${first}-${last}`;
  return `${port.ip === "" ? range : `${port.ip}:${range}->${range}`}/${port.protocol}`;
}

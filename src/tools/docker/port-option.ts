/** Values of `--publish` (cli/opts/port.go, go-connections nat.ParsePortSpec). */
import type { PortConfig, Protocol } from "../../swarm/manager/objects.ts";
import { UsageError } from "../../util/errors.ts";
import { parseIp4 } from "../../wire/address.ts";

const MAX_PORT = 65535;
const PROTOCOLS: readonly string[] = ["tcp", "udp", "sctp"];

/** Makes the error of a value that is none. */
type Refuse = (why: string) => UsageError;

/** How the client words it while it reads its options. */
export const badOption =
  (text: string, option = "-p, --publish"): Refuse =>
  (why) =>
    new UsageError(`invalid argument "${text}" for "${option}" flag: ${why}\n`, 125);

/** `text` as the value of an option such as `-p, --publish`; the ports of a range one by one. Throws what `refuse` makes. */
export function parsePort(text: string, refuse: Refuse = badOption(text)): PortConfig[] {
  return text.includes("=") ? [longPort(text, refuse)] : shortPorts(text, refuse);
}

/** `8080:80/udp`, `80`, `8080-8081:80-81`, an address of the host in front (ignored by services). */
function shortPorts(text: string, refuse: Refuse): PortConfig[] {
  const [ports, protocol = "tcp"] = text.split("/");
  const parts = ports.split(":");
  const container = parts.at(-1)!;
  const host = parts.length > 1 ? parts.at(-2)! : "";
  const hostAddress = parts.slice(0, -2).join(":");
  if (hostAddress !== "" && parseIp4(hostAddress) === null)
    throw refuse(`Invalid ip address: ${hostAddress}`);
  if (container === "") throw refuse(`No port specified: ${text}<empty>`);
  const target = portRange(container);
  if (target === null) throw refuse(`Invalid containerPort: ${container}`);
  const published = host === "" ? null : portRange(host);
  if (published === null && host !== "") throw refuse(`Invalid hostPort: ${host}`);
  if (published !== null && published.count !== target.count)
    throw refuse(`Invalid ranges specified for container and host Ports: ${container} and ${host}`);
  if (!PROTOCOLS.includes(protocol.toLowerCase())) throw refuse(`Invalid proto: ${protocol}`);
  return Array.from({ length: target.count }, (_, i) => ({
    protocol: protocol.toLowerCase() as Protocol,
    targetPort: target.first + i,
    publishedPort: published === null ? 0 : published.first + i,
    mode: "ingress" as const,
  }));
}

/** `80`, `80-89`; null when it is neither. */
function portRange(text: string): { readonly first: number; readonly count: number } | null {
  const found = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (found === null) return null;
  const first = Number(found[1]);
  const last = Number(found[2] ?? found[1]);
  return last > MAX_PORT || last < first ? null : { first, count: last - first + 1 };
}

/** `mode=host,target=80,published=8081,protocol=udp`. */
function longPort(text: string, refuse: Refuse): PortConfig {
  const port = {
    protocol: "tcp" as Protocol,
    targetPort: 0,
    publishedPort: 0,
    mode: "ingress" as PortConfig["mode"],
  };
  for (const field of text.split(",")) {
    const [key, value] = field.split("=");
    if (value === undefined) throw refuse(`invalid field ${field}`);
    switch (key.toLowerCase()) {
      case "protocol":
        if (!PROTOCOLS.includes(value)) throw refuse(`invalid protocol value ${value}`);
        port.protocol = value as Protocol;
        break;
      case "mode":
        if (value !== "ingress" && value !== "host")
          throw refuse(`invalid publish mode value (${value}): must be either 'ingress' or 'host'`);
        port.mode = value;
        break;
      case "target":
        port.targetPort = port16(value, refuse);
        break;
      case "published":
        port.publishedPort = port16(value, refuse);
        break;
      default:
        throw refuse(`invalid field key ${key}`);
    }
  }
  if (port.targetPort === 0) throw refuse('missing mandatory field "target"');
  return port;
}

function port16(text: string, refuse: Refuse): number {
  if (!/^\d+$/.test(text)) throw refuse(`strconv.ParseUint: parsing "${text}": invalid syntax`);
  if (Number(text) > MAX_PORT) throw refuse(`strconv.ParseUint: parsing "${text}": value out of range`);
  return Number(text);
}

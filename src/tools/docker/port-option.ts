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

/** `text` as the value of an option such as `-p, --publish` of a service. Throws what `refuse` makes. */
export function parsePort(text: string, refuse: Refuse = badOption(text)): PortConfig[] {
  if (text.includes("=")) return [longPort(text, refuse)];
  const bindings = parseBinding(text, refuse);
  if (bindings.some(({ hostIp }) => hostIp !== undefined)) throw refuse("hostip is not supported");
  return bindings.flatMap(everyPort);
}

/** A port of a service: those of a range one by one, on all addresses of every node. */
export function everyPort({ hostIp: _, publishedLast = 0, ...port }: PortConfig): PortConfig[] {
  const count = Math.max(publishedLast - port.publishedPort, 0) + 1;
  return Array.from({ length: count }, (_, i) => ({ ...port, publishedPort: port.publishedPort + i }));
}

/** `8080:80/udp`, `80`, `8080-8081:80-81`, `8080-8089:80` (one of them), an address of the host in front. */
export function parseBinding(text: string, refuse: Refuse): PortConfig[] {
  const [ports, protocol = "tcp"] = text.split("/");
  const parts = ports.split(":");
  const container = parts.at(-1)!;
  const host = parts.length > 1 ? parts.at(-2)! : "";
  const hostAddress = parts.slice(0, -2).join(":");
  const hostIp = hostAddress === "" ? 0 : parseIp4(hostAddress);
  if (hostIp === null) throw refuse(`Invalid ip address: ${hostAddress}`);
  if (container === "") throw refuse(`No port specified: ${text}<empty>`);
  const target = portRange(container);
  if (target === null) throw refuse(`Invalid containerPort: ${container}`);
  const published = host === "" ? null : portRange(host);
  if (published === null && host !== "") throw refuse(`Invalid hostPort: ${host}`);
  const chooses = published !== null && published.count > 1 && target.count === 1;
  if (published !== null && !chooses && published.count !== target.count)
    throw refuse(`Invalid ranges specified for container and host Ports: ${container} and ${host}`);
  if (!PROTOCOLS.includes(protocol.toLowerCase())) throw refuse(`Invalid proto: ${protocol}`);
  return Array.from({ length: target.count }, (_, i) => ({
    protocol: protocol.toLowerCase() as Protocol,
    targetPort: target.first + i,
    publishedPort: published === null ? 0 : published.first + i,
    mode: "ingress" as const,
    ...(hostAddress === "" ? {} : { hostIp }),
    ...(chooses ? { publishedLast: published.first + published.count - 1 } : {}),
  }));
}

/** `80`, `80-89/udp`: what `--expose` names, one by one as `80/tcp`. */
export function exposedPorts(text: string, refuse: Refuse): string[] {
  if (text.includes(":")) throw refuse(`invalid port format for --expose: ${text}`);
  const [ports, protocol = "tcp"] = text.split("/");
  const range = portRange(ports);
  if (range === null) {
    const bad = ports.split("-").find((part) => !/^\d+$/.test(part) || Number(part) > MAX_PORT);
    const why =
      bad === undefined
        ? `Invalid range specified for the Port: ${ports}`
        : `strconv.ParseUint: parsing "${bad}": ${/^\d+$/.test(bad) ? "value out of range" : "invalid syntax"}`;
    throw refuse(`invalid range format for --expose: ${ports}, error: ${why}`);
  }
  if (!PROTOCOLS.includes(protocol.toLowerCase())) throw refuse(`invalid proto: ${protocol}`);
  return Array.from({ length: range.count }, (_, i) => `${range.first + i}/${protocol.toLowerCase()}`);
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
    const at = field.indexOf("=");
    if (at < 0) throw refuse(`invalid field ${field}`);
    const key = field.slice(0, at).toLowerCase();
    const value = field.slice(at + 1).toLowerCase();
    switch (key) {
      case "protocol":
        if (!PROTOCOLS.includes(value)) throw refuse(`invalid protocol value ${value}`);
        port.protocol = value as Protocol;
        break;
      case "mode":
        if (value !== "ingress" && value !== "host") throw refuse(`invalid publish mode value ${value}`);
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

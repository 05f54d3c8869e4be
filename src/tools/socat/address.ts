/** Addresses of `socat` 1.7.4: `TYPE:PARAMETERS,OPTION,OPTION=VALUE`. */
import type { PmtuDiscovery } from "../../net/ipv4/sock.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { parseIp4 } from "../../wire/address.ts";

export interface SocketOptions {
  bindAddr: number;
  bindPort: number;
  discovery: PmtuDiscovery | -1;
  ttl: number;
  tos: number;
  /** SO_LINGER with time 0: a connection ends with RST. */
  reset: boolean;
  /** Serves one peer after the other. */
  fork: boolean;
  device: string;
}

export type Address =
  | { readonly kind: "stdio" }
  | { readonly kind: "pipe" }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly append: boolean;
      readonly truncate: boolean;
      /** -1: to the end. */
      readonly readBytes: number;
    }
  | {
      readonly kind: "tcp" | "udp" | "udp-sendto";
      readonly addr: number;
      readonly port: number;
      readonly options: SocketOptions;
    }
  | {
      readonly kind: "tcp-listen" | "udp-listen" | "udp-recv";
      readonly port: number;
      readonly options: SocketOptions;
    };

export function usage(text: string): UsageError {
  return new UsageError(`socat[1] E ${text}`, 1);
}

/** The kinds by their names. */
const KINDS: ReadonlyMap<string, Address["kind"]> = new Map([
  ...["-", "STDIO", "STDIN", "STDOUT"].map((name) => [name, "stdio"] as const),
  ...["OPEN", "FILE", "GOPEN", "CREATE", "CREAT"].map((name) => [name, "file"] as const),
  ...["PIPE", "FIFO", "ECHO"].map((name) => [name, "pipe"] as const),
  ...["TCP", "TCP4", "TCP-CONNECT", "TCP4-CONNECT"].map((name) => [name, "tcp"] as const),
  ...["TCP-LISTEN", "TCP4-LISTEN", "TCP-L", "TCP4-L"].map((name) => [name, "tcp-listen"] as const),
  ...["UDP", "UDP4", "UDP-CONNECT", "UDP4-CONNECT"].map((name) => [name, "udp"] as const),
  ...["UDP-LISTEN", "UDP4-LISTEN", "UDP-L", "UDP4-L"].map((name) => [name, "udp-listen"] as const),
  ...["UDP-RECV", "UDP4-RECV", "UDP-RECVFROM", "UDP4-RECVFROM"].map((name) => [name, "udp-recv"] as const),
  ...["UDP-SENDTO", "UDP4-SENDTO", "UDP-DATAGRAM", "UDP4-DATAGRAM"].map(
    (name) => [name, "udp-sendto"] as const,
  ),
]);
/** Options of sockets and files that change nothing here. */
const IDLE: ReadonlySet<string> = new Set(
  "reuseaddr reuseport wronly rdonly rdwr create creat nonblock pf ip4 shut-none crlf crnl null-eof keepalive nodelay".split(
    " ",
  ),
);

export function parseAddress(text: string): Address {
  const [address, ...options] = text.split(",");
  const [name, ...parameters] = address.split(":");
  const kind = KINDS.get(name.toUpperCase()) ?? (address.includes("/") ? "file" : undefined);
  switch (kind) {
    case undefined:
      throw new NotModelledError(`socat ${name}`);
    case "stdio":
    case "pipe":
      return { kind };
    case "file":
      return fileAddress(KINDS.has(name.toUpperCase()) ? parameters.join(":") : address, options);
    case "tcp-listen":
    case "udp-listen":
    case "udp-recv":
      return { kind, port: portOf(parameters[0] ?? ""), options: socketOptions(options) };
    default: {
      const [host = "", port = ""] = parameters;
      return { kind, addr: addressOf(host), port: portOf(port), options: socketOptions(options) };
    }
  }
}

function fileAddress(path: string, options: readonly string[]): Address {
  let readBytes = -1;
  let append = false;
  let truncate = false;
  for (const option of options) {
    const [name, value = ""] = option.split("=");
    if (name === "readbytes") readBytes = Number(value);
    else if (name === "append") append = true;
    else if (name === "trunc") truncate = true;
    else if (!IDLE.has(name)) throw new NotModelledError(`socat option ${option}`);
  }
  return { kind: "file", path, append, truncate, readBytes };
}

function socketOptions(options: readonly string[]): SocketOptions {
  const found: SocketOptions = {
    bindAddr: 0,
    bindPort: 0,
    discovery: -1,
    ttl: 0,
    tos: 0,
    reset: false,
    fork: false,
    device: "",
  };
  for (const option of options) {
    const [name, value = ""] = option.split("=");
    if (name === "bind") {
      const [addr, own] = value.split(":");
      if (addr !== "") found.bindAddr = addressOf(addr);
      if (own !== undefined) found.bindPort = portOf(own);
    } else if (name === "sourceport" || name === "sp") found.bindPort = portOf(value);
    else if (name === "mtudiscover" && /^[0-3]$/.test(value))
      found.discovery = Number(value) as PmtuDiscovery;
    else if (name === "ttl" || name === "ip-ttl") found.ttl = Number(value);
    else if ((name === "linger" || name === "so-linger") && value === "0") found.reset = true;
    else if (name === "tos" || name === "ip-tos") found.tos = Number(value);
    else if (name === "so-bindtodevice" || name === "interface" || name === "if") found.device = value;
    else if (name === "fork") found.fork = true;
    else if (!IDLE.has(name)) throw new NotModelledError(`socat option ${option}`);
  }
  return found;
}

function addressOf(text: string): number {
  const addr = parseIp4(text === "localhost" ? "127.0.0.1" : text);
  if (addr === null) throw usage(`getaddrinfo("${text}", "NULL", {...}, {}): Name or service not known`);
  return addr;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw usage(`parseport("${text}"): invalid port`);
  return port;
}

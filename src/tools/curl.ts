/** `curl` 7.88.1 over plain HTTP: its requests, the texts of -v, its errors and exit statuses. */
import { asciiBytes } from "../host/ascii.ts";
import { type HttpResponse, readResponse } from "../host/http.ts";
import { type Co, sleep, work } from "../host/process.ts";
import { ResolveError, resolveHost } from "../host/resolver.ts";
import { closeSocket, connectTcp, sendTcp } from "../host/socket.ts";
import type { TcpSock } from "../net/ipv4/tcp-sock.ts";
import { NotModelledError, SysError, strerror } from "../util/errors.ts";
import { formatIp4, parseIp4 } from "../wire/address.ts";
import { type CurlArgs, parseCurl } from "./curl-args.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

const SEC = 1_000_000_000;
/**
 * Work of the program on the recorded machines, medians: from the connection to the request; on the head of a response, before
 * more of it is read; on each piece that is read then; from the last byte of it to the end of the connection.
 */
const REQUEST_NS = 2_500_000;
const HEAD_NS = 2_500_000;
const PIECE_NS = 700_000;
const CLEANUP_NS = 1_000_000;

interface Url {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** One transfer: what it printed, and what -w may ask for. */
interface Transfer {
  status: number;
  stdout: string;
  stderr: string;
  httpCode: number;
  size: number;
  startNs: number;
  connectNs: number;
  endNs: number;
  remoteIp: string;
  remotePort: number;
  localIp: string;
  localPort: number;
  url: string;
  error: string;
}

function parseUrl(text: string): Url | null {
  const match = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(?:[^/@]*@)?([^/:?#]+)(?::(\d+))?([/?][^#]*)?/i.exec(text);
  if (match === null) return null;
  const scheme = (match[1] ?? "http").toLowerCase();
  if (scheme !== "http") throw new NotModelledError(`curl ${scheme}://`);
  let path = match[4] ?? "/";
  if (path.startsWith("?")) path = `/${path}`;
  return { host: match[2], port: match[3] === undefined ? 80 : Number(match[3]), path };
}

class CurlError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = "CurlError";
    this.status = status;
  }
}

function millis(ns: number): number {
  return Math.floor(ns / 1e6);
}

function* addresses(args: CurlArgs, host: string, context: ToolContext): Co<number[]> {
  const fixed = args.resolve.find((entry) => entry.host === host);
  const literal = parseIp4(fixed?.addr ?? host);
  if (literal !== null) return [literal];
  try {
    return yield* resolveHost(context.process, host);
  } catch (error) {
    if (error instanceof ResolveError) throw new CurlError(6, `Could not resolve host: ${host}`);
    throw error;
  }
}

/** Connects to the first address that answers. */
function* connect(args: CurlArgs, url: Url, transfer: Transfer, context: ToolContext): Co<TcpSock> {
  const { sim } = context.machine.kernel;
  const overall = args.maxTimeSec > 0 ? transfer.startNs + args.maxTimeSec * SEC : Number.POSITIVE_INFINITY;
  const limit =
    args.connectTimeoutSec > 0
      ? transfer.startNs + args.connectTimeoutSec * SEC
      : transfer.startNs + 300 * SEC;
  const list = yield* addresses(args, url.host, context);
  let last: SysError | null = null;
  for (const addr of list) {
    if (args.verbose) transfer.stderr += `*   Trying ${formatIp4(addr)}:${url.port}...\n`;
    try {
      return yield* connectOne(args, addr, url.port, Math.min(overall, limit) - sim.now, context);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      last = error;
      if (args.verbose)
        transfer.stderr += `* connect to ${formatIp4(addr)} port ${url.port} failed: ${strerror(error.code)}\n`;
    }
    const spent = sim.now - transfer.startNs;
    if (sim.now >= overall)
      throw new CurlError(28, `Connection timed out after ${millis(spent)} milliseconds`);
    if (sim.now >= limit)
      throw new CurlError(
        28,
        `Failed to connect to ${url.host} port ${url.port} after ${millis(spent)} ms: Timeout was reached`,
      );
  }
  const text = `Failed to connect to ${url.host} port ${url.port} after ${millis(sim.now - transfer.startNs)} ms: `;
  throw last?.code === "ETIMEDOUT"
    ? new CurlError(28, `${text}Connection timed out`)
    : new CurlError(7, `${text}Couldn't connect to server`);
}

/** One address, with the source that was asked for. */
function* connectOne(
  args: CurlArgs,
  addr: number,
  port: number,
  timeoutNs: number,
  context: ToolContext,
): Co<TcpSock> {
  const saddr = args.interface === "" ? null : parseIp4(args.interface);
  const device = args.interface !== "" && saddr === null ? context.ns.device(args.interface) : undefined;
  if (args.interface !== "" && saddr === null && device === undefined)
    throw new CurlError(45, `Couldn't bind to '${args.interface}'`);
  const [low, high] = args.localPorts ?? [0, 0];
  for (let sport = low; ; sport++)
    try {
      return yield* connectTcp(context.process, addr, port, {
        timeoutNs,
        noDelay: true,
        saddr: saddr ?? 0,
        device,
        sport,
      });
    } catch (error) {
      if (!(error instanceof SysError) || (error.code !== "EADDRINUSE" && error.code !== "EADDRNOTAVAIL"))
        throw error;
      if (sport >= high)
        throw new CurlError(
          45,
          `bind failed with errno ${error.code === "EADDRINUSE" ? 98 : 99}: ${strerror(error.code)}`,
        );
    }
}

/** The request's text. */
function requestText(args: CurlArgs, url: Url): string {
  const method = args.method !== "" ? args.method : args.head ? "HEAD" : args.body !== null ? "POST" : "GET";
  const custom = new Map(args.headers.map((line) => [line.split(":")[0].toLowerCase(), line]));
  const lines = [`${method} ${url.path} HTTP/1.1`];
  const add = (name: string, value: string): void => {
    if (!custom.has(name.toLowerCase())) lines.push(`${name}: ${value}`);
  };
  const host = custom.get("host");
  lines.push(host ?? `Host: ${url.host}${url.port === 80 ? "" : `:${url.port}`}`);
  add("User-Agent", args.userAgent);
  add("Accept", "*/*");
  for (const [name, line] of custom) if (name !== "host" && !/:\s*$/.test(line)) lines.push(line);
  if (args.body !== null) {
    add("Content-Length", String(args.body.length));
    add("Content-Type", "application/x-www-form-urlencoded");
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function* exchange(args: CurlArgs, url: Url, sk: TcpSock, transfer: Transfer): Co<HttpResponse> {
  const { sim } = sk.ns.kernel;
  const request = requestText(args, url);
  if (args.verbose) transfer.stderr += quote(">", request);
  const deadlineNs =
    args.maxTimeSec > 0 ? transfer.startNs + args.maxTimeSec * SEC : Number.POSITIVE_INFINITY;
  const reader = { sk, deadlineNs, headNs: HEAD_NS, pieceNs: PIECE_NS, received: 0, pending: "" };
  try {
    yield* work(REQUEST_NS);
    yield* sendTcp(sk, asciiBytes(request + (args.body ?? "")));
    const response = yield* readResponse(reader, args.head);
    if (response === "timeout")
      throw new CurlError(
        28,
        `Operation timed out after ${millis(sim.now - transfer.startNs)} milliseconds with ${reader.received} bytes received`,
      );
    if (response === "empty") throw new CurlError(52, "Empty reply from server");
    return response;
  } catch (error) {
    if (error instanceof SysError) throw new CurlError(56, `Recv failure: ${strerror(error.code)}`);
    throw error;
  }
}

function quote(mark: string, text: string): string {
  return `${text
    .slice(0, -2)
    .split("\r\n")
    .map((line) => `${mark} ${line}\n`)
    .join("")}`;
}

/** Makes the text of one transfer's result. */
function finish(
  args: CurlArgs,
  response: HttpResponse,
  transfer: Transfer,
  output: string,
  context: ToolContext,
): void {
  transfer.httpCode = response.status;
  transfer.size = response.body.length;
  if (args.verbose) transfer.stderr += quote("<", response.head);
  if (args.fail && response.status >= 400)
    throw new CurlError(22, `The requested URL returned error: ${response.status}`);
  const text = (args.include || args.head ? response.head : "") + response.body;
  if (output === "" || output === "-") transfer.stdout += text;
  else if (output !== "/dev/null") context.files.set(output, text);
  if (response.missing > 0)
    throw new CurlError(18, `transfer closed with ${response.missing} bytes remaining to read`);
}

function* transferOne(args: CurlArgs, text: string, output: string, context: ToolContext): Co<Transfer> {
  const { sim } = context.machine.kernel;
  const transfer: Transfer = {
    status: 0,
    stdout: "",
    stderr: "",
    httpCode: 0,
    size: 0,
    startNs: sim.now,
    connectNs: 0,
    endNs: 0,
    remoteIp: "",
    remotePort: 0,
    localIp: "",
    localPort: 0,
    url: text,
    error: "",
  };
  let sk: TcpSock | null = null;
  try {
    const url = parseUrl(text);
    if (url === null) throw new CurlError(3, "URL using bad/illegal format or missing URL");
    sk = yield* connect(args, url, transfer, context);
    transfer.connectNs = sim.now - transfer.startNs;
    transfer.remoteIp = formatIp4(sk.daddr);
    transfer.remotePort = sk.dport;
    transfer.localIp = formatIp4(sk.saddr);
    transfer.localPort = sk.sport;
    if (args.verbose)
      transfer.stderr += `* Connected to ${url.host} (${transfer.remoteIp}) port ${url.port} (#0)\n`;
    const response = yield* exchange(args, url, sk, transfer);
    finish(args, response, transfer, output, context);
    transfer.endNs = sim.now - transfer.startNs;
    yield* work(CLEANUP_NS);
    if (args.verbose)
      transfer.stderr += response.close
        ? "* Closing connection 0\n"
        : `* Connection #0 to host ${url.host} left intact\n`;
  } catch (error) {
    if (!(error instanceof CurlError)) throw error;
    transfer.status = error.status;
    transfer.error = error.message;
    transfer.endNs = sim.now - transfer.startNs;
    if (args.verbose) transfer.stderr += `* ${error.message}\n* Closing connection 0\n`;
    if (!args.silent || args.showError) transfer.stderr += `curl: (${error.status}) ${error.message}\n`;
  } finally {
    if (sk !== null) closeSocket(context.process, sk);
  }
  if (args.writeOut !== "") transfer.stdout += writeOut(args.writeOut, transfer);
  return transfer;
}

/** The text of -w. */
function writeOut(format: string, t: Transfer): string {
  const values: Record<string, string> = {
    http_code: String(t.httpCode).padStart(3, "0"),
    response_code: String(t.httpCode).padStart(3, "0"),
    exitcode: String(t.status),
    errormsg: t.error,
    size_download: String(t.size),
    remote_ip: t.remoteIp,
    remote_port: String(t.remotePort),
    local_ip: t.localIp,
    local_port: String(t.localPort),
    time_total: (t.endNs / 1e9).toFixed(6),
    time_connect: (t.connectNs / 1e9).toFixed(6),
    url: t.url,
    url_effective: t.url,
  };
  return format
    .replace(/\\n/g, "\n")
    .replace(/\\t/g, "\t")
    .replace(/\\r/g, "\r")
    .replace(/%\{([a-z_]+)\}/g, (whole, name: string) => values[name] ?? whole)
    .replace(/%%/g, "%");
}

function* runCurl(args: CurlArgs, context: ToolContext): Co<ToolOutput> {
  let stdout = "";
  let stderr = "";
  let status = 0;
  for (const [i, url] of args.urls.entries()) {
    const output = args.outputs[i] ?? "";
    let wait = SEC;
    let transfer = yield* transferOne(args, url, output, context);
    for (let n = 0; n < args.retries && (transfer.status === 28 || transfer.httpCode >= 500); n++) {
      yield* sleep(wait);
      wait *= 2;
      transfer = yield* transferOne(args, url, output, context);
    }
    stdout += transfer.stdout;
    stderr += transfer.stderr;
    status = transfer.status;
  }
  return { stdout, stderr, status };
}

/** The command. */
export const curl: Tool<CurlArgs, ToolOutput> = {
  name: "curl",
  parse: parseCurl,
  run: runCurl,
  render: (result) => result,
};

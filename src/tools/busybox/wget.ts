/** `wget` of busybox 1.35 over plain HTTP (networking/wget.c). */
import { asciiBytes } from "../../host/ascii.ts";
import { type HttpResponse, readResponse } from "../../host/http.ts";
import { type Co, work } from "../../host/process.ts";
import { closeSocket, connectTcp, sendTcp } from "../../host/socket.ts";
import type { TcpSock } from "../../net/ipv4/tcp-sock.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import { OptionReader } from "../options.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { busyboxAddress, busyboxNumber } from "./lib.ts";

interface WgetArgs {
  urls: string[];
  quiet: boolean;
  spider: boolean;
  showHead: boolean;
  /** "": named after the URL; "-": standard output. */
  output: string;
  timeoutSec: number;
  headers: string[];
  userAgent: string;
  body: string | null;
}

interface Url {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

const SEC = 1_000_000_000;
/**
 * Work of the program on the recorded machines, medians: from the connection to the request; on the head of a response, before
 * the body is read; on each piece of the body; from the last byte of it to the end of the connection.
 */
const REQUEST_NS = 3_000_000;
const HEAD_NS = 3_000_000;
const PIECE_NS = 700_000;
const FINISH_NS = 1_000_000;
const LONG = {
  quiet: "q",
  spider: "spider",
  "server-response": "S",
  "output-document": "O",
  timeout: "T",
  header: "header:",
  "user-agent": "U",
  "post-data": "post-data:",
  "no-check-certificate": "no-check-certificate",
};

function parse(argv: readonly string[]): WgetArgs {
  const args: WgetArgs = {
    urls: [],
    quiet: false,
    spider: false,
    showHead: false,
    output: "",
    timeoutSec: 900,
    headers: [],
    userAgent: "Wget",
    body: null,
  };
  const reader = new OptionReader("wget", argv, "cqSO:o:P:T:U:Y:t:", 1, LONG);
  for (const { option, value } of reader.options())
    if (option === "q") args.quiet = true;
    else if (option === "S") args.showHead = true;
    else if (option === "spider") args.spider = true;
    else if (option === "O") args.output = value;
    else if (option === "T") args.timeoutSec = busyboxNumber("wget", value);
    else if (option === "U") args.userAgent = value;
    else if (option === "header") args.headers.push(value);
    else if (option === "post-data") args.body = value;
    else if (option === "c" || option === "P" || option === "o")
      throw new NotModelledError(`wget -${option}`);
  args.urls = reader.rest;
  if (args.urls.length === 0) throw new UsageError("Usage: wget [-cqS] [--spider] [-O FILE] URL...", 1);
  return args;
}

function parseUrl(text: string): Url {
  const match = /^(?:([a-z]+):\/\/)?([^/:?#]+)(?::(\d+))?([/?][^#]*)?/i.exec(text);
  if (match === null) throw new UsageError(`wget: not an http or ftp url: ${text}`, 1);
  const scheme = (match[1] ?? "http").toLowerCase();
  if (scheme === "https" || scheme === "ftp") throw new NotModelledError(`wget ${scheme}://`);
  if (scheme !== "http") throw new UsageError(`wget: not an http or ftp url: ${text}`, 1);
  const path = match[4] ?? "/";
  const port = match[3] === undefined ? 80 : Number(match[3]);
  return { host: match[2], port, path: path.startsWith("?") ? `/${path}` : path };
}

function requestText(args: WgetArgs, url: Url): string {
  const method = args.body !== null ? "POST" : args.spider ? "HEAD" : "GET";
  const has = (name: string): boolean =>
    args.headers.some((line) => line.toLowerCase().startsWith(`${name}:`));
  const lines = [`${method} ${url.path} HTTP/1.1`];
  if (!has("host")) lines.push(`Host: ${url.host}${url.port === 80 ? "" : `:${url.port}`}`);
  if (!has("user-agent")) lines.push(`User-Agent: ${args.userAgent}`);
  lines.push("Connection: close", ...args.headers);
  if (args.body !== null) {
    if (!has("content-type")) lines.push("Content-Type: application/x-www-form-urlencoded");
    lines.push(`Content-Length: ${args.body.length}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n${args.body ?? ""}`;
}

/** A failure in the applet's words. */
function die(text: string): UsageError {
  return new UsageError(`wget: ${text}`, 1);
}

function* connect(args: WgetArgs, url: Url, addr: number, context: ToolContext): Co<TcpSock> {
  const { sim } = context.machine.kernel;
  const end = sim.now + args.timeoutSec * SEC;
  try {
    return yield* connectTcp(context.process, addr, url.port, { timeoutNs: args.timeoutSec * SEC });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.code === "ETIMEDOUT" && sim.now >= end) throw die("download timed out");
    throw die(`can't connect to remote host (${formatIp4(addr)}): ${strerror(error.code)}`);
  }
}

function* exchange(args: WgetArgs, url: Url, sk: TcpSock): Co<HttpResponse> {
  const deadlineNs = sk.ns.kernel.sim.now + args.timeoutSec * SEC;
  let response: HttpResponse | "empty" | "timeout";
  try {
    yield* work(REQUEST_NS);
    yield* sendTcp(sk, asciiBytes(requestText(args, url)));
    response = yield* readResponse(
      { sk, deadlineNs, headNs: HEAD_NS, pieceNs: PIECE_NS, received: 0, pending: "" },
      args.spider,
    );
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw die(`error getting response: ${strerror(error.code)}`);
  }
  if (response === "timeout") throw die("download timed out");
  if (response === "empty") throw die("error getting response");
  if (response.status >= 300)
    throw die(`server returned error: ${response.head.slice(0, response.head.indexOf("\r\n"))}`);
  return response;
}

/** The last state of the progress meter. */
function progress(name: string, size: number): string {
  const bar = "*".repeat(32);
  return `${name.slice(0, 20).padEnd(20)} 100% |${bar}| ${String(size).padStart(5)}  0:00:00 ETA\n`;
}

/** Puts the body where it belongs; returns what is told about it. */
function save(args: WgetArgs, url: Url, body: string, context: ToolContext, out: string[]): string {
  if (args.spider) return args.quiet ? "" : "remote file exists\n";
  const last = url.path.replace(/[?#].*$/, "").replace(/^.*\//, "");
  const name = args.output !== "" ? args.output : last === "" ? "index.html" : last;
  if (name === "-") out.push(body);
  else if (name !== "/dev/null") context.files.set(name, body);
  if (args.quiet) return "";
  return name === "-"
    ? `writing to stdout\n${progress("-", body.length)}written to stdout\n`
    : `saving to '${name}'\n${progress(name, body.length)}'${name}' saved\n`;
}

function* run(args: WgetArgs, context: ToolContext): Co<ToolOutput> {
  const out: string[] = [];
  let stderr = "";
  try {
    for (const text of args.urls) {
      const url = parseUrl(text);
      const addr = yield* busyboxAddress("wget", url.host, context.process);
      if (!args.quiet) stderr += `Connecting to ${url.host} (${formatIp4(addr)}:${url.port})\n`;
      const sk = yield* connect(args, url, addr, context);
      try {
        const response = yield* exchange(args, url, sk);
        if (args.showHead)
          stderr += response.head.replace(/\r\n$/, "").replace(/^/gm, "  ").replace(/\r/g, "");
        stderr += save(args, url, response.body, context, out);
        yield* work(FINISH_NS);
      } finally {
        closeSocket(context.process, sk);
      }
    }
    return { stdout: out.join(""), stderr, status: 0 };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { stdout: out.join(""), stderr: `${stderr}${error.message}\n`, status: error.status };
  }
}

export const busyboxWget: Tool<WgetArgs, ToolOutput> = {
  name: "wget",
  parse: (argv) => parse(argv),
  run,
  render: (output) => output,
};

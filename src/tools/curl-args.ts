/** The words of curl 7.88.1 that are understood. */
import { NotModelledError, UsageError } from "../util/errors.ts";
import { OptionReader, type ReadOption } from "./options.ts";
import type { ToolContext } from "./tool.ts";

export interface CurlArgs {
  readonly urls: string[];
  silent: boolean;
  showError: boolean;
  verbose: boolean;
  include: boolean;
  head: boolean;
  fail: boolean;
  method: string;
  body: string | null;
  readonly headers: string[];
  userAgent: string;
  readonly outputs: string[];
  writeOut: string;
  /** Seconds, 0 none. */
  maxTimeSec: number;
  connectTimeoutSec: number;
  retries: number;
  localPorts: [number, number] | null;
  interface: string;
  readonly resolve: { readonly host: string; readonly addr: string }[];
}

const LONGS: Record<string, string> = {
  silent: "s",
  "show-error": "S",
  verbose: "v",
  output: "o",
  "write-out": "w",
  include: "i",
  head: "I",
  request: "X",
  data: "d",
  "data-binary": "data-binary:",
  "data-raw": "data-raw:",
  header: "H",
  "user-agent": "A",
  "max-time": "m",
  "connect-timeout": "connect-timeout:",
  "local-port": "local-port:",
  interface: "interface:",
  retry: "retry:",
  fail: "f",
  insecure: "k",
  location: "L",
  ipv4: "4",
  "no-buffer": "N",
  "no-progress-meter": "no-progress-meter",
  "tcp-nodelay": "tcp-nodelay",
  "http1.1": "http1.1",
  url: "url:",
  resolve: "resolve:",
};

/** Options that exist and are left out. */
const LEFT_OUT = new Set([
  ..."abBcCDeEFgGjJKlMnOpPqQrRtTuUxyYzZ#0123",
  "cookie",
  "cookie-jar",
  "form",
  "get",
  "globoff",
  "http1.0",
  "http2",
  "keepalive-time",
  "no-keepalive",
  "limit-rate",
  "parallel",
  "proxy",
  "remote-name",
  "upload-file",
  "user",
]);

const IGNORED = new Set(["k", "L", "4", "N", "no-progress-meter", "tcp-nodelay", "http1.1"]);

export function parseCurl(argv: readonly string[], context: ToolContext): CurlArgs {
  const args: CurlArgs = {
    urls: [],
    silent: false,
    showError: false,
    verbose: false,
    include: false,
    head: false,
    fail: false,
    method: "",
    body: null,
    headers: [],
    userAgent: "curl/7.88.1",
    outputs: [],
    writeOut: "",
    maxTimeSec: 0,
    connectTimeoutSec: 0,
    retries: 0,
    localPorts: null,
    interface: "",
    resolve: [],
  };
  const reader = new OptionReader("curl", argv, "sSvo:w:iIX:d:H:A:m:fkL4N", 2, LONGS);
  for (const { option, value } of readOptions(reader)) setOption(args, option, value, context);
  args.urls.push(...reader.rest);
  if (args.urls.length === 0)
    throw new UsageError("curl: try 'curl --help' or 'curl --manual' for more information", 2);
  return args;
}

/** curl has words of its own for an option that it does not know. */
function readOptions(reader: OptionReader): ReadOption[] {
  try {
    return reader.options();
  } catch (error) {
    const unknown =
      error instanceof UsageError
        ? /(?:unrecognized option '--|invalid option -- ')(.+)'$/.exec(error.message)
        : null;
    if (unknown === null) throw error;
    const [, name] = unknown;
    if (LEFT_OUT.has(name)) throw new NotModelledError(`curl ${name.length === 1 ? "-" : "--"}${name}`);
    throw new UsageError(
      `curl: option ${name.length === 1 ? "-" : "--"}${name}: is unknown\ncurl: try 'curl --help' or 'curl --manual' for more information`,
      2,
    );
  }
}

function setOption(args: CurlArgs, option: string, value: string, context: ToolContext): void {
  if (IGNORED.has(option)) return;
  if (option === "s") args.silent = true;
  else if (option === "S") args.showError = true;
  else if (option === "v") args.verbose = true;
  else if (option === "o") args.outputs.push(value);
  else if (option === "w") args.writeOut = value;
  else if (option === "i") args.include = true;
  else if (option === "I") args.head = true;
  else if (option === "f") args.fail = true;
  else if (option === "X") args.method = value;
  else if (option === "d" || option === "data-binary" || option === "data-raw")
    addBody(args, option, value, context);
  else if (option === "H") args.headers.push(value);
  else if (option === "A") args.userAgent = value;
  else if (option === "m") args.maxTimeSec = seconds("--max-time", value);
  else if (option === "url") args.urls.push(value);
  else setLong(args, option, value);
}

function setLong(args: CurlArgs, option: string, value: string): void {
  if (option === "connect-timeout") args.connectTimeoutSec = seconds("--connect-timeout", value);
  else if (option === "interface") args.interface = value;
  else if (option === "retry") args.retries = seconds("--retry", value);
  else if (option === "local-port") {
    const [low, high] = value.split("-").map((text) => Number(text.trim()));
    if (!Number.isInteger(low) || low < 1 || low > 65535) throw badNumber("--local-port");
    args.localPorts = [low, high || low];
  } else if (option === "resolve") {
    const [host, , addr] = value.split(":");
    args.resolve.push({ host, addr });
  } else throw new NotModelledError(`curl --${option}`);
}

function addBody(args: CurlArgs, option: string, value: string, context: ToolContext): void {
  let text = value;
  if (value.startsWith("@") && option !== "data-raw") {
    const name = value.slice(1);
    text = name === "-" ? context.stdin : (context.files.get(name) ?? "");
    if (option === "d") text = text.replace(/[\r\n]/g, "");
  }
  args.body = args.body === null ? text : `${args.body}&${text}`;
}

function seconds(option: string, text: string): number {
  const value = Number(text);
  if (text === "" || Number.isNaN(value) || value < 0) throw badNumber(option);
  return value;
}

function badNumber(option: string): UsageError {
  return new UsageError(
    `curl: option ${option}: expected a proper numerical parameter\ncurl: try 'curl --help' or 'curl --manual' for more information`,
    2,
  );
}

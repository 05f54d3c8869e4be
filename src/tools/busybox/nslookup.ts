/** `nslookup` of busybox 1.35 (networking/nslookup.c, the big one): A and AAAA, or PTR, or the types of -type. */
import { type Co, giveWay } from "../../host/process.ts";
import { resolverConfigOf } from "../../host/resolver.ts";
import { closeSocket, openUdp, recvUdp } from "../../host/socket.ts";
import { sockOf } from "../../net/ipv4/sock.ts";
import { SysError, strerror, UsageError } from "../../util/errors.ts";
import { formatIp4, parseIp4 } from "../../wire/address.ts";
import {
  DNS_A,
  DNS_AA,
  DNS_AAAA,
  DNS_CLASS_IN,
  DNS_CNAME,
  DNS_MX,
  DNS_NS,
  DNS_PTR,
  DNS_QR,
  DNS_RD,
  DNS_SOA,
  DNS_SRV,
  DNS_TXT,
  type DnsMessage,
  type DnsRecord,
  decodeDns,
  dnsRcode,
  encodeDns,
} from "../../wire/dns.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { busyboxAddress } from "./lib.ts";

interface NslookupArgs {
  names: string[];
  server: string;
  types: number[];
  port: number;
  retries: number;
  timeoutSec: number;
}

const TYPES: Readonly<Record<string, number>> = {
  A: DNS_A,
  NS: DNS_NS,
  CNAME: DNS_CNAME,
  SOA: DNS_SOA,
  PTR: DNS_PTR,
  MX: DNS_MX,
  TXT: DNS_TXT,
  AAAA: DNS_AAAA,
  SRV: DNS_SRV,
};
const RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
const SEC = 1_000_000_000;

function parse(argv: readonly string[]): NslookupArgs {
  const args: NslookupArgs = { names: [], server: "", types: [], port: 53, retries: 2, timeoutSec: 5 };
  const words: string[] = [];
  for (const word of argv) {
    const option = /^-(type|query|querytype|qt|q|ty|port|po|retry|timeout)=(.*)$/.exec(word);
    if (option === null) {
      if (word.startsWith("-") && word !== "-debug")
        throw new UsageError(`nslookup: invalid option ${word}`, 1);
      if (word !== "-debug") words.push(word);
    } else setOption(args, option[1], option[2]);
  }
  if (words.length === 0 || words.length > 2)
    throw new UsageError("Usage: nslookup [-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]", 1);
  args.names = [words[0]];
  args.server = words[1] ?? "";
  return args;
}

function setOption(args: NslookupArgs, name: string, value: string): void {
  if (name.startsWith("po")) args.port = Number(value);
  else if (name === "retry") args.retries = Number(value);
  else if (name === "timeout") args.timeoutSec = Number(value);
  else {
    const type = TYPES[value.toUpperCase()];
    if (type === undefined) throw new UsageError(`nslookup: invalid query type "${value}"`, 1);
    args.types.push(type);
  }
}

interface Query {
  readonly name: string;
  readonly message: DnsMessage;
  reply: DnsMessage | null;
}

function queriesOf(args: NslookupArgs, context: ToolContext): Query[] {
  const prng = sockOf(context.ns).prng;
  const host = args.names[0];
  const literal = parseIp4(host) !== null;
  const types = args.types.length > 0 ? args.types : literal ? [DNS_PTR] : [DNS_A, DNS_AAAA];
  const name = literal && types[0] === DNS_PTR ? `${host.split(".").reverse().join(".")}.in-addr.arpa` : host;
  return types.map((type) => ({
    name,
    message: {
      id: context.machine.queryId(prng),
      flags: DNS_RD,
      questions: [{ name: name.endsWith(".") ? name : `${name}.`, type, class: DNS_CLASS_IN }],
      answers: [],
      authorities: [],
      additionals: [],
    },
    reply: null,
  }));
}

/** Asks everything again every `timeout / retries` seconds until all is answered; how many answers came. */
function* ask(
  queries: readonly Query[],
  server: number,
  args: NslookupArgs,
  context: ToolContext,
): Co<number> {
  const { sim } = context.machine.kernel;
  const end = sim.now + args.timeoutSec * SEC;
  const interval = Math.floor((args.timeoutSec * SEC) / args.retries);
  const sk = openUdp(context.process);
  let answered = 0;
  try {
    sk.connect(server, args.port);
    let slept = false;
    for (let next = sim.now; answered < queries.length && sim.now < end; ) {
      if (sim.now >= next) {
        next = sim.now + interval;
        for (const query of queries) {
          if (query.reply !== null) continue;
          sk.send(encodeDns(query.message, false));
          // A process that has just slept for long keeps the processor; one that has run gives it to whom it wakes.
          if (!slept) yield* giveWay();
        }
      }
      slept = true;
      const datagram = yield* recvUdp(sk, Math.min(next, end) - sim.now);
      const message = datagram === null ? null : decodeDns(datagram.data);
      if (message === null || (message.flags & DNS_QR) === 0) continue;
      const query = queries.find((one) => one.reply === null && one.message.id === message.id);
      if (query === undefined) continue;
      query.reply = message;
      answered++;
    }
    return answered;
  } finally {
    closeSocket(context.process, sk);
  }
}

function plain(name: string): string {
  return name.replace(/\.$/, "");
}

function recordText({ name, type, data }: DnsRecord): string {
  const owner = plain(name);
  switch (data.kind) {
    case "a":
      return `Name:\t${owner}\nAddress: ${formatIp4(data.addr)}\n`;
    case "aaaa":
      return `Name:\t${owner}\nAddress: ${data.words.map((word) => word.toString(16)).join(":")}\n`;
    case "name": {
      const word = type === DNS_PTR ? "name" : type === DNS_NS ? "nameserver" : "canonical name";
      return `${owner}\t${word} = ${plain(data.name)}\n`;
    }
    case "mx":
      return `${owner}\tmail exchanger = ${data.preference} ${plain(data.exchange)}\n`;
    case "txt":
      return `${owner}\ttext = "${data.texts[0] ?? ""}"\n`;
    case "srv":
      return `${owner}\tservice = ${data.priority} ${data.weight} ${data.port} ${plain(data.target)}\n`;
    case "soa": {
      const [serial, refresh, retry, expire, minimum] = data.times;
      return `${owner}\n\torigin = ${plain(data.mname)}\n\tmail addr = ${plain(data.rname)}\n\tserial = ${serial}\n\trefresh = ${refresh}\n\tretry = ${retry}\n\texpire = ${expire}\n\tminimum = ${minimum}\n`;
    }
    case "raw":
      return "";
  }
}

function queryText({ name, reply }: Query): string {
  if (reply === null) return `*** Can't find ${name}: No answer\n\n`;
  const rcode = dnsRcode(reply.flags);
  if (rcode !== 0) return `** server can't find ${name}: ${RCODES[rcode] ?? rcode}\n\n`;
  const source = (reply.flags & DNS_AA) === 0 ? "Non-authoritative answer:\n" : "";
  return `${source}${reply.answers.map(recordText).join("")}\n`;
}

function* run(args: NslookupArgs, context: ToolContext): Co<ToolOutput> {
  const servers =
    args.server === ""
      ? resolverConfigOf(context.process).nameservers
      : [yield* busyboxAddress("nslookup", args.server, context.process)];
  const queries = queriesOf(args, context);
  for (const server of servers.length > 0 ? servers : [0x7f000001]) {
    let answered: number;
    try {
      answered = yield* ask(queries, server, args, context);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      const stderr = `nslookup: write to '${formatIp4(server)}': ${strerror(error.code)}\n`;
      if (servers.length <= 1) return { stdout: "", stderr, status: 1 };
      continue;
    }
    if (answered === 0) continue;
    const failed = queries.some(({ reply }) => reply !== null && dnsRcode(reply.flags) !== 0);
    const address = formatIp4(server);
    const shown = args.server === "" ? address : args.server;
    const stdout = `Server:\t\t${shown}\nAddress:\t${address}:${args.port}\n\n${queries.map(queryText).join("")}`;
    return { stdout, stderr: "", status: failed ? 1 : 0 };
  }
  return { stdout: ";; connection timed out; no servers could be reached\n\n", stderr: "", status: 1 };
}

export const busyboxNslookup: Tool<NslookupArgs, ToolOutput> = {
  name: "nslookup",
  parse: (argv) => parse(argv),
  run,
  render: (output) => output,
};

/** `nslookup` and `host` of BIND 9.18 (bin/dig/nslookup.c, host.c). */
import type { Co } from "../../host/process.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { formatIp4, parseIp4 } from "../../wire/address.ts";
import { DNS_A, DNS_AAAA, DNS_MX, DNS_NS, DNS_PTR, type DnsRecord, dnsRcode } from "../../wire/dns.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { DIG_TYPES, type DigArgs, parseDig } from "./dig-args.ts";
import { digTypeName, rcodeName, rdataText } from "./dig-text.ts";
import { type Answer, lookup } from "./query.ts";

const NOBODY = ";; no servers could be reached\n";

interface Words {
  readonly name: string;
  readonly server: string;
  /** Types to ask for, in order. */
  readonly types: readonly number[];
}

/** A plain question: no EDNS, no flags but RD. */
function question({ name, server }: Words, type: number): DigArgs {
  const words = ["+noedns", "+noadflag", "+tries=2", ...(server === "" ? [] : [`@${server}`])];
  const asked =
    type === DNS_PTR && parseIp4(name) !== null ? ["-x", name] : ["-q", name, "-t", digTypeName(type)];
  return parseDig([...words, ...asked]);
}

function parseWords(tool: string, argv: readonly string[], usual: readonly number[]): Words {
  let types: readonly number[] = [];
  const rest: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    const typed =
      /^-(?:type|query|querytype|q|ty)=(.+)$/.exec(word)?.[1] ?? (word === "-t" ? argv[++i] : undefined);
    if (typed !== undefined) {
      const type = DIG_TYPES[typed.toUpperCase()];
      if (type === undefined) throw new UsageError(`${tool}: unknown query type: ${typed}`, 1);
      types = [type];
    } else if (word.startsWith("-")) throw new NotModelledError(`${tool} ${word}`);
    else rest.push(word);
  }
  if (rest.length === 0 || rest.length > 2) throw new NotModelledError(`${tool} without a name`);
  const [name, server = ""] = rest;
  return { name, server, types: types.length > 0 ? types : parseIp4(name) === null ? usual : [DNS_PTR] };
}

const plain = (name: string): string => (name === "." ? name : name.replace(/\.$/, ""));

function nslookupLine({ name, type, data }: DnsRecord): string {
  if (data.kind === "a") return `Name:\t${plain(name)}\nAddress: ${formatIp4(data.addr)}\n`;
  if (type === DNS_AAAA) return `Name:\t${plain(name)}\nAddress: ${rdataText(data)}\n`;
  if (type === DNS_PTR) return `${plain(name)}\tname = ${rdataText(data)}\n`;
  if (type === DNS_NS) return `${plain(name)}\tnameserver = ${rdataText(data)}\n`;
  if (type === DNS_MX) return `${plain(name)}\tmail exchanger = ${rdataText(data)}\n`;
  return `${plain(name)}\trdata_${type} = ${rdataText(data)}\n`;
}

function nslookupText(words: Words, answer: Answer, first: boolean): string {
  const { flags, answers } = answer.message;
  const server = formatIp4(answer.server);
  let text = first ? `Server:\t\t${words.server || server}\nAddress:\t${server}#53\n\n` : "";
  const rcode = dnsRcode(flags);
  if (rcode !== 0) return `${text}** server can't find ${plain(words.name)}: ${rcodeName(rcode)}\n`;
  if (answers.length === 0) return first ? `${text}*** Can't find ${plain(words.name)}: No answer\n` : text;
  if (first && (flags & 0x0400) === 0) text += "Non-authoritative answer:\n";
  return text + answers.map(nslookupLine).join("");
}

function* runNslookup(words: Words, context: ToolContext): Co<ToolOutput> {
  let stdout = "";
  let status = 0;
  for (const [i, type] of words.types.entries()) {
    const { answer, errors } = yield* lookup(question(words, type), context);
    if (answer === null) return { stdout: `${stdout}${errors}${NOBODY}\n`, stderr: "", status: 1 };
    stdout += errors + nslookupText(words, answer, i === 0);
    if (dnsRcode(answer.message.flags) === 0) continue;
    status = 1;
    break;
  }
  return { stdout: `${stdout}\n`, stderr: "", status };
}

function hostLine({ name, type, data }: DnsRecord): string {
  const owner = plain(name);
  if (type === DNS_A) return `${owner} has address ${rdataText(data)}\n`;
  if (type === DNS_AAAA) return `${owner} has IPv6 address ${rdataText(data)}\n`;
  if (type === DNS_MX) return `${owner} mail is handled by ${rdataText(data)}\n`;
  if (type === DNS_PTR) return `${owner} domain name pointer ${rdataText(data)}\n`;
  return `${owner} ${digTypeName(type)} ${rdataText(data)}\n`;
}

function* runHost(words: Words, context: ToolContext): Co<ToolOutput> {
  let stdout = "";
  for (const [i, type] of words.types.entries()) {
    const { answer, errors } = yield* lookup(question(words, type), context);
    if (answer === null) return { stdout: `${stdout}${errors}${NOBODY}`, stderr: "", status: 1 };
    const server = formatIp4(answer.server);
    if (i === 0 && words.server !== "")
      stdout += `Using domain server:\nName: ${words.server}\nAddress: ${server}#53\nAliases: \n\n`;
    const rcode = dnsRcode(answer.message.flags);
    if (rcode !== 0)
      return {
        stdout: `${stdout}${errors}Host ${plain(words.name)} not found: ${rcode}(${rcodeName(rcode)})\n`,
        stderr: "",
        status: 1,
      };
    stdout += errors + answer.message.answers.map(hostLine).join("");
  }
  return { stdout, stderr: "", status: 0 };
}

export const nslookup: Tool<Words, ToolOutput> = {
  name: "nslookup",
  parse: (argv) => parseWords("nslookup", argv, [DNS_A, DNS_AAAA]),
  run: runNslookup,
  render: (output) => output,
};

export const host: Tool<Words, ToolOutput> = {
  name: "host",
  parse: (argv) => parseWords("host", argv, [DNS_A, DNS_AAAA, DNS_MX]),
  run: runHost,
  render: (output) => output,
};

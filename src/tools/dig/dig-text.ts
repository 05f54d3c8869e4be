/** What `dig` prints: the message as text in columns (lib/dns/masterdump.c, message.c), and the lines around it. */
import { formatIp4 } from "../../wire/address.ts";
import {
  DNS_AA,
  DNS_AD,
  DNS_CD,
  DNS_CLASS_IN,
  DNS_OPT,
  DNS_QR,
  DNS_RA,
  DNS_RD,
  DNS_TC,
  type DnsData,
  type DnsMessage,
  type DnsRecord,
  dnsRcode,
} from "../../wire/dns.ts";
import { DIG_TYPES, type DigArgs } from "./dig-args.ts";

const VERSION = "9.18.49-1~deb12u3-Debian";
const RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
const FLAGS: readonly (readonly [number, string])[] = [
  [DNS_QR, "qr"],
  [DNS_AA, "aa"],
  [DNS_TC, "tc"],
  [DNS_RD, "rd"],
  [DNS_RA, "ra"],
  [DNS_AD, "ad"],
  [DNS_CD, "cd"],
];
const TTL_COLUMN = 24;
const CLASS_COLUMN = 32;
const TYPE_COLUMN = 40;
const DATA_COLUMN = 48;
const TAB = 8;

/** The first lines: version, words, servers. */
export function digGreeting(args: DigArgs): string {
  if (!args.shown.cmd) return "";
  const found = args.server === "" ? "" : "; (1 server found)\n";
  return `\n; <<>> DiG ${VERSION} <<>> ${args.words}\n${found};; global options: +cmd\n`;
}

export function digTypeName(type: number): string {
  return Object.keys(DIG_TYPES).find((name) => DIG_TYPES[name] === type) ?? `TYPE${type}`;
}

/** Tabs and blanks from column `from` to `to`; at least one. */
function gap(from: number, to: number): string {
  const target = Math.max(to, from + 1);
  const tabs = Math.floor(target / TAB) - Math.floor(from / TAB);
  const start = tabs > 0 ? Math.floor(target / TAB) * TAB : from;
  return "\t".repeat(tabs) + " ".repeat(target - start);
}

/** Words put at their columns. */
function line(words: readonly (readonly [string, number])[]): string {
  let text = "";
  let at = 0;
  for (const [word, column] of words) {
    if (text !== "") {
      text += gap(at, column);
      at = Math.max(column, at + 1);
    }
    text += word;
    at += word.length;
  }
  return `${text}\n`;
}

function className(value: number): string {
  return value === DNS_CLASS_IN ? "IN" : `CLASS${value}`;
}

/** A record's data as master files write it. */
export function rdataText(data: DnsData): string {
  switch (data.kind) {
    case "a":
      return formatIp4(data.addr);
    case "aaaa":
      return data.words.map((word) => word.toString(16)).join(":");
    case "name":
      return data.name;
    case "mx":
      return `${data.preference} ${data.exchange}`;
    case "txt":
      return data.texts.map((text) => `"${text}"`).join(" ");
    case "srv":
      return `${data.priority} ${data.weight} ${data.port} ${data.target}`;
    case "soa":
      return `${data.mname} ${data.rname} ${data.times.join(" ")}`;
    case "raw":
      return `\\# ${data.bytes.length} ${hex(data.bytes).toUpperCase()}`;
  }
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function recordLine(record: DnsRecord): string {
  return line([
    [record.name, 0],
    [String(record.ttl), TTL_COLUMN],
    [className(record.class), CLASS_COLUMN],
    [digTypeName(record.type), TYPE_COLUMN],
    [rdataText(record.data), DATA_COLUMN],
  ]);
}

function section(title: string, records: readonly DnsRecord[], comments: boolean): string {
  if (records.length === 0) return "";
  return `${comments ? `;; ${title} SECTION:\n` : ""}${records.map(recordLine).join("")}${comments ? "\n" : ""}`;
}

/** `NXDOMAIN`, `RESERVED11`. */
export function rcodeName(rcode: number): string {
  return RCODES[rcode] ?? `RESERVED${rcode}`;
}

function headerText(message: DnsMessage): string {
  const opcode = (message.flags >>> 11) & 15;
  const rcode = dnsRcode(message.flags);
  const flags = FLAGS.filter(([bit]) => (message.flags & bit) !== 0).map(([, name]) => ` ${name}`);
  const { questions, answers, authorities, additionals } = message;
  return (
    `;; Got answer:\n;; ->>HEADER<<- opcode: ${opcode === 0 ? "QUERY" : `RESERVED${opcode}`}, ` +
    `status: ${rcodeName(rcode)}, id: ${message.id}\n` +
    `;; flags:${flags.join("")}; QUERY: ${questions.length}, ANSWER: ${answers.length}, ` +
    `AUTHORITY: ${authorities.length}, ADDITIONAL: ${additionals.length}\n`
  );
}

/** The pseudo section of an OPT record; option 10 is a cookie. */
function optText(message: DnsMessage): string {
  const opt = message.additionals.find(({ type }) => type === DNS_OPT);
  if (opt === undefined) return "";
  const dnssecOk = (opt.ttl & 0x8000) !== 0 ? " do" : "";
  let text = `;; OPT PSEUDOSECTION:\n; EDNS: version: ${(opt.ttl >>> 16) & 255}, flags:${dnssecOk}; udp: ${opt.class}\n`;
  const bytes = opt.data.kind === "raw" ? opt.data.bytes : new Uint8Array(0);
  for (let at = 0; at + 4 <= bytes.length; ) {
    const code = (bytes[at] << 8) | bytes[at + 1];
    const length = (bytes[at + 2] << 8) | bytes[at + 3];
    const value = bytes.subarray(at + 4, at + 4 + length);
    text += code === 10 ? `; COOKIE: ${hex(value)} (good)\n` : `; OPT=${code}: ${hex(value)}\n`;
    at += 4 + length;
  }
  return text;
}

/** The message, without the greeting and the statistics. */
export function digMessage(message: DnsMessage, args: DigArgs): string {
  const { shown } = args;
  if (args.short) return message.answers.map(({ data }) => `${rdataText(data)}\n`).join("");
  let text = "";
  if (shown.comments) {
    text += headerText(message);
    if (args.recurse && (message.flags & DNS_RA) === 0)
      text += ";; WARNING: recursion requested but not available\n";
    text += `\n${optText(message)}`;
  }
  if (shown.question && message.questions.length > 0) {
    if (shown.comments) text += ";; QUESTION SECTION:\n";
    for (const question of message.questions)
      text += line([
        [`;${question.name}`, 0],
        [className(question.class), CLASS_COLUMN],
        [digTypeName(question.type), TYPE_COLUMN],
      ]);
    if (shown.comments) text += "\n";
  }
  if (shown.answer) text += section("ANSWER", message.answers, shown.comments);
  if (shown.authority) text += section("AUTHORITY", message.authorities, shown.comments);
  const others = message.additionals.filter(({ type }) => type !== DNS_OPT);
  if (shown.additional) text += section("ADDITIONAL", others, shown.comments);
  return text;
}

/**
 * What every match and target has in common when it reads its options (libxtables/xtoptions.c): an option may be
 * refused a `!`, may stand once, may be demanded. Words that do not fit are a UsageError whose message is iptables' own
 * text behind `iptables v1.8.9 (legacy): `, without the line end.
 */

import { UsageError } from "../../../util/errors.ts";
import { formatIp4, prefixToMask } from "../../../wire/address.ts";
import type { MatchSpec, TargetSpec } from "../rule-spec.ts";
import { leadingNumber, parseNumber } from "./names.ts";
import { servicePort } from "./services.ts";

/** An option of an extension. */
export interface OptionDef {
  readonly name: string;
  readonly arg: boolean;
  /** May follow a `!`. */
  readonly invert?: boolean;
  /** May stand more than once, or the extension says so itself. */
  readonly multi?: boolean;
  /** Must be there. */
  readonly mandatory?: boolean;
  /** The option that this one is another name of; messages use that name. */
  readonly alias?: string;
  /** Options that must not stand with it. */
  readonly excludes?: readonly string[];
  /** Another option that must be there too. */
  readonly needs?: string;
}

/** An option as it was found. */
export interface Given {
  /** Name without aliases. */
  readonly name: string;
  /** "" when it takes no argument. */
  readonly value: string;
  readonly invert: boolean;
  /** Protocol of the rule as far as it was read, 0 for any, and whether it is inverted. */
  readonly proto: number;
  readonly protoInverted: boolean;
  /** Takes the next word of the command line when it is no option. */
  nextWord(): string | null;
  /** A line for stderr that refuses nothing. */
  warn(line: string): void;
}

/** Reads the options of one extension of one rule. */
export interface Reader<S> {
  take(given: Given): void;
  /** All options were read: checks what is missing. */
  finish(): S;
}

export interface Extension<S> {
  readonly name: string;
  readonly options: readonly OptionDef[];
  /** The options in the order in which they are found to collide, where it is not that of {@link options}. */
  readonly order?: readonly string[];
  open(): Reader<S>;
}

export type MatchExtension = Extension<MatchSpec>;
export type TargetExtension = Extension<TargetSpec>;

/** Bad words (xtables_error PARAMETER_PROBLEM): exit status 2. */
export function problem(message: string): never {
  throw new UsageError(message, 2);
}

/** The words of xtables_param_act about a value. */
export function badValue(extension: string, option: string, value: string): never {
  return problem(`${extension}: Bad value for "--${option}" option: "${value}"`);
}

/** An extension with the options that stand in the rule and the checks that all extensions share. */
export class OpenExtension<S> {
  readonly extension: Extension<S>;
  private readonly reader: Reader<S>;
  private readonly seen = new Set<string>();

  constructor(extension: Extension<S>) {
    this.extension = extension;
    this.reader = extension.open();
  }

  take(def: OptionDef, given: Given): void {
    const { name } = this.extension;
    const main = this.main(def);
    if (!main.multi && this.seen.has(main.name))
      problem(`${name}: option "--${main.name}" can only be used once.\n`);
    if (given.invert && !main.invert) problem(`${name}: option "--${main.name}" cannot be inverted.\n`);
    this.seen.add(main.name);
    this.reader.take({ ...given, name: main.name });
  }

  finish(): S {
    const { name } = this.extension;
    // The extension's own check comes first (xtables_option_mfcall).
    const spec = this.reader.finish();
    for (const def of this.extension.options) {
      const given = this.seen.has(this.main(def).name);
      if (def.mandatory && !given) problem(`${name}: option "--${def.name}" must be specified\n`);
      if (given) this.checkOthers(def);
    }
    return spec;
  }

  /** Options that must come with this one, or must not (xtables_option_fcheck2), in the order of the options. */
  private checkOthers(def: OptionDef): void {
    const { name, options, order = options.map((option) => option.name) } = this.extension;
    for (const other of order) {
      if (def.needs === other && !this.seen.has(other))
        problem(`${name}: option "--${def.name}" also requires "--${other}".\n`);
      if (def.excludes?.includes(other) && this.seen.has(other))
        problem(`${name}: option "--${def.name}" cannot be used together with "--${other}".\n`);
    }
  }

  private main(def: OptionDef): OptionDef {
    return def.alias === undefined ? def : this.extension.options.find((o) => o.name === def.alias)!;
  }
}

/** An unsigned number of an option, within its range. */
export function numberOption(extension: string, given: Given, min: number, max: number): number {
  const value = parseNumber(given.value);
  if (value === null || value < min || value > max)
    problem(`${extension}: bad value for option "--${given.name}", or out of range (${min}-${max}).\n`);
  return value;
}

const IFNAMSIZ = 16;

/** The name of an interface, or how names begin, with a `+` behind (xtables_parse_interface). */
export function interfaceName(name: string, warn: (line: string) => void): string {
  if (name.length >= IFNAMSIZ)
    problem(`interface name \`${name}' must be shorter than IFNAMSIZ (${IFNAMSIZ - 1})`);
  if (/[/ ]/.test(name))
    warn(`Warning: weird character in interface \`${name}' ('/' and ' ' are not allowed by the kernel).`);
  return name;
}

/** `N` or `LOW:HIGH`, either side may be left out (xtopt_parse_mint). */
export function numberRangeOption(extension: string, given: Given, max: number): [number, number] {
  const { name, value } = given;
  const range: [number, number] = [0, max];
  let rest = value;
  for (let at = 0; ; at++) {
    if (at === 2) problem(`${extension}: Too many components for option "--${name}" (max: 2)\n`);
    if (rest !== "" && !rest.startsWith(":")) {
      const found = leadingNumber(rest);
      if (found === null || found.value > max)
        problem(
          `${extension}: bad value for option "--${name}" near "${rest}", or out of range (0-${max}).\n`,
        );
      ({ value: range[at], rest } = found);
      if (rest !== "" && !rest.startsWith(":"))
        problem(`${extension}: Argument to "--${name}" has unexpected characters near "${rest}".\n`);
    }
    if (rest === "") return at === 0 ? [range[0], range[0]] : range;
    rest = rest.slice(1);
  }
}

/** `VALUE` or `VALUE/MASK` of 32 bits, as int32. */
export function markOption(extension: string, given: Given): [number, number] {
  const bad = (): never =>
    problem(`${extension}: bad integer value for option "--${given.name}", or out of range.\n`);
  const garbage = (): never =>
    problem(`${extension}: trailing garbage after value for option "--${given.name}".\n`);
  const value = leadingNumber(given.value);
  if (value === null || value.value > 0xffffffff) return bad();
  if (value.rest === "") return [value.value | 0, -1];
  if (!value.rest.startsWith("/")) return garbage();
  const mask = leadingNumber(value.rest.slice(1));
  if (mask === null || mask.value > 0xffffffff) return bad();
  if (mask.rest !== "") return garbage();
  return [value.value | 0, mask.value | 0];
}

/** An address without a mask, as getaddrinfo(3) takes it: also with fewer parts, hexadecimal, octal. */
function hostOption(text: string): number {
  const addr = text === "localhost" ? 0x7f000001 : inetAton(text);
  if (addr === null) problem("getaddrinfo: Name or service not known\n");
  return addr;
}

/** inet_aton(3): one to four numbers, the last of which fills all bytes that are left. */
export function inetAton(text: string): number | null {
  const parts = text.split(".").map((part) => (/^[0-9]/.test(part) ? parseNumber(part) : null));
  const last = parts.pop() ?? null;
  if (parts.length > 3 || last === null || last >= 2 ** (8 * (4 - parts.length))) return null;
  let value = last;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (part === null || part > 255) return null;
    value += part * 2 ** (24 - 8 * i);
  }
  return value | 0;
}

/** `HOST`, `HOST/LEN`, `HOST/MASK` of an extension's option; the address is not masked. */
export function hostMaskOption(extension: string, given: Given): [number, number] {
  const slash = given.value.indexOf("/");
  if (slash < 0) return [hostOption(given.value), -1];
  const addr = hostOption(given.value.slice(0, slash));
  const text = given.value.slice(slash + 1);
  const bits = parseNumber(text);
  if (bits !== null && bits <= 32) return [addr, prefixToMask(bits)];
  const dotted = inetAton(text);
  if (dotted === null)
    problem(
      `${extension}: bad value for option "--${given.name}", neither a valid network mask nor valid CIDR (0-32).\n`,
    );
  // A mask with holes is as good as none (xtables_ipmask_to_cidr answers -1, and -1 bits count as more than 128).
  const mask = prefixToMask(Math.clz32(~dotted));
  return [addr, mask === dotted ? mask : -1];
}

/** A port as getaddrinfo(3) takes it: a decimal number, cut to 16 bits, or a service of any protocol. */
function portOption(text: string): number {
  const digits = /^\s*\+?([0-9]+)$/.exec(text);
  const number = digits === null ? -1 : Number(digits[1]) % 2 ** 32;
  const port = number >= 0 && number < 2 ** 31 ? number : servicePort(text, "");
  if (port === null) problem(`Port "${text}" does not resolve to anything.\n`);
  return port & 0xffff;
}

/** `PORT`, `LOW:HIGH`, `LOW:`, `:HIGH` (xtopt_parse_mport). */
export function portRangeOption(extension: string, given: Given): [number, number] {
  const parts = given.value.split(":");
  const range: [number, number] = [0, 0xffff];
  for (let at = 0; at < parts.length; at++) {
    if (at === 2) problem(`${extension}: Too many components for option "--${given.name}" (max: 2)\n`);
    if (parts[at] !== "") range[at] = portOption(parts[at]);
  }
  return parts.length === 1 ? [range[0], range[0]] : range;
}

/**
 * The names of a list by comma, each to its bit; a beginning of a name is enough, the first that fits counts. `refuse` is
 * told what could not be read, from there to the end of the list, and whether that is its last name.
 */
export function bitList(
  text: string,
  names: ReadonlyMap<string, number>,
  refuse: (rest: string, last: boolean) => never,
): number {
  let bits = 0;
  let rest = text;
  for (;;) {
    const comma = rest.indexOf(",");
    const word = (comma < 0 ? rest : rest.slice(0, comma)).toUpperCase();
    const found = word === "" ? undefined : [...names].find(([name]) => name.startsWith(word));
    if (found === undefined) return refuse(rest, comma < 0);
    bits |= found[1];
    if (comma < 0) return bits;
    rest = rest.slice(comma + 1);
  }
}

/** The names of the set bits, by comma, in the order of the map. */
export function bitNames(bits: number, names: ReadonlyMap<string, number>): string {
  return [...names]
    .filter(([, bit]) => (bits & bit) !== 0)
    .map(([name]) => name)
    .join(",");
}

/** An address with up to four parts, the missing ones 0 (xtables_numeric_to_ipaddr: `10`, `10.1`); null if none. */
export function looseIp4(text: string): number | null {
  const parts = splitParts(text.slice(0, 19));
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const part = i < parts.length ? parseNumber(parts[i]) : 0;
    if (part === null || part > 255) return null;
    value = (value << 8) | part;
  }
  return value;
}

/** At most four parts: what follows a third dot is one. */
function splitParts(text: string): string[] {
  const parts = text.split(".");
  return parts.length <= 4 ? parts : [...parts.slice(0, 3), parts.slice(3).join(".")];
}

/** Names of /etc/hosts and /etc/networks. */
const HOST_NAMES: ReadonlyMap<string, number> = new Map([
  ["default", 0],
  ["loopback", 0x7f000000],
  ["link-local", 0xa9fe0000 | 0],
  ["localhost", 0x7f000001],
]);

/** `HOST`, `HOST/LEN`, `HOST/MASK` to a masked address; the mask is read first, and with an empty one any host will do. */
export function hostMask(text: string): [number, number] {
  const slash = text.lastIndexOf("/");
  const mask = slash < 0 ? -1 : parseMask(text.slice(slash + 1));
  const host = slash < 0 ? text : text.slice(0, slash);
  const addr = mask === 0 ? 0 : (looseIp4(host) ?? HOST_NAMES.get(host) ?? inetAton(host));
  if (addr === null) problem(`host/network \`${host}' not found`);
  return [addr & mask, mask];
}

function parseMask(text: string): number {
  const dotted = splitParts(text).length === 4 ? looseIp4(text) : null;
  if (dotted !== null) return dotted;
  const bits = parseNumber(text);
  if (bits === null || bits > 32) problem(`invalid mask \`${text}' specified`);
  return prefixToMask(bits);
}

/** `/24`, `/255.0.255.0`; "" for a full mask when `hideFull`. */
export function maskSuffix(mask: number, hideFull: boolean): string {
  if (mask === -1 && hideFull) return "";
  const length = Math.clz32(~mask);
  return prefixToMask(length) === mask ? `/${length}` : `/${formatIp4(mask)}`;
}

/** An address as it is listed: by its name in /etc/hosts or /etc/networks unless numbers are wanted. */
export function hostName(addr: number, mask: number, numeric: boolean): string {
  const known = numeric ? undefined : [...HOST_NAMES].find((entry) => entry[1] === addr);
  return `${known?.[0] ?? formatIp4(addr)}${maskSuffix(mask, true)}`;
}

/** Unsigned hexadecimal with 0x. */
export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

/** A word as it must be quoted (xtables_save_string). */
export function quoteWord(text: string): string {
  if (text !== "" && /^[-_0-9A-Za-z]*$/.test(text)) return text;
  return `"${text.replace(/["\\']/g, "\\$&")}"`;
}

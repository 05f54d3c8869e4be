/**
 * What every match and target has in common when it reads its options (libxtables/xtoptions.c): an option may be
 * refused a `!`, may stand once, may be demanded. Words that do not fit are a UsageError whose message is iptables' own
 * text behind `iptables v1.8.9 (legacy): `, without the line end.
 */

import { UsageError } from "../../../util/errors.ts";
import { formatIp4, parseIp4, prefixToMask } from "../../../wire/address.ts";
import type { MatchSpec, TargetSpec } from "../rule-spec.ts";
import { parseNumber, servicePort } from "./names.ts";

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
  open(): Reader<S>;
}

export type MatchExtension = Extension<MatchSpec>;
export type TargetExtension = Extension<TargetSpec>;

/** Bad words (xtables_error PARAMETER_PROBLEM): exit status 2. */
export function problem(message: string): never {
  throw new UsageError(message, 2);
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
    if (given.invert && !def.invert) problem(`${name}: option "--${main.name}" cannot be inverted.\n`);
    if (!main.multi && this.seen.has(main.name))
      problem(`${name}: option "--${main.name}" can only be used once.\n`);
    for (const other of main.excludes ?? [])
      if (this.seen.has(other))
        problem(`${name}: option "--${main.name}" cannot be used together with "--${other}".\n`);
    this.seen.add(main.name);
    this.reader.take({ ...given, name: main.name });
  }

  finish(): S {
    const { name } = this.extension;
    // The extension's own check comes first (xtables_option_mfcall).
    const spec = this.reader.finish();
    for (const def of this.extension.options) {
      if (def.mandatory && !this.seen.has(def.name))
        problem(`${name}: option "--${def.name}" must be specified\n`);
      if (def.needs !== undefined && this.seen.has(def.name) && !this.seen.has(def.needs))
        problem(`${name}: option "--${def.name}" also requires "--${def.needs}".\n`);
    }
    return spec;
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

/** `N` or `LOW:HIGH`, either side may be left out. */
export function numberRangeOption(extension: string, given: Given, max: number): [number, number] {
  const parts = given.value.split(":");
  const refuse = (near: string): never =>
    problem(
      `${extension}: bad value for option "--${given.name}" near "${near}", or out of range (0-${max}).\n`,
    );
  const read = (text: string, whenEmpty: number): number => {
    if (text === "" && parts.length > 1) return whenEmpty;
    const value = parseNumber(text);
    return value === null || value > max ? refuse(text) : value;
  };
  if (parts.length > 2) refuse(parts.slice(1).join(":"));
  const low = read(parts[0], 0);
  return parts.length === 1 ? [low, low] : [low, read(parts[1], max)];
}

/** `VALUE` or `VALUE/MASK` of 32 bits, as int32. */
export function markOption(extension: string, given: Given): [number, number] {
  const [text, maskText, ...rest] = given.value.split("/");
  const value = parseNumber(text);
  const mask = maskText === undefined ? 0xffffffff : parseNumber(maskText);
  if (value === null || mask === null || rest.length > 0 || value > 0xffffffff || mask > 0xffffffff)
    problem(`${extension}: bad integer value for option "--${given.name}", or out of range.\n`);
  return [value | 0, mask | 0];
}

/** A port: number or service name; the number is cut to 16 bits as the guided parser does. */
export function portOption(text: string): number {
  const value = parseNumber(text) ?? servicePort(text, "");
  if (value === null) problem(`Port "${text}" does not resolve to anything.\n`);
  return value & 0xffff;
}

/** `PORT`, `LOW:HIGH`, `LOW:`, `:HIGH`. */
export function portRangeOption(text: string): [number, number] {
  const colon = text.indexOf(":");
  if (colon < 0) {
    const port = portOption(text);
    return [port, port];
  }
  const low = text.slice(0, colon);
  const high = text.slice(colon + 1);
  return [low === "" ? 0 : portOption(low), high === "" ? 0xffff : portOption(high)];
}

/** One or more of the names, by comma; each to its bit. null: one that is not among them. */
export function bitList(text: string, names: ReadonlyMap<string, number>, prefixes = false): number | null {
  let bits = 0;
  for (const word of text.split(",")) {
    let bit = names.get(word.toUpperCase());
    if (bit === undefined && prefixes && word !== "")
      for (const [name, value] of names) if (name.startsWith(word.toUpperCase())) bit ??= value;
    if (bit === undefined) return null;
    bits |= bit;
  }
  return bits;
}

/** The names of the set bits, by comma, in the order of the map. */
export function bitNames(bits: number, names: ReadonlyMap<string, number>): string {
  return [...names]
    .filter(([, bit]) => (bits & bit) !== 0)
    .map(([name]) => name)
    .join(",");
}

/** An address with up to four parts, the missing ones 0 (xtables_numeric_to_ipaddr style `10`, `10.1`); null if none. */
export function looseIp4(text: string): number | null {
  const parts = text.split(".");
  if (parts.length > 4 || parts.some((part) => !/^[0-9]{1,3}$/.test(part) || Number(part) > 255)) return null;
  let value = 0;
  for (let i = 0; i < 4; i++) value = (value << 8) | Number(parts[i] ?? 0);
  return value;
}

/** `HOST`, `HOST/LEN`, `HOST/MASK` to a masked address. */
export function hostMask(text: string): [number, number] {
  const slash = text.lastIndexOf("/");
  const host = slash < 0 ? text : text.slice(0, slash);
  const mask = slash < 0 ? -1 : parseMask(text.slice(slash + 1));
  const addr = host === "localhost" ? 0x7f000001 : looseIp4(host);
  if (addr === null) problem(`host/network \`${host}' not found`);
  return [addr & mask, mask];
}

function parseMask(text: string): number {
  const dotted = parseIp4(text);
  if (dotted !== null) return dotted;
  const bits = /^[0-9]+$/.test(text) ? Number(text) : -1;
  if (bits < 0 || bits > 32) problem(`invalid mask \`${text}' specified`);
  return prefixToMask(bits);
}

/** `/24`, `/255.0.255.0`; "" for a full mask when `hideFull`. */
export function maskSuffix(mask: number, hideFull: boolean): string {
  if (mask === -1 && hideFull) return "";
  const length = Math.clz32(~mask);
  return prefixToMask(length) === mask ? `/${length}` : `/${formatIp4(mask)}`;
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

/** Words of `ip` command lines: keywords that may be cut short, addresses, devices, names of numbers (iproute2 lib/utils.c, lib/rt_names.c). */
import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";

/** Whether a word is one of the commands, or the beginning of one. */
export function isCommand(word: string, ...commands: readonly string[]): boolean {
  return word !== "" && commands.some((command) => command.startsWith(word));
}

/** The words of a command line, taken one after the other. */
export class Words {
  private readonly argv: readonly string[];
  private at = 0;

  constructor(argv: readonly string[]) {
    this.argv = argv;
  }

  get done(): boolean {
    return this.at >= this.argv.length;
  }

  /** The next word, left in place; "" at the end. */
  peek(): string {
    return this.argv[this.at] ?? "";
  }

  /** The next word. UsageError at the end of the line. */
  next(): string {
    if (this.done) throw new UsageError('Command line is not complete. Try option "help"', 255);
    return this.argv[this.at++];
  }
}

/** The device of that name; what follows a colon names an alias of it (if_nametoindex, dev_ioctl). */
export function deviceNamed(ns: NetNs, name: string): NetDevice {
  const dev = ns.device(name) ?? ns.device(name.replace(/:.*$/, ""));
  if (dev === undefined) throw new UsageError(`Cannot find device "${name}"`, 1);
  return dev;
}

export interface Prefix {
  readonly addr: number;
  readonly len: number;
}

const IPV6 = /^[0-9a-f]*:[0-9a-f:.]*(?:\/\d+)?$/i;

/** An address as iproute2 takes it: missing bytes are 0. null when it is not one. */
function looseIp4(text: string): number | null {
  const parts = text.split(".");
  if (parts.length > 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null;
  const bytes = [...parts.map(Number), 0, 0, 0].slice(0, 4);
  return (bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3];
}

/** An address. */
export function ip4Word(text: string): number {
  const addr = looseIp4(text);
  if (IPV6.test(text)) throw new NotModelledError(`the IPv6 address ${text}`);
  if (addr === null) throw new UsageError(`Error: inet address is expected rather than "${text}".`, 1);
  return addr;
}

/** `10.0.0.0/8`, `10.0.0.1`, `default` or `any`. */
export function prefixWord(text: string, kind = "any valid"): Prefix {
  if (text === "default" || text === "any" || text === "all") return { addr: 0, len: 0 };
  if (IPV6.test(text)) throw new NotModelledError(`the IPv6 prefix ${text}`);
  const [host, suffix, ...rest] = text.split("/");
  const addr = looseIp4(host);
  const len = suffix === undefined ? 32 : Number(suffix);
  const valid =
    addr !== null && rest.length === 0 && suffix !== "" && Number.isInteger(len) && len >= 0 && len <= 32;
  if (!valid) throw new UsageError(`Error: ${kind} prefix is expected rather than "${text}".`, 1);
  return { addr, len };
}

/** A bad word (invarg): texts that end a line of their own leave an empty one behind. */
export function invarg(what: string, text: string): UsageError {
  return new UsageError(`Error: argument "${text}" is wrong: ${what}\n`, 255);
}

/** A number, decimal or 0x. */
export function numberWord(text: string, what: string): number {
  const number = text === "" ? Number.NaN : Number(text);
  if (!Number.isInteger(number) || number < 0 || number > 0xffffffff) {
    throw invarg(what, text);
  }
  return number;
}

/** Numbers that have names. */
export class NameTable {
  private readonly byNumber: ReadonlyMap<number, string>;
  private readonly byName: ReadonlyMap<string, number>;
  private readonly what: string;

  constructor(what: string, names: Record<string, number>) {
    this.what = what;
    const entries = Object.entries(names);
    this.byName = new Map(entries);
    this.byNumber = new Map(entries.map(([name, number]) => [number, name]));
  }

  text(number: number): string {
    return this.byNumber.get(number) ?? String(number);
  }

  parse(word: string, what = this.what): number {
    return this.byName.get(word) ?? numberWord(word, what);
  }

  has(word: string): boolean {
    return this.byName.has(word);
  }
}

export const TABLES = new NameTable('"table" value is invalid\n', {
  default: 253,
  main: 254,
  local: 255,
  unspec: 0,
});

export const SCOPES = new NameTable('invalid "scope" value\n', {
  universe: 0,
  global: 0,
  site: 200,
  link: 253,
  host: 254,
  nowhere: 255,
});

export const PROTOCOLS = new NameTable('"protocol" value is invalid\n', {
  unspec: 0,
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  gated: 8,
  ra: 9,
  mrt: 10,
  zebra: 11,
  bird: 12,
  dnrouted: 13,
  xorp: 14,
  ntk: 15,
  dhcp: 16,
  keepalived: 18,
  babel: 42,
  bgp: 186,
  isis: 187,
  ospf: 188,
  rip: 189,
  eigrp: 192,
});

export const ROUTE_TYPES = new NameTable("invalid type", {
  unicast: 1,
  local: 2,
  broadcast: 3,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
});

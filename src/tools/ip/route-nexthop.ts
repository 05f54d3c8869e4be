/** Several next hops in `ip route`: their words and their text (iproute2 6.1 ip/iproute.c parse_nexthops, print_rta_multipath). */
import type { NetNs } from "../../net/core/net-ns.ts";
import type { FibAlias } from "../../net/ipv4/fib.ts";
import type { FibPathRequest } from "../../net/ipv4/fib-semantics.ts";
import { isOut } from "../../net/ipv4/fib-table.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import { deviceNamed, invarg, ip4Word, type Words } from "./words.ts";

const MAX_WEIGHT = 256;
const OTHER_WORDS: ReadonlySet<string> = new Set(["realms", "encap", "via6", "as"]);

/** All that stands behind the first `nexthop`. */
export function parseNexthops(words: Words, ns: NetNs): FibPathRequest[] {
  const paths: FibPathRequest[] = [];
  for (let word = "nexthop"; ; word = words.next()) {
    if (word !== "nexthop")
      throw new UsageError(`Error: "nexthop" or end of line is expected instead of "${word}"`, 255);
    if (words.done) throw new UsageError('Error: unexpected end of line after "nexthop"', 255);
    paths.push(parseNexthop(words, ns));
    if (words.done) return paths;
  }
}

function parseNexthop(words: Words, ns: NetNs): FibPathRequest {
  const path = { gateway: 0, dev: null as FibPathRequest["dev"], onlink: false, weight: 1 };
  while (!words.done) {
    const word = words.peek();
    if (word === "via") {
      words.next();
      const next = words.next();
      path.gateway = ip4Word(next === "inet" ? words.next() : next);
    } else if (word === "dev") {
      words.next();
      path.dev = namedDevice(words.next(), ns);
    } else if (word === "weight") {
      words.next();
      path.weight = weightWord(words.next());
    } else if (word === "onlink") {
      words.next();
      path.onlink = true;
    } else if (OTHER_WORDS.has(word)) throw new NotModelledError(`ip route: nexthop ${word}`);
    else break;
  }
  return path;
}

function namedDevice(name: string, ns: NetNs): FibPathRequest["dev"] {
  if (ns.device(name) === undefined)
    throw new UsageError(`Cannot find device "${name}"\nError: cannot parse nexthop`, 255);
  return deviceNamed(ns, name);
}

function weightWord(text: string): number {
  const weight = Number(text);
  if (!/^\d+$/.test(text) || weight < 1 || weight > MAX_WEIGHT) throw invarg('"weight" is invalid\n', text);
  return weight;
}

/** What is said of a next hop's state. */
export function hopFlags(alias: FibAlias): string[] {
  const flags: string[] = [];
  if (alias.dead || (alias.dev !== null && isOut(alias))) flags.push("dead");
  if (alias.onlink) flags.push("onlink");
  if (alias.dead || alias.linkDown) flags.push("linkdown");
  return flags;
}

/** The lines of the next hops; `line`: what ends a line. */
export function nexthopsText({ paths }: FibAlias, line: string): string {
  return paths
    .map((path) => {
      const via = path.gateway === 0 ? "" : `via ${formatIp4(path.gateway)} `;
      const flags = hopFlags(path)
        .map((flag) => `${flag} `)
        .join("");
      return `${line}\tnexthop ${via}dev ${path.dev!.name} weight ${path.weight} ${flags}`;
    })
    .join("");
}

export function nexthopsJson({ paths }: FibAlias): Record<string, unknown>[] {
  return paths.map((path) => ({
    ...(path.gateway === 0 ? {} : { gateway: formatIp4(path.gateway) }),
    dev: path.dev!.name,
    weight: path.weight,
    flags: hopFlags(path),
  }));
}

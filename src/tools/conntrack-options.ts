/** The options of conntrack(8) 1.4.7: their names, and which of them each command takes. */

export type ConntrackCommand =
  | "list"
  | "delete"
  | "update"
  | "get"
  | "create"
  | "event"
  | "flush"
  | "count"
  | "stats"
  | "version";

export const COMMANDS: Readonly<Record<string, ConntrackCommand>> = {
  "-L": "list",
  "--dump": "list",
  "-D": "delete",
  "--delete": "delete",
  "-U": "update",
  "--update": "update",
  "-G": "get",
  "--get": "get",
  "-I": "create",
  "--create": "create",
  "-E": "event",
  "--event": "event",
  "-F": "flush",
  "--flush": "flush",
  "-C": "count",
  "--count": "count",
  "-S": "stats",
  "--stats": "stats",
  "-V": "version",
  "--version": "version",
};

/** Options by every name that they have; the name that complaints use stands behind. */
export const OPTION_NAMES: Readonly<Record<string, string>> = {
  "-s": "src",
  "--src": "src",
  "--orig-src": "src",
  "-d": "dst",
  "--dst": "dst",
  "--orig-dst": "dst",
  "-r": "reply-src",
  "--reply-src": "reply-src",
  "-q": "reply-dst",
  "--reply-dst": "reply-dst",
  "-p": "protonum",
  "--proto": "protonum",
  "--protonum": "protonum",
  "-t": "timeout",
  "--timeout": "timeout",
  "-u": "status",
  "--status": "status",
  "-z": "zero",
  "--zero": "zero",
  "-e": "event-mask",
  "--event-mask": "event-mask",
  "--tuple-src": "tuple-src",
  "--tuple-dst": "tuple-dst",
  "--mask-src": "mask-src",
  "--mask-dst": "mask-dst",
  "-m": "mark",
  "--mark": "mark",
  "-i": "id",
  "--id": "id",
  "-f": "family",
  "--family": "family",
  "-n": "src-nat",
  "--src-nat": "src-nat",
  "-g": "dst-nat",
  "--dst-nat": "dst-nat",
  "-o": "output",
  "--output": "output",
  "-c": "secmark",
  "--secmark": "secmark",
  "-b": "buffer-size",
  "--buffer-size": "buffer-size",
  "-j": "any-nat",
  "--any-nat": "any-nat",
  "-w": "zone",
  "--zone": "zone",
  "-l": "label",
  "--label": "label",
  "--label-add": "label-add",
  "--label-del": "label-del",
  "--orig-zone": "orig-zone",
  "--reply-zone": "reply-zone",
};

/** In the order in which they are checked. */
const ORDER: readonly string[] = [...new Set(Object.values(OPTION_NAMES))];

const TUPLE = ["src", "dst", "reply-src", "reply-dst", "protonum"];
const MASKED = [...TUPLE, "mask-src", "mask-dst", "mark", "family", "src-nat", "dst-nat", "output"];
const ZONES = ["zone", "orig-zone", "reply-zone"];

interface Rules {
  readonly takes: ReadonlySet<string>;
  readonly needs: readonly string[];
}

function rules(takes: readonly string[], needs: readonly string[] = []): Rules {
  return { takes: new Set(takes), needs };
}

const NONE = rules([]);
const RULES: Readonly<Record<ConntrackCommand, Rules>> = {
  list: rules([...MASKED, ...ZONES, "status", "zero", "secmark", "any-nat", "label"]),
  get: rules([...TUPLE, "id", "output"], ["protonum"]),
  delete: rules([...MASKED, ...ZONES, "timeout", "status", "id", "label"]),
  create: rules(
    [...TUPLE, ...ZONES, "timeout", "status", "mark", "src-nat", "dst-nat", "label", "label-add"],
    ["protonum", "timeout"],
  ),
  update: rules([...MASKED, "timeout", "status", "id", "label", "label-add", "label-del"]),
  event: rules([...MASKED, ...ZONES, "event-mask", "secmark", "buffer-size", "any-nat", "label"]),
  flush: rules(["family"]),
  count: NONE,
  stats: NONE,
  version: NONE,
};

/** What is wrong with the options of a command, null when nothing is (generic_opt_check). */
export function checkOptions(command: ConntrackCommand | null, given: ReadonlySet<string>): string | null {
  const { takes, needs } = command === null ? NONE : RULES[command];
  for (const name of ORDER) {
    if (needs.includes(name) && !given.has(name))
      return `You need to supply the \`--${name}' option for this command`;
    if (given.has(name) && !takes.has(name)) return `Illegal option \`--${name}' with this command`;
  }
  return null;
}

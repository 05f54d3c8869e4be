/**
 * Reads the words of a rule one option at a time (iptables/xshared.c: the part of do_command4 that fills struct
 * iptables_command_state). An unknown option makes it load the match of the protocol once, which is how `-p tcp --dport`
 * comes to its `-m tcp`.
 */
import {
  ANY_IP,
  IPT_INV_DSTIP,
  IPT_INV_FRAG,
  IPT_INV_PROTO,
  IPT_INV_SRCIP,
  IPT_INV_VIA_IN,
  IPT_INV_VIA_OUT,
  type IpSpec,
  type MatchSpec,
  type RuleSpec,
  type TargetSpec,
} from "../rule-spec.ts";
import { type Given, hostMask, interfaceName, OpenExtension, type OptionDef, problem } from "./extension.ts";
import type { Getopt, LongOption, Opt } from "./getopt.ts";
import { parseNumber, protocolName, protocolNumber } from "./names.ts";
import { findMatch, findTarget } from "./registry.ts";

/** Short options of a rule, as getopt takes them. */
export const RULE_SHORT = "o:p:s:d:j:i:fm:c:g:";

const required = (name: string, key: string): LongOption => ({ name, arg: "required", key });

export const RULE_LONG: readonly LongOption[] = [
  required("source", "s"),
  required("destination", "d"),
  required("src", "s"),
  required("dst", "d"),
  required("protocol", "p"),
  required("in-interface", "i"),
  required("jump", "j"),
  required("match", "m"),
  required("out-interface", "o"),
  { name: "fragments", arg: "none", key: "f" },
  required("set-counters", "c"),
  required("goto", "g"),
];

const MAX_TARGET_NAME = 28;

interface Opened {
  readonly open: OpenExtension<MatchSpec> | OpenExtension<TargetSpec>;
  readonly long: readonly LongOption[];
}

/** What the words said: one rule a pair of source and destination. */
export interface ParsedRule {
  readonly specs: readonly RuleSpec[];
  /** --set-counters */
  readonly counters: readonly [number, number] | null;
}

export class RuleParser {
  /** Letters of the options that stood there, for the check against the command. */
  readonly seen = new Set<string>();
  inIface = "";
  outIface = "";
  /** What is said on stderr though nothing is refused. */
  readonly warnings: string[] = [];
  /** The word behind -j or -g, null when there is none. */
  jumpTo: string | null = null;
  isGoto = false;
  /** --set-counters */
  counters: readonly [number, number] | null = null;
  private source: string | null = null;
  private destination: string | null = null;
  private proto = 0;
  private protoWord = "";
  private fragment = false;
  private invert = 0;
  private readonly matches: OpenExtension<MatchSpec>[] = [];
  private target: OpenExtension<TargetSpec> | null = null;
  private readonly opened: Opened[] = [];
  private protoLoaded = false;
  private long: readonly LongOption[];
  private readonly baseLong: readonly LongOption[];

  /** `baseLong`: the long options that do not belong to an extension. */
  constructor(baseLong: readonly LongOption[]) {
    this.baseLong = baseLong;
    this.long = baseLong;
  }

  /** The long options that are known now: those of the extension that was loaded last come before older ones. */
  get longOptions(): readonly LongOption[] {
    return this.long;
  }

  /** Takes an option of a rule; false when it is none. */
  take(opt: Opt & { kind: "option" }, invert: boolean, getopt: Getopt): boolean {
    if (opt.key.includes(":")) {
      this.extensionOption(opt, invert, getopt);
      return true;
    }
    const value = opt.value ?? "";
    if (opt.key === "m") {
      if (invert) problem("unexpected ! flag before --match");
      this.loadMatch(value);
      return true;
    }
    if (!RULE_SHORT.includes(opt.key)) return false;
    if ((opt.key === "i" || opt.key === "o") && value === "")
      problem("Empty interface is likely to be undesired");
    this.mark(opt.key === "g" ? "j" : opt.key, invert);
    // iptables takes the last word of the command line, whole: `-ptcp` and `--protocol=tcp` name no protocol.
    this.base(opt.key, "cg".includes(opt.key) ? value : getopt.lastWord, getopt);
    return true;
  }

  /** Notes that an option stood there; a second time is refused, and so is a `!` where none may be. */
  mark(letter: string, invert: boolean): void {
    if (this.seen.has(letter)) problem(`multiple -${letter} flags not allowed`);
    this.seen.add(letter);
    if (!invert) return;
    const bit = INVERTS[letter];
    if (bit === undefined) problem(`cannot have ! before -${letter}`);
    this.invert |= bit;
  }

  /** An option that nobody knows: loads the match of the protocol, once; false when that does not help. */
  loadProtocolMatch(): boolean {
    if (this.protoWord === "" || this.protoLoaded) return false;
    const number = parseNumber(this.protoWord);
    const extension = findMatch(number === null ? this.protoWord : protocolName(number, !this.seen.has("n")));
    if (extension === undefined) return false;
    this.protoLoaded = true;
    this.openMatch(extension.name);
    return true;
  }

  /** All words were read. The checks of the extensions come before those of the addresses, as in iptables. */
  finishExtensions(): { matches: MatchSpec[]; target: TargetSpec | null } {
    return {
      matches: this.matches.map((match) => match.finish()),
      target: this.target === null ? null : this.target.finish(),
    };
  }

  /** The rules, one a pair of addresses. */
  build(extensions: { matches: MatchSpec[]; target: TargetSpec | null }): ParsedRule {
    const sources = addressList(this.source);
    const destinations = addressList(this.destination);
    if (
      (sources.length > 1 || destinations.length > 1) &&
      (this.invert & (IPT_INV_SRCIP | IPT_INV_DSTIP)) !== 0
    )
      problem("! not allowed with multiple source or destination IP addresses");
    const target = extensions.target ?? this.namedTarget();
    const specs = sources.flatMap(([src, srcMask]) =>
      destinations.map(([dst, dstMask]): RuleSpec => {
        const ip: IpSpec = { ...this.baseSpec(), src, srcMask, dst, dstMask };
        return { ip, matches: extensions.matches, target };
      }),
    );
    return { specs, counters: this.counters };
  }

  private baseSpec(): IpSpec {
    return {
      ...ANY_IP,
      inIface: this.inIface,
      outIface: this.outIface,
      proto: this.proto,
      fragment: this.fragment,
      invert: this.invert,
    };
  }

  private namedTarget(): TargetSpec | null {
    const name = this.jumpTo;
    if (name === null || name === "") return null;
    if (!this.isGoto && (name === "ACCEPT" || name === "DROP" || name === "RETURN")) return { name };
    return { name: "chain", chain: name, goto: this.isGoto };
  }

  private base(key: string, value: string, getopt: Getopt): void {
    if (key === "p") this.proto = this.protocol(value);
    else if (key === "s") this.source = value;
    else if (key === "d") this.destination = value;
    else if (key === "i") this.inIface = interfaceName(value, this.warn);
    else if (key === "o") this.outIface = interfaceName(value, this.warn);
    else if (key === "f") this.fragment = true;
    else if (key === "c") this.counters = setCounters(value, getopt);
    else this.jump(key, value);
  }

  private readonly warn = (line: string): void => {
    this.warnings.push(`${line}\n`);
  };

  private protocol(word: string): number {
    const text = word.toLowerCase();
    const proto = protocolNumber(text);
    if (proto === null) problem(`unknown protocol "${text}" specified`);
    this.protoWord = text;
    if (proto === 0 && (this.invert & IPT_INV_PROTO) !== 0) problem("rule would never match protocol");
    return proto;
  }

  private jump(key: string, value: string): void {
    this.jumpTo = targetName(value);
    this.isGoto = key === "g";
    if (this.isGoto) return;
    const extension = findTarget(value);
    if (extension === undefined) return;
    const open = new OpenExtension<TargetSpec>(extension);
    this.target = open;
    this.opened.push({ open, long: this.extensionLong(extension.options) });
    this.remerge();
  }

  private loadMatch(name: string): void {
    if (findMatch(name) === undefined) problem(`Couldn't load match \`${name}':No such file or directory\n`);
    this.openMatch(name);
  }

  private openMatch(name: string): void {
    const extension = findMatch(name)!;
    const open = new OpenExtension<MatchSpec>(extension);
    this.matches.push(open);
    this.opened.push({ open, long: this.extensionLong(extension.options) });
    this.remerge();
  }

  private extensionLong(options: readonly OptionDef[]): LongOption[] {
    return options.map(({ name, arg }) => ({
      name,
      arg: arg ? "required" : "none",
      key: `${this.opened.length}:${name}`,
    }));
  }

  private remerge(): void {
    const newest = new Map<unknown, Opened>();
    for (const entry of this.opened) newest.set(entry.open.extension, entry);
    // Of a match that was loaded twice the second one has the options.
    const live = this.opened.filter((entry) => newest.get(entry.open.extension) === entry);
    this.long = [...this.baseLong, ...live.reverse().flatMap((entry) => entry.long)];
  }

  private extensionOption(opt: Opt & { kind: "option" }, invert: boolean, getopt: Getopt): void {
    const colon = opt.key.indexOf(":");
    const { open } = this.opened[Number(opt.key.slice(0, colon))];
    const name = opt.key.slice(colon + 1);
    const given: Given = {
      name,
      value: opt.value ?? "",
      invert,
      proto: this.proto,
      protoInverted: (this.invert & IPT_INV_PROTO) !== 0,
      nextWord: () => getopt.argument(),
      warn: this.warn,
    };
    open.take(open.extension.options.find((def) => def.name === name)!, given);
  }
}

const INVERTS: Readonly<Record<string, number>> = {
  s: IPT_INV_SRCIP,
  d: IPT_INV_DSTIP,
  p: IPT_INV_PROTO,
  i: IPT_INV_VIA_IN,
  o: IPT_INV_VIA_OUT,
  f: IPT_INV_FRAG,
};

/** The addresses of a list by comma; any when there is no list. */
function addressList(text: string | null): [number, number][] {
  return text === null ? [[0, 0]] : text.split(",").map((word) => hostMask(word.trimStart()));
}

function targetName(name: string): string {
  if (name === "") problem("Invalid target name (too short)");
  if (name.length > MAX_TARGET_NAME) problem(`Invalid target name \`${name}' (${MAX_TARGET_NAME} chars max)`);
  if (/\s/.test(name)) problem(`Invalid target name \`${name}'`);
  return name;
}

function setCounters(value: string, getopt: Getopt): [number, number] {
  const comma = value.indexOf(",", 1);
  const packets = comma < 0 ? value : value.slice(0, comma);
  const bytes = comma < 0 ? getopt.argument() : value.slice(comma + 1);
  if (bytes === null) problem("-c requires packet and byte counter");
  return [counter(packets, "packet"), counter(bytes, "byte")];
}

/** A number at the beginning of a word (sscanf). */
function counter(text: string, what: string): number {
  const found = /^\s*\+?([0-9]+)/.exec(text);
  if (found === null) problem(`-c ${what} counter not numeric`);
  return Number(found[1]);
}

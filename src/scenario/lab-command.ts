/** The lab's own console (`lab$`): time, captures, and what happens to cables and machines. Parsed before anything runs. */
import type { LabSpec } from "../lab.ts";
import type { SegmentOptions } from "../net/drivers/cable.ts";
import { UsageError } from "../util/errors.ts";
import { segmentOption } from "./front-matter-check.ts";
import { suggestion } from "./suggestion.ts";
import { parseDuration } from "./units.ts";

export type LabCommand =
  | { readonly kind: "wait"; readonly durationNs: number }
  /** To a time since the start of the lab. */
  | { readonly kind: "wait-until"; readonly atNs: number }
  | { readonly kind: "capture-start"; readonly name: string; readonly promiscuous: boolean }
  /** null: the one that was started last. */
  | { readonly kind: "capture-stop"; readonly name: string | null }
  | { readonly kind: "cut" | "heal"; readonly segment: string; readonly machine: string }
  | { readonly kind: "crash" | "boot"; readonly machine: string }
  | { readonly kind: "set"; readonly segment: string; readonly options: Partial<SegmentOptions> }
  | { readonly kind: "partition"; readonly groups: readonly (readonly string[])[] };

/** A bad command of the lab's console: where in its text. */
export class LabCommandError extends UsageError {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message, 2);
    this.name = "LabCommandError";
    this.offset = offset;
  }
}

const VERBS = ["wait", "capture", "cut", "heal", "crash", "boot", "set", "partition"];
const WINDOW_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

interface Token {
  readonly text: string;
  readonly offset: number;
}

class Reader {
  private readonly tokens: readonly Token[];
  private at = 0;
  private readonly end: number;

  constructor(text: string) {
    this.tokens = [...text.matchAll(/\S+/g)].map((found) => ({ text: found[0], offset: found.index }));
    this.end = text.length;
  }

  get rest(): readonly Token[] {
    return this.tokens.slice(this.at);
  }

  next(what: string): Token {
    const token = this.tokens[this.at++];
    if (token === undefined) throw new LabCommandError(`${what} is missing`, this.end);
    return token;
  }

  named(what: string, known: readonly string[]): string {
    const token = this.next(`the ${what}`);
    if (!known.includes(token.text))
      throw new LabCommandError(
        `unknown ${what} \`${token.text}\`${suggestion(token.text, known)}`,
        token.offset,
      );
    return token.text;
  }

  finish(): void {
    const token = this.tokens[this.at];
    if (token !== undefined) throw new LabCommandError(`\`${token.text}\` is too much here`, token.offset);
  }
}

/** Throws {@link LabCommandError}. */
export function parseLabCommand(text: string, spec: LabSpec): LabCommand {
  const reader = new Reader(text);
  const verb = reader.named("command of the lab", VERBS);
  const command = parseVerb(verb, reader, spec);
  reader.finish();
  return command;
}

function parseVerb(verb: string, reader: Reader, spec: LabSpec): LabCommand {
  const machines = spec.machines.map(({ name }) => name);
  const segments = spec.segments.map(({ name }) => name);
  switch (verb) {
    case "wait":
      return parseWait(reader);
    case "capture":
      return parseCapture(reader);
    case "cut":
    case "heal":
      return {
        kind: verb,
        segment: reader.named("segment", segments),
        machine: reader.named("machine", machines),
      };
    case "crash":
    case "boot":
      return { kind: verb, machine: reader.named("machine", machines) };
    case "set":
      return parseSet(reader, segments);
    default:
      return parsePartition(reader, machines);
  }
}

function parseWait(reader: Reader): LabCommand {
  const first = reader.next("how long, such as `30s`,");
  const until = first.text === "until";
  const token = until ? reader.next("until when, such as `90s` after the start,") : first;
  const time = parseDuration(token.text);
  if (time === null)
    throw new LabCommandError(
      `bad time \`${token.text}\`: expected one such as \`30s\` or \`200ms\``,
      token.offset,
    );
  return until ? { kind: "wait-until", atNs: time } : { kind: "wait", durationNs: time };
}

function parseCapture(reader: Reader): LabCommand {
  const verb = reader.named("action", ["start", "stop"]);
  if (verb === "stop")
    return { kind: "capture-stop", name: reader.rest.length === 0 ? null : reader.next("the name").text };
  const name = reader.next("the name of the capture");
  if (!WINDOW_NAME.test(name.text))
    throw new LabCommandError(
      `\`${name.text}\` is no name of a capture: letters, digits, . - and _`,
      name.offset,
    );
  const promiscuous = reader.rest.length > 0;
  if (promiscuous) reader.named("option", ["--promiscuous"]);
  return { kind: "capture-start", name: name.text, promiscuous };
}

function parseSet(reader: Reader, segments: readonly string[]): LabCommand {
  const segment = reader.named("segment", segments);
  const options: Partial<SegmentOptions> = {};
  do {
    const { text, offset } = reader.next("a setting such as `loss=1%`");
    const [key, value] = text.split(/=(.*)/s);
    if (value === undefined)
      throw new LabCommandError(`expected a setting such as \`loss=1%\`, found \`${text}\``, offset);
    const option = segmentOption(key, value);
    if (typeof option === "string") throw new LabCommandError(option, offset);
    options[option.option] = option.value;
  } while (reader.rest.length > 0);
  return { kind: "set", segment, options };
}

function parsePartition(reader: Reader, machines: readonly string[]): LabCommand {
  const groups: string[][] = [[]];
  const offset = reader.rest[0]?.offset ?? 0;
  while (reader.rest.length > 0) {
    const token = reader.next("");
    if (token.text === "|") groups.push([]);
    else
      for (const name of token.text.split(",").filter((part) => part !== "")) {
        if (!machines.includes(name))
          throw new LabCommandError(`unknown machine \`${name}\`${suggestion(name, machines)}`, token.offset);
        groups.at(-1)!.push(name);
      }
  }
  if (groups.length < 2 || groups.some((group) => group.length === 0))
    throw new LabCommandError("expected two groups or more, such as `a,b | c`", offset);
  return { kind: "partition", groups };
}

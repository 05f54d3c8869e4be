/**
 * `pins:` of the front matter: what reality leaves to chance, fixed. The schema gives the shape; here the names and values
 * are checked against the rest of the page. Lists by machine may begin at a moment: `{ 1490s: [...], 1560s: [...] }`.
 */
import { z } from "zod";
import type { MachineSpec } from "../lab.ts";
import type { NodePin, PinProblem, Pins } from "../swarm/pins.ts";
import type { PinnedPart } from "../util/pinned.ts";
import { parseCidr, parseIp4 } from "../wire/address.ts";
import type { FrontMatterPlaces } from "./front-matter.ts";
import { suggestion } from "./suggestion.ts";
import { parseDuration } from "./units.ts";

const addresses = z.record(z.string(), z.string());
const lists = z.record(z.string(), z.unknown());

export const pinsSchema = z.strictObject({
  tasks: z
    .record(
      z.string(),
      z.strictObject({
        node: z.string().optional(),
        starts: z.int().min(1).optional(),
        addresses: addresses.optional(),
        networks: z.array(z.string()).optional(),
      }),
    )
    .optional(),
  services: z.record(z.string(), z.strictObject({ vips: addresses.optional() })).optional(),
  nodes: z
    .record(
      z.string(),
      z.strictObject({
        lb: addresses.optional(),
        uptime: z.unknown().optional(),
        gossip: z.unknown().optional(),
      }),
    )
    .optional(),
  networks: z
    .record(
      z.string(),
      z.strictObject({ subnet: z.string().optional(), vni: z.int().min(1).max(16777215).optional() }),
    )
    .optional(),
  ports: lists.optional(),
  answers: lists.optional(),
  questions: lists.optional(),
  replies: lists.optional(),
  queryIds: lists.optional(),
  queryPorts: lists.optional(),
  clock: lists.optional(),
  work: lists.optional(),
  pauses: lists.optional(),
});

type PinsData = z.infer<typeof pinsSchema>;
type Path = readonly (string | number)[];

/** Keys known at a place of the schema; "*" stands for a name. */
export const PIN_KEYS: Record<string, readonly string[]> = {
  pins: Object.keys(pinsSchema.shape),
  "pins/tasks/*": ["node", "starts", "addresses", "networks"],
  "pins/services/*": ["vips"],
  "pins/nodes/*": ["lb", "uptime", "gossip"],
  "pins/networks/*": ["subnet", "vni"],
};

/** A kind of value: null for what is none, and what one looks like. */
interface Kind<T> {
  readonly parse: (value: unknown) => T | null;
  readonly example: string;
}

const whole = (least: number, most: number) => (value: unknown) =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most
    ? (value as number)
    : null;
const text = (value: unknown) => (typeof value === "string" || typeof value === "number" ? `${value}` : "");

const PORT: Kind<number> = { parse: whole(1, 65535), example: "a port, 1 to 65535" };
const QUERY_ID: Kind<number> = { parse: whole(0, 65535), example: "an identifier, 0 to 65535" };
const TYPE: Kind<string> = {
  parse: (value) => (value === "A" || value === "AAAA" ? value : null),
  example: "`A` or `AAAA`",
};
const ADDRESS: Kind<string> = {
  parse: (value) => (parseIp4(text(value)) === null ? null : text(value)),
  example: "an address such as 10.0.0.5",
};
const DURATION: Kind<number> = {
  parse: (value) => parseDuration(typeof value === "number" ? `${value}s` : text(value)),
  example: "a time such as `1.5s`",
};

/** Also of a machine that was started only after the lab had begun. */
const UPTIME: Kind<number> = {
  parse: (value) => {
    const sign = text(value).startsWith("-") ? -1 : 1;
    const size = DURATION.parse(typeof value === "number" ? Math.abs(value) : text(value).replace(/^-/, ""));
    return size === null ? null : sign * size;
  },
  example: "a time such as `90s`, or `-90s` for a later start",
};

export interface CheckedPins {
  readonly pins: Pins;
  /** Source ports by machine. */
  readonly ports: Readonly<Record<string, readonly PinnedPart<number>[]>>;
}

/** Throws a ScenarioError for the first pin that cannot be right. */
export function checkPins(
  data: PinsData,
  machines: readonly MachineSpec[],
  places: FrontMatterPlaces,
): CheckedPins {
  const docker = machines.filter((machine) => machine.docker);
  const names = (list: readonly MachineSpec[]) => list.map(({ name }) => name);
  return new PinsCheck(places, names(machines), names(docker)).check(data);
}

class PinsCheck {
  private readonly places: FrontMatterPlaces;
  private readonly machines: readonly string[];
  private readonly docker: readonly string[];

  constructor(places: FrontMatterPlaces, machines: readonly string[], docker: readonly string[]) {
    this.places = places;
    this.machines = machines;
    this.docker = docker;
  }

  check(data: PinsData): CheckedPins {
    this.tasks(data.tasks ?? {});
    for (const [service, pin] of Object.entries(data.services ?? {}))
      this.addresses(pin.vips ?? {}, ["pins", "services", service, "vips"]);
    const nodes = this.nodes(data.nodes ?? {});
    for (const [network, pin] of Object.entries(data.networks ?? {}))
      if (pin.subnet !== undefined && parseCidr(pin.subnet) === null)
        throw this.places.errorAtValue(
          ["pins", "networks", network, "subnet"],
          `bad subnet \`${pin.subnet}\`: expected one such as 10.0.1.0/24`,
        );
    const pins: Pins = {
      ...(data.tasks === undefined ? {} : { tasks: data.tasks }),
      ...(data.services === undefined ? {} : { services: data.services }),
      ...(data.networks === undefined ? {} : { networks: data.networks }),
      nodes,
      answers: this.lists("answers", data.answers, ADDRESS),
      questions: this.byMachine("questions", data.questions, TYPE, this.docker),
      replies: this.byMachine("replies", data.replies, TYPE, this.docker),
      queryIds: this.byMachine("queryIds", data.queryIds, QUERY_ID, this.machines),
      queryPorts: this.byMachine("queryPorts", data.queryPorts, PORT, this.docker),
      clock: this.byMachine("clock", data.clock, DURATION, this.machines),
      work: this.byMachine("work", data.work, DURATION, this.machines),
      pauses: this.byMachine("pauses", data.pauses, DURATION, this.machines),
    };
    return { pins, ports: this.byMachine("ports", data.ports, PORT, this.machines) };
  }

  private tasks(tasks: NonNullable<PinsData["tasks"]>): void {
    for (const [task, pin] of Object.entries(tasks)) {
      const path = ["pins", "tasks", task];
      if (!/^\S+\.\d+(\/([2-9]|\d\d+))?$/.test(task))
        throw this.places.errorAtKey(
          path,
          `\`${task}\` is no task: expected one such as \`web.1\`, or \`web.1/2\` for the second of its slot`,
        );
      if (pin.node !== undefined) this.engine(pin.node, [...path, "node"], false);
      this.addresses(pin.addresses ?? {}, [...path, "addresses"]);
    }
  }

  private nodes(data: NonNullable<PinsData["nodes"]>): Record<string, NodePin> {
    const nodes: Record<string, NodePin> = {};
    for (const [node, pin] of Object.entries(data)) {
      const path = ["pins", "nodes", node];
      this.known(node, path, true, this.machines);
      if (pin.lb !== undefined || pin.gossip !== undefined) this.engine(node, path, true);
      this.addresses(pin.lb ?? {}, [...path, "lb"]);
      nodes[node] = {
        ...(pin.lb === undefined ? {} : { lb: pin.lb }),
        ...(pin.uptime === undefined
          ? {}
          : { uptimeNs: this.value(pin.uptime, UPTIME, [...path, "uptime"]) }),
        ...(pin.gossip === undefined
          ? {}
          : { gossipNs: this.value(pin.gossip, DURATION, [...path, "gossip"]) }),
      };
    }
    return nodes;
  }

  private addresses(byNetwork: Readonly<Record<string, string>>, path: Path): void {
    const taken = new Map<string, string>();
    for (const [network, addr] of Object.entries(byNetwork)) {
      this.value(addr, ADDRESS, [...path, network]);
      const other = taken.get(addr);
      if (other !== undefined)
        throw this.places.errorAtValue([...path, network], `${addr} is that of \`${other}\` already`);
      taken.set(addr, network);
    }
  }

  private byMachine<T>(
    key: string,
    data: Readonly<Record<string, unknown>> | undefined,
    kind: Kind<T>,
    names: readonly string[],
  ): Record<string, PinnedPart<T>[]> {
    for (const machine of Object.keys(data ?? {})) {
      const path = ["pins", key, machine];
      if (names === this.docker) this.engine(machine, path, true);
      else this.known(machine, path, true, names);
    }
    return this.lists(key, data, kind);
  }

  private lists<T>(
    key: string,
    data: Readonly<Record<string, unknown>> | undefined,
    kind: Kind<T>,
  ): Record<string, PinnedPart<T>[]> {
    const out: Record<string, PinnedPart<T>[]> = {};
    for (const [name, value] of Object.entries(data ?? {}))
      out[name] = this.parts(value, kind, ["pins", key, name]);
    return out;
  }

  /** A list, or lists by the moment from which they are taken. */
  private parts<T>(value: unknown, kind: Kind<T>, path: Path): PinnedPart<T>[] {
    if (Array.isArray(value)) return [{ fromNs: 0, values: this.values(value, kind, path) }];
    if (typeof value !== "object" || value === null)
      throw this.places.errorAtValue(
        path,
        `\`${path.at(-1)}\`: expected a list, or lists by time: { 90s: [...] }`,
      );
    const parts = Object.entries(value).map(([moment, list]) => {
      const fromNs = parseDuration(/^[\d.]+$/.test(moment) ? `${moment}s` : moment);
      if (fromNs === null)
        throw this.places.errorAtKey([...path, moment], `\`${moment}\`: expected a time such as \`90s\``);
      if (!Array.isArray(list))
        throw this.places.errorAtValue([...path, moment], `\`${moment}\`: expected a list`);
      return { fromNs, values: this.values(list, kind, [...path, moment]) };
    });
    return parts.sort((a, b) => a.fromNs - b.fromNs);
  }

  private values<T>(list: readonly unknown[], kind: Kind<T>, path: Path): T[] {
    return list.map((value, i) => this.value(value, kind, [...path, i]));
  }

  private value<T>(value: unknown, kind: Kind<T>, path: Path): T {
    const parsed = kind.parse(value);
    if (parsed !== null) return parsed;
    const shown = typeof value === "object" ? JSON.stringify(value) : String(value);
    throw this.places.errorAtValue(path, `\`${shown}\`: expected ${kind.example}`);
  }

  private engine(name: string, path: Path, atKey: boolean): void {
    this.known(name, path, atKey, this.machines);
    if (this.docker.includes(name)) return;
    const message = `\`${name}\` runs no Docker engine`;
    throw atKey ? this.places.errorAtKey(path, message) : this.places.errorAtValue(path, message);
  }

  private known(name: string, path: Path, atKey: boolean, names: readonly string[]): void {
    if (names.includes(name)) return;
    const message = `unknown machine \`${name}\`${suggestion(name, names)}`;
    throw atKey ? this.places.errorAtKey(path, message) : this.places.errorAtValue(path, message);
  }
}

/** What the run has shown to be wrong with the pins, as an error at its place. */
export function pinError({ path, message }: PinProblem, places: FrontMatterPlaces): Error {
  return path.length > 3 ? places.errorAtValue(path, message) : places.errorAtKey(path, message);
}

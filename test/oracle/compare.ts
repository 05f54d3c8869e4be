/** Compares what was seen on both sides: every frame of every interface in order, then the text of the commands. */
import { Dissector, PLAIN } from "../../src/capture/dissect.ts";
import { allNamespaces, type Case } from "./case.ts";
import { Masks } from "./masks.ts";
import {
  ETH_HLEN,
  ETH_P_IP,
  fromHex,
  get16,
  hexOf,
  IPPROTO_ICMP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
} from "./packet.ts";
import { ANSWER_ID } from "./peers.ts";
import type { Observation } from "./run-case.ts";
import type { Seen } from "./side.ts";

export interface Difference {
  /** Place: step and namespace, or namespace and command. */
  readonly where: string;
  readonly text: string;
}

/** A number of five digits or less. The ports of a translated source are drawn, unless the station's own will do. */
const NUMBER = /\b(\d{1,5})\b/g;
const DRAWN = /--to-source \S+/g;

const PORTED: ReadonlySet<number> = new Set([IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_UDPLITE]);

/** Ports and ICMP ids in the frames of the stations, and every number of the rules that is not drawn from. */
function knownPorts(one: Case): Set<number> {
  const known = new Set<number>(one.listeners.map(({ port }) => port));
  for (const { frame } of one.steps) {
    const bytes = fromHex(frame ?? "");
    if (bytes.length < ETH_HLEN + 28 || get16(bytes, 12) !== ETH_P_IP) continue;
    const l4 = ETH_HLEN + (bytes[ETH_HLEN] & 15) * 4;
    const protocol = bytes[ETH_HLEN + 9];
    if (l4 + 8 > bytes.length || (get16(bytes, ETH_HLEN + 6) & 0x1fff) !== 0) continue;
    if (protocol === IPPROTO_ICMP) known.add(get16(bytes, l4 + 4));
    if (!PORTED.has(protocol)) continue;
    known.add(get16(bytes, l4));
    known.add(get16(bytes, l4 + 2));
  }
  for (const { run } of [...one.setup, ...one.rules])
    for (const [, number] of run.replace(DRAWN, "").matchAll(NUMBER)) known.add(Number(number));
  return known;
}

function knownIds(one: Case): Set<number> {
  const known = new Set<number>([0]);
  for (let i = 0; i <= one.steps.length; i++) known.add(ANSWER_ID + i);
  for (const { frame } of one.steps) {
    const bytes = fromHex(frame ?? "");
    if (bytes.length >= ETH_HLEN + 20 && get16(bytes, 12) === ETH_P_IP) known.add(get16(bytes, ETH_HLEN + 4));
  }
  return known;
}

/** The first difference, null when there is none that is not chance. */
export function firstDifference(one: Case, truth: Observation, mesh: Observation): Difference | null {
  if (mesh.failure !== null) return { where: "meshwire breaks off", text: mesh.failure };
  const masks = new Masks(knownPorts(one), knownIds(one));
  const found = differenceUnder(masks, one, truth, mesh);
  return masks.collided ? null : found;
}

function differenceUnder(masks: Masks, one: Case, truth: Observation, mesh: Observation): Difference | null {
  for (let step = 0; step < one.steps.length; step++) {
    for (const ns of allNamespaces(one)) {
      const of = (side: Observation): Seen[] => side.frames[step].filter((frame) => frame.ns === ns);
      const text = frameDifference(of(truth), of(mesh), masks);
      if (text !== null)
        return { where: `step ${step + 1} (${one.steps[step].note}), namespace ${ns}`, text };
    }
  }
  for (const [question, answer] of truth.texts) {
    const actual = textLines(question, mesh.texts.get(question) ?? "", (line) => masks.sortKey(line, "mesh"));
    const real = textLines(question, answer, (line) => masks.sortKey(line, "real"));
    const expected = real.map((line, i) => masks.renameLine(line, actual[i] ?? ""));
    const text = lineDifference(expected, actual);
    if (text !== null) return { where: question, text };
  }
  return null;
}

function frameDifference(real: readonly Seen[], mesh: readonly Seen[], masks: Masks): string | null {
  for (let i = 0; i < Math.max(real.length, mesh.length); i++) {
    const [a, b] = [real[i], mesh[i]];
    if (a !== undefined && b !== undefined && a.dev === b.dev && a.outgoing === b.outgoing)
      if (Buffer.compare(masks.rename(a.bytes, b.bytes, a.dev), b.bytes) === 0) continue;
    return `frame ${i + 1}\n${listing("real", real, i)}${listing("meshwire", mesh, i)}`;
  }
  return null;
}

const SHOWN_BEFORE = 3;

/** The frames of a step around the differing one as text, the differing one with its bytes. */
function listing(side: string, frames: readonly Seen[], marked: number): string {
  const first = Math.max(0, marked - SHOWN_BEFORE);
  const lines = frames.slice(first, marked + 2).map((seen, index) => {
    const i = first + index;
    const line = `  ${i === marked ? ">" : " "} ${frameLine(seen)}`;
    return i === marked ? `${line}\n      ${hexOf(seen.bytes)}` : line;
  });
  return `${[`${side}:`, ...lines, ...(frames.length <= marked ? ["  > nothing more"] : [])].join("\n")}\n`;
}

export function frameLine(seen: Seen): string {
  const options = { ...PLAIN, link: true, noTime: true, verbose: 1, absoluteSeq: true };
  const text = new Dissector(options).frameText(seen.bytes, seen.bytes.length).replaceAll("\n", " ");
  return `${seen.dev} ${seen.outgoing ? "out" : "in "} ${text}`;
}

/** Seconds that are left, as conntrack prints them: after name and number of the protocol. */
const CONNTRACK_TIMEOUT = /^(\S+\s+\d+ )(\d+)( .*)$/;

/** How many packets hold a connection at this moment. */
const MOMENTARY = / use=\d+$/;

/** The lines of a text without times of day, in an order that does not depend on random hashes. */
function textLines(question: string, text: string, sortKey: (line: string) => string): string[] {
  const lines = text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.replace(MOMENTARY, ""));
  if (question.includes("neigh")) return lines.sort();
  if (!question.includes("conntrack")) return lines;
  const key = (line: string) => sortKey(line).replace(CONNTRACK_TIMEOUT, "$1$3");
  return lines.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Equal, or the same but for one second of a timeout, which passes while the commands run. */
function sameLine(a: string | undefined, b: string | undefined): boolean {
  if (a === b) return true;
  const [left, right] = [CONNTRACK_TIMEOUT.exec(a ?? ""), CONNTRACK_TIMEOUT.exec(b ?? "")];
  if (left === null || right === null || left[1] !== right[1] || left[3] !== right[3]) return false;
  return Math.abs(Number(left[2]) - Number(right[2])) <= 1;
}

function lineDifference(real: readonly string[], mesh: readonly string[]): string | null {
  for (let i = 0; i < Math.max(real.length, mesh.length); i++)
    if (!sameLine(real[i], mesh[i]))
      return `line ${i + 1}\nreal:\n${marked(real, i)}meshwire:\n${marked(mesh, i)}`;
  return null;
}

function marked(lines: readonly string[], at: number): string {
  const shown = lines.map((line, i) => `  ${i === at ? ">" : " "} ${line}`);
  return `${[...shown, ...(lines.length <= at ? ["  > nothing more"] : [])].join("\n")}\n`;
}

/**
 * The front matter of a lab page: YAML to a {@link LabSpec}. The shape is checked by a schema, the meaning (addresses,
 * names) in `front-matter-check.ts`; every error names the place of the key or value in the page.
 */
import { type Document, isMap, isNode, isPair, isScalar, parseDocument, visit } from "yaml";
import { z } from "zod";
import { PIN_KEYS, pinsSchema } from "./pins.ts";
import type { SourceText } from "./source-text.ts";
import { suggestion } from "./suggestion.ts";

const port = z.int().min(1).max(65535);
const text = z.union([z.string(), z.number()]).transform(String);

const schema = z.strictObject({
  seed: z.int().min(0).optional(),
  profile: z.literal("docker-20.10").optional(),
  segments: z.record(
    z.string(),
    z.strictObject({
      subnet: z.string(),
      gateway: z.string().optional(),
      latency: text.optional(),
      bandwidth: text.optional(),
      mtu: z.int().min(68).max(9000).optional(),
      loss: text.optional(),
      jitter: text.optional(),
      reorder: text.optional(),
      queue: text.optional(),
    }),
  ),
  machines: z.record(z.string(), z.record(z.string(), z.unknown())),
  images: z
    .record(
      z.string(),
      z.strictObject({
        http: port.optional(),
        "udp-echo": port.optional(),
        command: z.array(text).optional(),
        expose: z.array(z.union([port, z.string().regex(/^\d+\/(?:tcp|udp|sctp)$/)])).optional(),
      }),
    )
    .optional(),
  pins: pinsSchema.optional(),
});

/** The front matter as written. */
export type FrontMatter = z.infer<typeof schema>;

type Path = readonly PropertyKey[];

/** Places of the keys and values of the front matter in the page. */
export class FrontMatterPlaces {
  private readonly document: Document;
  private readonly offset: number;
  readonly source: SourceText;

  constructor(document: Document, offset: number, source: SourceText) {
    this.document = document;
    this.offset = offset;
    this.source = source;
  }

  /** An error at the value of `path`. */
  errorAtValue(path: Path, message: string): Error {
    const node = this.document.getIn(path as string[], true);
    const at = isNode(node) ? node.range?.[0] : undefined;
    return at === undefined ? this.errorAtKey(path, message) : this.source.errorAt(this.offset + at, message);
  }

  /** An error at the key that ends `path`. */
  errorAtKey(path: Path, message: string): Error {
    for (let length = path.length; length > 0; length--) {
      const parent =
        length === 1
          ? this.document.contents
          : this.document.getIn(path.slice(0, length - 1) as string[], true);
      if (!isMap(parent)) continue;
      const pair = parent.items.find(
        (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(path[length - 1]),
      );
      if (pair !== undefined && isNode(pair.key))
        return this.source.errorAt(this.offset + (pair.key.range?.[0] ?? 0), message);
    }
    return this.source.errorAt(this.offset, message);
  }
}

/** Parses the YAML between offsets; throws a ScenarioError for the first thing that is wrong. */
export function parseFrontMatter(
  source: SourceText,
  from: number,
  to: number,
): { data: FrontMatter; places: FrontMatterPlaces } {
  const document = parseDocument(source.text.slice(from, to), { prettyErrors: false });
  const bad = document.errors[0];
  if (bad !== undefined)
    throw source.errorAt(from + bad.pos[0], `the front matter is not YAML: ${bad.message}`);
  refuseOddNodes(document, from, source);
  const places = new FrontMatterPlaces(document, from, source);
  const value: unknown = document.toJS() ?? {};
  const result = schema.safeParse(value);
  if (result.success) return { data: result.data, places };
  throw complaintError(complaints(result.error)[0], value, places);
}

/** What YAML allows and a lab page does not: aliases, and keys that are no words. */
function refuseOddNodes(document: Document, from: number, source: SourceText): void {
  visit(document, {
    Alias: (_, alias) => {
      throw source.errorAt(
        from + alias.range![0],
        `\`*${alias.source}\` is a YAML alias: write the value out, or put it in quotes`,
      );
    },
    Pair: (_, { key }) => {
      if (isNode(key) && !isScalar(key))
        throw source.errorAt(from + key.range![0], "a list or map as a key: expected a word");
    },
  });
}

/** The message of a ZodError is the JSON text of what it found wrong, in the order of the schema. */
function complaints(error: z.ZodError): Complaint[] {
  return JSON.parse(error.message) as Complaint[];
}

interface Complaint {
  readonly code: string;
  readonly path: (string | number)[];
  readonly message: string;
  readonly keys?: string[];
  readonly expected?: string;
  readonly values?: unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Keys known at a place of the schema; "*" stands for a name. */
const KNOWN: Record<string, readonly string[]> = {
  "": ["seed", "profile", "segments", "machines", "images", "pins"],
  "segments/*": ["subnet", "gateway", "latency", "bandwidth", "mtu", "loss", "jitter", "reorder", "queue"],
  "images/*": ["http", "udp-echo", "command", "expose"],
  ...PIN_KEYS,
};

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "a mapping" : `\`${String(value)}\``;
}

function complaintError(complaint: Complaint, value: unknown, places: FrontMatterPlaces): Error {
  const { path } = complaint;
  if (complaint.code === "unrecognized_keys") {
    const pattern = path.map((part, i) => (isName(path, i) ? "*" : String(part))).join("/");
    const key = complaint.keys![0];
    return places.errorAtKey(
      [...path, key],
      `unknown key \`${key}\`${suggestion(key, KNOWN[pattern] ?? [])}`,
    );
  }
  const name = String(path.at(-1) ?? "front matter");
  const found = path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
    value,
  );
  if (found === undefined) return places.errorAtKey(path, `\`${name}\` is missing${purpose(name)}`);
  return places.errorAtValue(path, `\`${name}\`: ${expectation(complaint)}, found ${shown(found)}`);
}

/** Whether the part of a path is a name that the page chose. */
function isName(path: readonly PropertyKey[], index: number): boolean {
  return path[0] === "pins" ? index === 2 : index === 1;
}

function purpose(name: string): string {
  if (name === "segments") return ": the networks by name, e.g. `lan: { subnet: 192.168.200.0/24 }`";
  if (name === "machines") return ": the machines by name, e.g. `client: { lan: 192.168.200.1 }`";
  if (name === "subnet") return ": the addresses of the segment, e.g. `192.168.200.0/24`";
  return "";
}

function expectation(complaint: Complaint): string {
  if (complaint.code === "invalid_value")
    return `expected ${(complaint.values ?? []).map((one) => `\`${String(one)}\``).join(" or ")}`;
  if (complaint.code === "too_small") return `must be at least ${complaint.minimum}`;
  if (complaint.code === "too_big") return `must be at most ${complaint.maximum}`;
  const words: Record<string, string> = {
    int: "a whole number",
    number: "a number",
    string: "a text",
    record: "a mapping",
    object: "a mapping",
    array: "a list",
    boolean: "true or false",
  };
  if (complaint.code === "invalid_type")
    return `expected ${words[complaint.expected ?? ""] ?? complaint.expected}`;
  return complaint.code === "invalid_union" ? "expected a text or a number" : complaint.message;
}

/** What `ip -j -d addr` says of a device (iproute2 ip/ipaddress.c, iplink_bridge.c, iplink_vxlan.c, iplink_bridge_slave.c). */
import { z } from "zod";
import { parseMac } from "../../wire/address.ts";
import type { DumpNetns, DumpSection } from "./dump.ts";
import type { Problems } from "./problems.ts";

const values = z.record(z.string(), z.unknown());

const linkSchema = z.looseObject({
  ifindex: z.int().min(1),
  ifname: z.string(),
  flags: z.array(z.string()),
  mtu: z.int(),
  /** ifindex of the other end in another namespace. */
  link_index: z.int().optional(),
  /** Name of the other end, or of the lower device, in this namespace. */
  link: z.string().nullable().optional(),
  link_netnsid: z.int().optional(),
  master: z.string().optional(),
  txqlen: z.int().optional(),
  qdisc: z.string().optional(),
  link_type: z.string(),
  address: z.string().optional(),
  max_mtu: z.int().optional(),
  linkinfo: z
    .looseObject({
      info_kind: z.string().optional(),
      info_data: values.optional(),
      info_slave_kind: z.string().optional(),
      info_slave_data: values.optional(),
    })
    .optional(),
  addr_info: z.array(values).optional(),
});

export type LinkJson = z.infer<typeof linkSchema>;

/** The kinds of devices that stand in a lab as they were. */
export type LinkKind = "loopback" | "nic" | "bridge" | "veth" | "vxlan" | "dummy";

/** The list in a section, each entry as `schema` has it; what is no such list is an error. */
export function jsonList<T>(section: DumpSection | undefined, schema: z.ZodType<T>, problems: Problems): T[] {
  if (section === undefined || section.text === "") return [];
  let value: unknown;
  try {
    value = JSON.parse(section.text);
  } catch {
    problems.error(section.line, "expected what `ip -j` prints: this is not JSON");
    return [];
  }
  // iproute2 prints an empty object for what its filter left out.
  const entries = (Array.isArray(value) ? value : [value]).filter(
    (entry: unknown) => typeof entry !== "object" || entry === null || Object.keys(entry).length > 0,
  );
  const list: T[] = [];
  for (const entry of entries) {
    const parsed = schema.safeParse(entry);
    if (parsed.success) list.push(parsed.data);
    else problems.error(section.line, `unexpected entry ${JSON.stringify(entry).slice(0, 80)}`);
  }
  return list;
}

/** The devices of a namespace by ifindex. */
export function linksOf(netns: DumpNetns, problems: Problems): LinkJson[] {
  const section = netns.sections.get("addr");
  if (section === undefined) {
    problems.error(netns.line, "this namespace has no `@section addr`");
    return [];
  }
  return jsonList(section, linkSchema, problems).sort((a, b) => a.ifindex - b.ifindex);
}

/** null for a kind that is not modelled. */
export function kindOf(link: LinkJson): LinkKind | null {
  const kind = link.linkinfo?.info_kind;
  if (link.link_type === "loopback") return "loopback";
  if (kind === undefined) return link.link_type === "ether" ? "nic" : null;
  return kind === "bridge" || kind === "veth" || kind === "vxlan" || kind === "dummy" ? kind : null;
}

export function isUp(link: LinkJson): boolean {
  return link.flags.includes("UP");
}

/** Whether packets can meet the device: it is up and has an IPv4 address or is a port of a bridge. */
export function isInUse(link: LinkJson): boolean {
  return isUp(link) && (link.master !== undefined || ip4Addresses(link).length > 0);
}

/** One entry of `addr_info` of the family inet. */
export interface AddressJson {
  readonly family: "inet";
  readonly local: string;
  readonly address?: string;
  readonly peer?: string;
  readonly prefixlen: number;
  readonly broadcast?: string;
  readonly scope?: string;
  readonly label?: string;
  readonly metric?: number;
  readonly noprefixroute?: boolean;
  readonly dynamic?: boolean;
}

export function ip4Addresses(link: LinkJson): AddressJson[] {
  const list = (link.addr_info ?? []) as readonly { readonly family?: string }[];
  return list.filter(({ family }) => family === "inet") as AddressJson[];
}

/** Upper 16 and lower 32 bits. */
export function macOf(link: LinkJson): { hi: number; lo: number } | null {
  return parseMac(link.address ?? "");
}

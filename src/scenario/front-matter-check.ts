/** The meaning of the front matter: names, addresses, quantities. Makes the {@link LabSpec}. */
import type { LabSpec, MachineSpec, NicSpec, SegmentSpec } from "../lab.ts";
import type { SegmentOptions } from "../net/drivers/cable.ts";
import {
  formatCidr,
  formatIp4,
  formatMac,
  parseCidr,
  parseIp4,
  parseMac,
  prefixToMask,
} from "../wire/address.ts";
import type { FrontMatter, FrontMatterPlaces } from "./front-matter.ts";
import { type FileReader, importedMachine } from "./machine-import.ts";
import { checkPins } from "./pins.ts";
import { suggestion } from "./suggestion.ts";
import { parseDuration, parseFraction, parseRate, parseSize } from "./units.ts";

const MACHINE_KEYS = ["docker", "forward", "gateway", "dns", "sysctl", "import", "listen"];
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

type Segments = FrontMatter["segments"];
type Quantity = "latency" | "bandwidth" | "loss" | "jitter" | "reorder" | "queue";

/** A cable that carries nothing is one that is cut. */
const positiveRate = (text: string): number | null => parseRate(text) || null;

const QUANTITIES: Record<
  Quantity,
  { option: keyof SegmentOptions; parse: (text: string) => number | null; example: string }
> = {
  latency: { option: "latencyNs", parse: parseDuration, example: "a time such as `200us`" },
  jitter: { option: "jitterNs", parse: parseDuration, example: "a time such as `50us`" },
  bandwidth: { option: "bitsPerSecond", parse: positiveRate, example: "a rate such as `1Gbit`" },
  loss: { option: "loss", parse: parseFraction, example: "a share such as `1%`" },
  reorder: { option: "reorder", parse: parseFraction, example: "a share such as `1%`" },
  queue: { option: "queueBytes", parse: parseSize, example: "a size such as `256k`" },
};

/** A property of a segment as an option of the emulation; the text of the error when it is none. */
export function segmentOption(
  key: string,
  value: string,
): { option: keyof SegmentOptions; value: number } | string {
  if (key === "mtu") {
    const mtu = Number(value);
    return Number.isInteger(mtu) && mtu >= 68 && mtu <= 9000
      ? { option: "mtu", value: mtu }
      : "`mtu`: expected 68 to 9000";
  }
  const quantity = QUANTITIES[key as Quantity] as (typeof QUANTITIES)[Quantity] | undefined;
  if (quantity === undefined)
    return `unknown property \`${key}\`${suggestion(key, [...Object.keys(QUANTITIES), "mtu"])}`;
  const number = quantity.parse(value);
  return number === null
    ? `\`${key}\`: expected ${quantity.example}, found \`${value}\``
    : { option: quantity.option, value: number };
}

/**
 * Throws a ScenarioError for the first thing that is wrong. `seed` wins over that of the page; `readFile` gives the dumps
 * that machines are imported from.
 */
export function labSpec(
  data: FrontMatter,
  places: FrontMatterPlaces,
  seed: number | null,
  readFile: FileReader = () => null,
): LabSpec {
  const segments = Object.keys(data.segments).map((name) => segmentSpec(name, data.segments, places));
  checkOverlap(segments, places);
  const plain = Object.entries(data.machines).map(([name, keys]) =>
    machineSpec(name, keys, segments, places, readFile),
  );
  checkDuplicates(plain, places);
  const { pins, ports } = checkPins(data.pins ?? {}, plain, places);
  const machines = plain.map((machine) => ({ ...machine, ports: ports[machine.name] ?? [] }));
  return { seed: seed ?? data.seed ?? 1, segments, machines, images: data.images ?? {}, pins };
}

function segmentSpec(name: string, all: Segments, places: FrontMatterPlaces): SegmentSpec {
  const path = ["segments", name];
  const data = all[name];
  if (!NAME.test(name)) throw places.errorAtKey(path, `\`${name}\` is no name: letters, digits, - and _`);
  if (MACHINE_KEYS.includes(name))
    throw places.errorAtKey(path, `\`${name}\` is a key of machines: name the segment otherwise`);
  const cidr = data.subnet.includes("/") ? parseCidr(data.subnet) : null;
  if (cidr === null)
    throw places.errorAtValue(
      [...path, "subnet"],
      `bad subnet \`${data.subnet}\`: expected one such as 192.168.200.0/24`,
    );
  const network = cidr.addr & prefixToMask(cidr.prefixLen);
  if (network !== cidr.addr)
    throw places.errorAtValue(
      [...path, "subnet"],
      `\`${data.subnet}\` is no network address; ${formatCidr(network, cidr.prefixLen)} is`,
    );
  const options: Partial<SegmentOptions> = {};
  if (data.mtu !== undefined) options.mtu = data.mtu;
  for (const key of Object.keys(QUANTITIES) as Quantity[]) {
    const value = data[key];
    if (value === undefined) continue;
    const option = segmentOption(key, value);
    if (typeof option === "string") throw places.errorAtValue([...path, key], option);
    options[option.option] = option.value;
  }
  const spec = { name, network, prefixLen: cidr.prefixLen, gateway: network + 1, options };
  if (data.gateway === undefined) return spec;
  return { ...spec, gateway: addressIn(data.gateway, spec, [...path, "gateway"], places) };
}

/** An address of a segment: inside its subnet, and neither the network's nor the broadcast one. */
function addressIn(
  text: string,
  segment: SegmentSpec,
  path: readonly string[],
  places: FrontMatterPlaces,
): number {
  const addr = parseIp4(text);
  if (addr === null)
    throw places.errorAtValue(
      path,
      `bad address \`${text}\`: expected one such as ${formatIp4(segment.network + 10)}`,
    );
  const mask = prefixToMask(segment.prefixLen);
  const subnet = formatCidr(segment.network, segment.prefixLen);
  if ((addr & mask) !== segment.network)
    throw places.errorAtValue(path, `${text} is outside segment \`${segment.name}\` (${subnet})`);
  if (segment.prefixLen < 31 && (addr === segment.network || addr === (segment.network | ~mask)))
    throw places.errorAtValue(
      path,
      `${text} is the ${addr === segment.network ? "network" : "broadcast"} address of ${subnet}`,
    );
  return addr;
}

function checkOverlap(segments: readonly SegmentSpec[], places: FrontMatterPlaces): void {
  segments.forEach((b, i) => {
    for (const a of segments.slice(0, i)) {
      const mask = prefixToMask(Math.min(a.prefixLen, b.prefixLen));
      if ((a.network & mask) !== (b.network & mask)) continue;
      const other = `\`${a.name}\` (${formatCidr(a.network, a.prefixLen)})`;
      throw places.errorAtValue(
        ["segments", b.name, "subnet"],
        `overlaps with segment ${other}: give each its own addresses`,
      );
    }
  });
}

function machineSpec(
  name: string,
  keys: Record<string, unknown>,
  segments: readonly SegmentSpec[],
  places: FrontMatterPlaces,
  readFile: FileReader,
): MachineSpec {
  const path = ["machines", name];
  if (!NAME.test(name) || name === "lab")
    throw places.errorAtKey(
      path,
      name === "lab"
        ? "`lab` is the lab's own console: name the machine otherwise"
        : `\`${name}\` is no name: letters, digits, . - and _`,
    );
  const nics: NicSpec[] = [];
  for (const [key, value] of Object.entries(keys)) {
    if (MACHINE_KEYS.includes(key)) continue;
    const segment = segments.find((one) => one.name === key);
    const known = [...segments.map((one) => one.name), ...MACHINE_KEYS];
    if (segment === undefined)
      throw places.errorAtKey(
        [...path, key],
        `\`${key}\` is no segment and no key of a machine${suggestion(key, known)}`,
      );
    nics.push(nicSpec(value, segment, [...path, key], places));
  }
  const onLink = segments.filter(({ name: one }) => nics.some((nic) => nic.segment === one));
  return {
    name,
    nics,
    docker: flag(keys, "docker", path, places),
    forward: flag(keys, "forward", path, places),
    gateway: gatewayOf(keys["gateway"], onLink, [...path, "gateway"], places),
    nameservers: nameserversOf(keys["dns"], [...path, "dns"], places),
    sysctl: sysctlOf(keys["sysctl"], [...path, "sysctl"], places),
    ports: [],
    ...("import" in keys ? importedMachine(keys, segments, path, places, readFile) : {}),
  };
}

function nicSpec(
  value: unknown,
  segment: SegmentSpec,
  path: readonly string[],
  places: FrontMatterPlaces,
): NicSpec {
  if (typeof value === "string")
    return { segment: segment.name, address: addressIn(value, segment, path, places), mac: null };
  const card = value as Record<string, unknown> | null;
  if (typeof card !== "object" || card === null || Array.isArray(card) || typeof card["address"] !== "string")
    throw places.errorAtValue(path, `expected an address, or { address: …, mac: … }`);
  for (const key of Object.keys(card))
    if (key !== "address" && key !== "mac")
      throw places.errorAtKey([...path, key], `unknown key \`${key}\`${suggestion(key, ["address", "mac"])}`);
  const address = addressIn(card["address"], segment, [...path, "address"], places);
  if (card["mac"] === undefined) return { segment: segment.name, address, mac: null };
  const mac = parseMac(String(card["mac"]));
  if (mac === null || (mac.hi & 0x100) !== 0)
    throw places.errorAtValue(
      [...path, "mac"],
      `bad MAC address \`${String(card["mac"])}\`: expected one such as "52:54:00:c8:00:0a"`,
    );
  return { segment: segment.name, address, mac };
}

function flag(
  keys: Record<string, unknown>,
  key: string,
  path: readonly string[],
  places: FrontMatterPlaces,
): boolean {
  const value = keys[key];
  if (value === undefined) return false;
  if (typeof value !== "boolean")
    throw places.errorAtValue(
      [...path, key],
      `\`${key}\`: expected true or false, found \`${String(value)}\``,
    );
  return value;
}

function gatewayOf(
  value: unknown,
  onLink: readonly SegmentSpec[],
  path: readonly string[],
  places: FrontMatterPlaces,
): number | null | undefined {
  if (value === undefined) return undefined;
  if (value === false || value === null || value === "none") return null;
  const addr = parseIp4(String(value));
  if (addr === null)
    throw places.errorAtValue(
      path,
      `bad address \`${String(value)}\`: expected the next hop of the default route, or \`none\``,
    );
  const reached = onLink.some(({ network, prefixLen }) => (addr & prefixToMask(prefixLen)) === network);
  if (!reached && onLink.length > 0)
    throw places.errorAtValue(
      path,
      `${String(value)} is on no segment of the machine (${onLink.map((one) => formatCidr(one.network, one.prefixLen)).join(", ")})`,
    );
  return addr;
}

function nameserversOf(value: unknown, path: readonly string[], places: FrontMatterPlaces): number[] {
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map((text: unknown) => {
    const addr = parseIp4(String(text));
    if (addr === null)
      throw places.errorAtValue(path, `bad address \`${String(text)}\`: expected that of a name server`);
    return addr;
  });
}

function sysctlOf(
  value: unknown,
  path: readonly string[],
  places: FrontMatterPlaces,
): (readonly [string, string])[] {
  if (value === undefined) return [];
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw places.errorAtValue(path, "`sysctl`: expected a mapping such as { net.ipv4.ip_forward: 1 }");
  return Object.entries(value).map(([name, setting]) => [name, String(setting)] as const);
}

function checkDuplicates(machines: readonly MachineSpec[], places: FrontMatterPlaces): void {
  const owners = new Map<string, string>();
  for (const machine of machines)
    for (const nic of machine.nics) {
      const mac = nic.mac === null ? null : `${nic.segment} ${formatMac(nic.mac.hi, nic.mac.lo)}`;
      for (const [key, what] of [
        [`${nic.segment} ${formatIp4(nic.address)}`, formatIp4(nic.address)],
        [mac, mac?.split(" ")[1]],
      ]) {
        if (key === null || key === undefined) continue;
        const owner = owners.get(key);
        if (owner !== undefined)
          throw places.errorAtValue(
            ["machines", machine.name, nic.segment],
            `${what} is already that of \`${owner}\`: give each card its own`,
          );
        owners.set(key, machine.name);
      }
    }
}

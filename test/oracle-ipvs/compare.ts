/** Compares the answers of both sides, without what is random: IP ids of messages of the director itself, time that passes. */
import { fromHex, hexOf } from "../oracle/packet.ts";
import type { Answer } from "./case.ts";

const ICMP = 1;
const TCP = 6;
/** Ports of the clients, and of the director's own sockets, end here; above, the kernel chose. */
const KNOWN_PORTS = new Set([20, 21, 80, 8080, 9000, 9001, 20000]);
/** The real kernel's commands take their time. */
const SLACK_SEC = 2;

function isKnown(port: number): boolean {
  return (
    port === 0 ||
    KNOWN_PORTS.has(port) ||
    (port >= 8000 && port < 8010) ||
    (port >= 40000 && port < 40030) ||
    isOwn(port)
  );
}

/** A port that NAT drew by lot, and the checksum over it. */
function maskPorts(bytes: Uint8Array, ip: number): boolean {
  const l4 = ip + (bytes[ip] & 15) * 4;
  const isTcp = bytes[ip + 9] === TCP;
  let masked = false;
  if (((bytes[ip + 6] & 0x1f) | bytes[ip + 7]) !== 0) return false;
  for (const at of [l4, l4 + 2]) {
    if (at + 2 > bytes.length || isKnown((bytes[at] << 8) | bytes[at + 1])) continue;
    bytes.fill(0, at, at + 2);
    masked = true;
  }
  const sum = l4 + (isTcp ? 16 : 6);
  if (masked && sum + 2 <= bytes.length) bytes.fill(0, sum, sum + 2);
  return masked;
}

/** A port of the director's own sockets. */
function isOwn(port: number): boolean {
  return port >= 50000 && port < 50003;
}

function maskId(bytes: Uint8Array): void {
  bytes.fill(0, 18, 20);
  bytes.fill(0, 24, 26);
}

/** Id and header checksum of the director's own messages are masked, and what NAT drew by lot. */
function frameText([card, hex]: readonly [number, string]): string {
  const bytes = fromHex(hex);
  if (bytes[12] === 8 && bytes[13] === 0) {
    if (bytes[23] === ICMP) {
      maskId(bytes);
      if (bytes.length >= 64 && maskPorts(bytes, 42)) bytes.fill(0, 36, 38);
    } else {
      maskPorts(bytes, 14);
      if (isOwn((bytes[34] << 8) | bytes[35])) maskId(bytes);
    }
  }
  return `eth${card} ${hexOf(bytes)}`;
}

/** Questions are repeated when some time has passed. */
function isArp(hex: string): boolean {
  return hex.slice(24, 28) === "0806";
}

interface Row {
  readonly text: string;
  readonly seconds: number;
}

const CLOCK = / (\d\d):(\d\d) /;
const EXPIRES = / +(\d+)$/;

function row(line: string, isConns: boolean): Row {
  const clock = CLOCK.exec(line);
  if (clock !== null)
    return {
      text: line.replace(CLOCK, " mm:ss ").trimEnd(),
      seconds: Number(clock[1]) * 60 + Number(clock[2]),
    };
  const expires = isConns ? EXPIRES.exec(line) : null;
  if (expires !== null) return { text: line.replace(EXPIRES, ""), seconds: Number(expires[1]) };
  return { text: line.trimEnd(), seconds: 0 };
}

/** Rows of a listing; connections are sorted, as their order is that of a random hash. */
function rows(out: string): Row[] {
  const isConns = out.startsWith("IPVS connection") || out.startsWith("Pro FromIP");
  const list = out
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .map((line) => row(line, isConns));
  if (isConns)
    return list.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : a.seconds - b.seconds));
  return out.startsWith("IP Virtual Server") ? blocks(list) : list;
}

/** Services stand in the order of a random hash, where they are not sorted. */
function blocks(list: readonly Row[]): Row[] {
  const heads = list.slice(0, 3);
  const groups: Row[][] = [];
  for (const one of list.slice(3)) {
    if (one.text.startsWith("  ->") && groups.length > 0) groups.at(-1)!.push(one);
    else groups.push([one]);
  }
  return [...heads, ...groups.sort((a, b) => (a[0].text < b[0].text ? -1 : 1)).flat()];
}

function outputDifference(real: string, mesh: string): string | null {
  const [a, b] = [rows(real), rows(mesh)];
  for (let i = 0; i < Math.max(a.length, b.length); i++)
    if (a[i]?.text !== b[i]?.text || Math.abs(a[i].seconds - b[i].seconds) > SLACK_SEC)
      return `real ${a[i]?.text} ${a[i]?.seconds}\nmesh ${b[i]?.text} ${b[i]?.seconds}\n--- real\n${real}--- mesh\n${mesh}`;
  return null;
}

/** What differs, null when nothing does. */
export function difference(real: Answer, mesh: Answer): string | null {
  if (real === null || mesh === null)
    return real === mesh ? null : `real ${JSON.stringify(real)}\nmesh ${JSON.stringify(mesh)}`;
  if ("out" in real && "out" in mesh) {
    if (real.status !== mesh.status)
      return `real [${real.status}] ${real.out}\nmesh [${mesh.status}] ${mesh.out}`;
    return outputDifference(real.out, mesh.out);
  }
  const [a, b] = [real, mesh].map((list) =>
    (list as readonly (readonly [number, string])[])
      .filter(([, hex]) => !isArp(hex))
      .map(frameText)
      .join("\n"),
  );
  return a === b ? null : `real ${a}\nmesh ${b}`;
}

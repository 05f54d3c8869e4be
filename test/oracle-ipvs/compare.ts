/** Compares the answers of both sides, without what is random: IP ids of messages of the director itself, time that passes. */
import { fromHex, hexOf } from "../oracle/packet.ts";
import type { Answer } from "./mesh-side.ts";

const ICMP = 1;
const TCP = 6;
/** 10.0.9.9 */
const SNAT_ADDRESS = "0a000909";
/** The real kernel's commands take their time. */
const SLACK_SEC = 8;

/** Id and header checksum of the director's own messages are masked. */
function frameText([card, hex]: readonly [number, string]): string {
  const bytes = fromHex(hex);
  if (bytes[23] === ICMP) {
    bytes.fill(0, 18, 20);
    bytes.fill(0, 24, 26);
    if (hexOf(bytes.subarray(58, 62)) === SNAT_ADDRESS) {
      // The quoted packet has the random port; so has its checksum, and that of the message.
      bytes.fill(0, 36, 38);
      bytes.fill(0, 62, 66);
      bytes.fill(0, bytes[51] === TCP ? 78 : 68, bytes[51] === TCP ? 80 : 70);
    }
  } else if (hexOf(bytes.subarray(26, 30)) === SNAT_ADDRESS) {
    // A source port that is taken is replaced by a random one.
    bytes.fill(0, 34, 36);
    bytes.fill(0, bytes[23] === TCP ? 50 : 40, bytes[23] === TCP ? 52 : 42);
  }
  return `eth${card} ${hexOf(bytes)}`;
}

interface Row {
  readonly text: string;
  readonly seconds: number;
}

/** Rows of a listing; connections are sorted, as their order is that of a random hash. */
function rows(out: string): Row[] {
  const list = out.split("\n").map((line) => {
    const time = / (\d\d):(\d\d) /.exec(line);
    const text = line.replace(/ \d\d:\d\d /, " mm:ss ").trimEnd();
    return { text, seconds: time === null ? 0 : Number(time[1]) * 60 + Number(time[2]) };
  });
  return out.startsWith("IPVS connection")
    ? list.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : a.seconds - b.seconds))
    : list;
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
    (list as readonly (readonly [number, string])[]).map(frameText).sort().join("\n"),
  );
  return a === b ? null : `real ${a}\nmesh ${b}`;
}

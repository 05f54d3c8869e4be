/**
 * Domain names on the wire (RFC 1035 3.1 and 4.1.4) and as text. Text is fully qualified, as Docker's resolver has it:
 * `web.`, the root is `.`; a dot or backslash inside a label is escaped, other bytes outside printable ASCII are `\DDD`.
 */

const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
const MAX_JUMPS = 126;

/** A place in a message while it is read; `failed` is set, and stays, when the message is damaged. */
export interface DnsCursor {
  readonly bytes: Uint8Array;
  /** First byte of the message and one past its last. */
  readonly start: number;
  readonly end: number;
  at: number;
  failed: boolean;
}

function labelText(bytes: Uint8Array, at: number, lenBytes: number): string {
  let text = "";
  for (let i = at; i < at + lenBytes; i++) {
    const c = bytes[i];
    if (c === 0x2e || c === 0x5c) text += `\\${String.fromCharCode(c)}`;
    else if (c < 0x21 || c > 0x7e) text += `\\${String(c).padStart(3, "0")}`;
    else text += String.fromCharCode(c);
  }
  return text;
}

/** Reads the name at the cursor and steps behind it. A damaged one gives "." and sets `failed`. */
export function readDnsName(cursor: DnsCursor): string {
  const { bytes, start, end } = cursor;
  let at = cursor.at;
  let after = -1;
  let total = 1;
  let text = "";
  for (let jumps = 0; at < end; ) {
    const length = bytes[at];
    if (length === 0) {
      cursor.at = after < 0 ? at + 1 : after;
      return text === "" ? "." : text;
    }
    if ((length & 0xc0) === 0xc0) {
      if (at + 1 >= end || ++jumps > MAX_JUMPS) break;
      if (after < 0) after = at + 2;
      at = start + (((length & 0x3f) << 8) | bytes[at + 1]);
      continue;
    }
    total += length + 1;
    if (length > MAX_LABEL_BYTES || at + 1 + length > end || total > MAX_NAME_BYTES) break;
    text += `${labelText(bytes, at + 1, length)}.`;
    at += 1 + length;
  }
  cursor.failed = true;
  return ".";
}

/** The labels of a name as byte strings (one character a byte). Null when it cannot be put on the wire. */
export function dnsLabels(name: string): string[] | null {
  const labels: string[] = [];
  let label = "";
  for (let i = 0; i < name.length; i++) {
    const c = name[i];
    if (c === ".") {
      if (label !== "") labels.push(label);
      else if (name !== ".") return null;
      label = "";
    } else if (c === "\\") {
      const digits = /^\\([0-9]{3})/.exec(name.slice(i, i + 4));
      label += digits === null ? (name[i + 1] ?? "") : String.fromCharCode(Number(digits[1]) & 0xff);
      i += digits === null ? 1 : 3;
    } else label += c;
  }
  if (label !== "") labels.push(label);
  const total = labels.reduce((sum, one) => sum + one.length + 1, 1);
  return total > MAX_NAME_BYTES || labels.some((one) => one.length > MAX_LABEL_BYTES) ? null : labels;
}

/** Lower case and with the final dot: equal names have equal keys. */
export function dnsNameKey(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower : `${lower}.`;
}

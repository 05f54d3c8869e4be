/**
 * TCP options (RFC 9293 3.2, RFC 7323, RFC 2018): reading as tcp_parse_options, writing in the order and with the
 * alignment of tcp_options_write (net/ipv4/tcp_input.c, tcp_output.c).
 */

export const TCPOPT_EOL = 0;
export const TCPOPT_NOP = 1;
export const TCPOPT_MSS = 2;
export const TCPOPT_WINDOW = 3;
export const TCPOPT_SACK_PERM = 4;
export const TCPOPT_SACK = 5;
export const TCPOPT_TIMESTAMP = 8;

/** Most SACK blocks that fit into a header. */
export const TCP_MAX_SACKS = 4;
const TCP_MAX_WSCALE = 14;

/** The options of one segment; reused, never made per packet. */
export class TcpOptions {
  /** Maximum segment size, 0 when absent. */
  mss = 0;
  /** Window shift, -1 when absent. */
  wscale = -1;
  sackPermitted = false;
  timestamps = false;
  /** Timestamp value and echo reply, int32; valid with `timestamps`. */
  tsVal = 0;
  tsEcr = 0;
  sackCount = 0;
  /** Left and right edges of the SACK blocks, int32. */
  readonly sackLeft = new Int32Array(TCP_MAX_SACKS);
  readonly sackRight = new Int32Array(TCP_MAX_SACKS);

  clear(): void {
    this.mss = 0;
    this.wscale = -1;
    this.sackPermitted = false;
    this.timestamps = false;
    this.tsVal = 0;
    this.tsEcr = 0;
    this.sackCount = 0;
  }
}

/** Reads one option of `lenBytes` (kind and length included) at `at`; a wrong length leaves it out. */
function parseOption(view: DataView, at: number, lenBytes: number, out: TcpOptions): void {
  const kind = view.getUint8(at);
  if (kind === TCPOPT_TIMESTAMP && lenBytes === 10) {
    out.timestamps = true;
    out.tsVal = view.getInt32(at + 2);
    out.tsEcr = view.getInt32(at + 6);
  } else if (kind === TCPOPT_MSS && lenBytes === 4) {
    out.mss = view.getUint16(at + 2);
  } else if (kind === TCPOPT_WINDOW && lenBytes === 3) {
    const shift = view.getUint8(at + 2);
    out.wscale = shift > TCP_MAX_WSCALE ? TCP_MAX_WSCALE : shift;
  } else if (kind === TCPOPT_SACK_PERM && lenBytes === 2) {
    out.sackPermitted = true;
  } else if (kind === TCPOPT_SACK && lenBytes >= 10 && (lenBytes - 2) % 8 === 0) {
    const count = (lenBytes - 2) >> 3;
    out.sackCount = count > TCP_MAX_SACKS ? TCP_MAX_SACKS : count;
    for (let i = 0; i < out.sackCount; i++) {
      out.sackLeft[i] = view.getInt32(at + 2 + 8 * i);
      out.sackRight[i] = view.getInt32(at + 6 + 8 * i);
    }
  }
}

/**
 * Reads the options of the TCP header at `off` into `out` (cleared first). The header must lie wholly in the view. Stops
 * at a damaged option, keeping what came before, as the kernel does.
 */
export function parseTcpOptions(view: DataView, off: number, out: TcpOptions): void {
  out.clear();
  const end = off + ((view.getUint8(off + 12) >>> 4) << 2);
  let at = off + 20;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === TCPOPT_EOL) return;
    if (kind === TCPOPT_NOP) {
      at++;
      continue;
    }
    if (at + 1 >= end) return;
    const lenBytes = view.getUint8(at + 1);
    if (lenBytes < 2 || at + lenBytes > end) return;
    parseOption(view, at, lenBytes, out);
    at += lenBytes;
  }
}

/** Bytes that {@link writeTcpOptions} takes for these options; a multiple of 4. */
export function tcpOptionsLen(options: TcpOptions): number {
  let lenBytes = 0;
  if (options.mss > 0) lenBytes += 4;
  if (options.timestamps) lenBytes += 12;
  else if (options.sackPermitted) lenBytes += 4;
  if (options.wscale >= 0) lenBytes += 4;
  if (options.sackCount > 0) lenBytes += 4 + 8 * options.sackCount;
  return lenBytes;
}

/** Writes the options at `at` (behind the fixed header) as the kernel orders them; returns their length in bytes. */
export function writeTcpOptions(view: DataView, at: number, options: TcpOptions): number {
  let p = at;
  if (options.mss > 0) {
    view.setInt32(p, (TCPOPT_MSS << 24) | (4 << 16) | options.mss);
    p += 4;
  }
  if (options.timestamps) {
    const lead = options.sackPermitted ? (TCPOPT_SACK_PERM << 8) | 2 : (TCPOPT_NOP << 8) | TCPOPT_NOP;
    view.setInt32(p, (lead << 16) | (TCPOPT_TIMESTAMP << 8) | 10);
    view.setInt32(p + 4, options.tsVal);
    view.setInt32(p + 8, options.tsEcr);
    p += 12;
  } else if (options.sackPermitted) {
    view.setInt32(p, (TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_SACK_PERM << 8) | 2);
    p += 4;
  }
  if (options.wscale >= 0) {
    view.setInt32(p, (TCPOPT_NOP << 24) | (TCPOPT_WINDOW << 16) | (3 << 8) | options.wscale);
    p += 4;
  }
  return p + writeSacks(view, p, options) - at;
}

function writeSacks(view: DataView, at: number, options: TcpOptions): number {
  const count = options.sackCount;
  if (count === 0) return 0;
  view.setInt32(at, (TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_SACK << 8) | (2 + 8 * count));
  for (let i = 0; i < count; i++) {
    view.setInt32(at + 4 + 8 * i, options.sackLeft[i]);
    view.setInt32(at + 8 + 8 * i, options.sackRight[i]);
  }
  return 4 + 8 * count;
}

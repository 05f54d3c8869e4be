/** The lines of HTTP in a TCP packet (tcpdump 4.99 print-http.c, print.c txtproto_print). */
import type { DissectContext } from "./dissect-context.ts";

const METHODS: ReadonlySet<string> = new Set(
  (
    "GET PUT COPY HEAD LOCK MOVE POLL POST BCOPY BMOVE MKCOL TRACE LABEL MERGE DELETE SEARCH UNLOCK REPORT UPDATE " +
    "NOTIFY BDELETE CONNECT OPTIONS CHECKIN PROPFIND CHECKOUT CCM_POST SUBSCRIBE PROPPATCH BPROPFIND BPROPPATCH " +
    "UNCHECKOUT MKACTIVITY MKWORKSPACE UNSUBSCRIBE RPC_CONNECT VERSION-CONTROL BASELINE-CONTROL"
  ).split(" "),
);

const MAX_TOKEN = 63;
const LF = 10;
const CR = 13;

function isSpace(c: number): boolean {
  return c === 0x20 || (c >= 9 && c <= 13);
}

/** The word at `off` and where the next one begins. */
function token(ctx: DissectContext, off: number, end: number): { word: string; next: number } {
  let at = off;
  let word = "";
  for (; at < end && ctx.has(at, 1); at++) {
    const c = ctx.bytes[at];
    if (c >= 0x80 || isSpace(c)) break;
    if (word.length < MAX_TOKEN) word += String.fromCharCode(c);
  }
  while (at < end && ctx.has(at, 1) && isSpace(ctx.bytes[at]) && ctx.bytes[at] !== CR && ctx.bytes[at] !== LF)
    at++;
  return { word, next: at };
}

/** Whether the bytes begin like a request or a response. */
function isFirstLine(ctx: DissectContext, off: number, end: number): boolean {
  const first = token(ctx, off, end);
  if (first.word === "") return false;
  if (METHODS.has(first.word.toUpperCase())) return true;
  return /^[0-9]{3}$/.test(token(ctx, first.next, end).word);
}

/** Prints the line at `off` behind `prefix`; returns where the next begins, 0 when there is no more to print. */
function printLine(ctx: DissectContext, prefix: string, off: number, end: number): number {
  let line = "";
  for (let at = off; at < end; at++) {
    const c = ctx.u8(at);
    if (c === LF || (c === CR && at + 1 < end && ctx.u8(at + 1) === LF)) {
      ctx.put(prefix + line);
      return at + (c === CR ? 2 : 1);
    }
    if ((c < 0x20 || c > 0x7e) && c !== 9) return 0;
    line += String.fromCharCode(c);
  }
  ctx.put(`${prefix}${line} [|http]`);
  return 0;
}

/** Prints what `lenBytes` bytes on an HTTP port are: the first line, with -v all of them. */
export function printHttp(ctx: DissectContext, off: number, lenBytes: number): void {
  ctx.protocol = "http";
  const end = off + lenBytes;
  const first = isFirstLine(ctx, off, end);
  ctx.put("HTTP");
  if (!first) return;
  if (ctx.options.verbose === 0) {
    printLine(ctx, ": ", off, end);
    return;
  }
  ctx.put(`, length: ${lenBytes}`);
  for (let at = off; at < end; ) {
    at = printLine(ctx, "\n\t", at, end);
    if (at === 0) return;
  }
}

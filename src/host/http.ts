/** One HTTP/1.1 request and its answer over a connected socket, as curl and wget read it (RFC 9112). */
import type { TcpSock } from "../net/ipv4/tcp-sock.ts";
import { asciiText } from "./ascii.ts";
import { type Co, work } from "./process.ts";
import { recvTcp } from "./socket.ts";

export interface HttpResponse {
  readonly status: number;
  /** Status line and headers with the empty line, as received. */
  readonly head: string;
  body: string;
  /** Bytes that the header promised and did not come. */
  missing: number;
  /** The peer wants the connection closed. */
  readonly close: boolean;
}

/** Receives until a time is over. */
export interface HttpReader {
  readonly sk: TcpSock;
  /** Absolute, ns; Infinity for ever. */
  readonly deadlineNs: number;
  /** Work on the head of a response, before more is read. */
  readonly headNs: number;
  /** Work on each piece of the body. */
  readonly pieceNs: number;
  received: number;
  /** What came after the last thing read. */
  pending: string;
}

/** More bytes; "" at the end of the stream, null when the time is over. */
function* more(reader: HttpReader): Co<string | null> {
  const left = reader.deadlineNs - reader.sk.ns.kernel.sim.now;
  const data = yield* recvTcp(
    reader.sk,
    65536,
    left === Number.POSITIVE_INFINITY ? undefined : Math.max(left, 0),
  );
  if (data === null) return null;
  reader.received += data.length;
  return asciiText(data);
}

/** The answer to a request; "empty" when the peer closed without one, "timeout". `headOnly`: no body follows. */
export function* readResponse(reader: HttpReader, headOnly: boolean): Co<HttpResponse | "empty" | "timeout"> {
  let text = reader.pending;
  while (!text.includes("\r\n\r\n")) {
    const data = yield* more(reader);
    if (data === null) return "timeout";
    if (data === "") return "empty";
    text += data;
  }
  yield* work(reader.headNs);
  const end = text.indexOf("\r\n\r\n") + 4;
  const head = text.slice(0, end);
  reader.pending = text.slice(end);
  const status = Number(head.split(" ")[1]);
  const close = /^connection:\s*close/im.test(head) || head.startsWith("HTTP/1.0");
  const response: HttpResponse = { status, head, body: "", missing: 0, close };
  if (headOnly || status === 204 || status === 304) return response;
  const length = /^content-length:\s*(\d+)/im.exec(head);
  const chunked = /^transfer-encoding:\s*chunked/im.test(head);
  const complete = (body: string): boolean =>
    length !== null ? body.length >= Number(length[1]) : chunked && /(^|\r\n)0\r\n(.*\r\n)*\r\n$/.test(body);
  const parts = [reader.pending];
  let size = reader.pending.length;
  const wanted = length === null ? Number.POSITIVE_INFINITY : Number(length[1]);
  while (length !== null ? size < wanted : !complete(parts.join(""))) {
    const data = yield* more(reader);
    if (data === null) return "timeout";
    if (data === "") break;
    yield* work(reader.pieceNs);
    parts.push(data);
    size += data.length;
  }
  reader.pending = "";
  const body = parts.join("");
  response.body = chunked ? dechunk(body) : body.slice(0, Math.min(wanted, body.length));
  response.missing = length === null ? 0 : Math.max(wanted - size, 0);
  return response;
}

function dechunk(text: string): string {
  let out = "";
  for (let at = 0; at < text.length; ) {
    const line = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, line), 16);
    if (line < 0 || !(size > 0)) break;
    out += text.slice(line + 2, line + 2 + size);
    at = line + 4 + size;
  }
  return out;
}

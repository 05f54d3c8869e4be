/**
 * The text of a capture as tcpdump 4.99.3 prints it with `-nn` (print.c, tcpdump.c): one line a frame, more with -v or
 * VXLAN.
 */
import { DissectContext, type DissectOptions, TruncatedFrame } from "./dissect-context.ts";
import { printEther } from "./dissect-ether.ts";
import { printIp4 } from "./dissect-ip.ts";
import {
  type CapturedFrame,
  DEFAULT_SNAPLEN,
  LINKTYPE_ETHERNET,
  LINKTYPE_RAW,
  linkTypeText,
} from "./frame.ts";
import { readCapture } from "./read-capture.ts";

export type { DissectOptions } from "./dissect-context.ts";

/** The options of `tcpdump -nn`. */
export const PLAIN: DissectOptions = {
  link: false,
  verbose: 0,
  quiet: false,
  absoluteSeq: false,
  noTime: false,
};

/** `hh:mm:ss.uuuuuu` in UTC. */
export function clockText(sec: number, nsec: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = sec % 86400;
  const time = `${two(Math.floor(day / 3600))}:${two(Math.floor(day / 60) % 60)}:${two(day % 60)}`;
  return `${time}.${String(Math.floor(nsec / 1000)).padStart(6, "0")}`;
}

/** Prints frames one after the other; remembers TCP conversations, so one object a capture. */
export class Dissector {
  private readonly ctx: DissectContext;
  readonly options: DissectOptions;

  constructor(options: DissectOptions) {
    this.options = options;
    this.ctx = new DissectContext(options, printEther, printIp4);
  }

  /** The text of a frame: one or more lines, without the last line break. */
  text(frame: CapturedFrame, linkType = LINKTYPE_ETHERNET): string {
    const stamp = this.options.noTime ? "" : `${clockText(frame.sec, frame.nsec)} `;
    return stamp + this.frameText(frame.bytes, frame.origLen, linkType);
  }

  /** The same without a time stamp. */
  frameText(bytes: Uint8Array, origLen: number, linkType = LINKTYPE_ETHERNET): string {
    const ctx = this.ctx;
    ctx.load(bytes);
    try {
      if (linkType === LINKTYPE_RAW) printRaw(ctx, origLen);
      else printEther(ctx, 0, origLen);
    } catch (error) {
      if (!(error instanceof TruncatedFrame)) throw error;
      ctx.put(` [|${ctx.protocol}]`);
    }
    return ctx.text;
  }
}

/** An IP packet without a link header (print-raw.c). */
function printRaw(ctx: DissectContext, lenBytes: number): void {
  if (ctx.options.link) ctx.put("ip: ");
  printIp4(ctx, 0, lenBytes);
}

/** What tcpdump says on stderr before it prints the file `name`. */
export function readingFromText(name: string, snapLen: number, linkType = LINKTYPE_ETHERNET): string {
  const shown = snapLen === 0 ? DEFAULT_SNAPLEN : snapLen;
  return `reading from file ${name}, link-type ${linkTypeText(linkType)}, snapshot length ${shown}`;
}

/**
 * The lines of a capture file as `tcpdump -nn -e -r` prints them (times in UTC). `name` is the file's, for messages.
 * Throws CaptureError.
 */
export function pcapText(bytes: Uint8Array, name: string): string[] {
  const dissector = new Dissector({ ...PLAIN, link: true });
  const { frames, interfaces } = readCapture(bytes, name);
  return frames.flatMap((frame) =>
    dissector.text(frame, interfaces[frame.interfaceId]?.linkType).split("\n"),
  );
}

/**
 * tcpdump 4.99.3: listens on a device (or all) until its count is reached or it is killed, prints or writes the frames.
 * What -w writes is a capture file in the lab's files, one character a byte, for -r and for the user.
 */

import { CaptureError } from "../capture/capture-error.ts";
import { type DissectOptions, Dissector, readingFromText } from "../capture/dissect.ts";
import { cookedText } from "../capture/dissect-cooked.ts";
import { compileFilter } from "../capture/filter.ts";
import { type CapturedFrame, type CaptureFile, LINKTYPE_ETHERNET, linkTypeText } from "../capture/frame.ts";
import { PcapWriter } from "../capture/pcap.ts";
import { readCapture } from "../capture/read-capture.ts";
import { type FramePredicate, Recorder } from "../capture/recorder.ts";
import { type Co, KilledError, waitFor } from "../host/process.ts";
import type { NetDevice } from "../net/core/net-device.ts";
import { NotModelledError, UsageError } from "../util/errors.ts";
import { type Buffering, Stdio } from "./stdio.ts";
import { parseTcpdumpArgs, type TcpdumpArgs } from "./tcpdump-args.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

const SIGPIPE = 13;

interface TcpdumpResult {
  /** The frames as text, without the final line break each. */
  readonly lines: readonly string[];
  readonly captured: number;
  /** Lines of stderr before the frames of a file. */
  readonly opening: string;
}

/** Text of a byte string: one character a byte. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function fromLatin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0) & 0xff);
}

function dissectOptions(args: TcpdumpArgs): DissectOptions {
  const { link, verbose, quiet, absoluteSeq, noTime } = args;
  return { link, verbose, quiet, absoluteSeq, noTime };
}

/** The devices that `-i` names; without it the first that is up and no loopback. */
function devicesOf(args: TcpdumpArgs, context: ToolContext): NetDevice[] {
  const all = context.ns.devices();
  if (args.device === "any") return all;
  const name = args.device ?? all.find((dev) => dev.isUp && dev.ops.kind !== "loopback")?.name ?? "lo";
  const dev = context.ns.device(name);
  if (dev === undefined) {
    throw new UsageError(`tcpdump: ${name}: No such device exists\n(No such device exists)`, 1);
  }
  if (!dev.isUp) throw new UsageError(`tcpdump: ${name}: That device is not up`, 1);
  return [dev];
}

function openingText(args: TcpdumpArgs, device: string, linkType: number): string {
  const any = args.device === "any";
  const link = any ? "LINUX_SLL2 (Linux cooked v2)" : linkTypeText(linkType);
  const listening = `listening on ${device}, link-type ${link}, snapshot length 262144 bytes\n`;
  const first = any ? "tcpdump: data link type LINUX_SLL2\n" : "";
  if (args.verbose > 0 || args.writeFile !== null) return `${first}tcpdump: ${listening}`;
  return `${first}tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n${listening}`;
}

/** Prints or keeps frames as they come until the count is reached; true when it was killed before. */
function* listen(args: TcpdumpArgs, recorder: Recorder, onFrame: (index: number) => void): Co<boolean> {
  const limit = args.count ?? Number.POSITIVE_INFINITY;
  let seen = 0;
  try {
    for (;;) {
      for (; seen < Math.min(recorder.frameCount, limit); seen++) onFrame(seen);
      if (seen >= limit) return false;
      yield* waitFor(recorder.arrived);
    }
  } catch (error) {
    if (!(error instanceof KilledError) || error.signal === SIGPIPE) throw error;
    for (; seen < Math.min(recorder.frameCount, limit); seen++) onFrame(seen);
    return true;
  } finally {
    recorder.stop();
  }
}

function recordedLine(
  args: TcpdumpArgs,
  dissector: Dissector,
  recorder: Recorder,
  index: number,
  devices: readonly NetDevice[],
): string {
  const frame = recorder.frameAt(index);
  const linkType = recorder.frameLinkType(index);
  if (args.device !== "any") return dissector.text(frame, linkType);
  const dev = devices[recorder.frameInterface(index)];
  const type = recorder.framePacketType(index);
  return cookedText(dissector, frame, dev.name, dev.ifindex, type, args.link, linkType);
}

/** What it prints goes to a pipe or file in blocks, unless it was told to write lines (-l, stdbuf). */
function bufferingOf(args: TcpdumpArgs, context: ToolContext): Buffering {
  if (args.lineBuffered) return "line";
  return context.buffering ?? (context.isTerminal === false ? "block" : "line");
}

function* capture(args: TcpdumpArgs, filter: FramePredicate, context: ToolContext): Co<TcpdumpResult> {
  const devices = devicesOf(args, context);
  const recorder = new Recorder(context.machine.kernel.sim, { promiscuous: args.promiscuous, filter });
  for (const dev of devices) recorder.attach(dev, context.machine.name, context.ns.name);
  const { linkType } = recorder.interfaces[0];
  context.printError?.(openingText(args, args.device === "any" ? "any" : devices[0].name, linkType));
  const stdio = new Stdio(bufferingOf(args, context), context.print);
  const dissector = new Dissector(dissectOptions(args));
  let captured = 0;
  const interrupted = yield* listen(args, recorder, (index) => {
    captured++;
    if (args.writeFile === null) stdio.print(`${recordedLine(args, dissector, recorder, index, devices)}\n`);
  });
  if (args.writeFile !== null) {
    const frames: CapturedFrame[] = [];
    for (let i = 0; i < captured; i++) frames.push(recorder.frameAt(i));
    context.files.set(args.writeFile, fileText(frames, linkType));
  } else if (interrupted) stdio.print("\n");
  stdio.flush();
  return { lines: [], captured, opening: "" };
}

function fileText(frames: readonly CapturedFrame[], linkType: number): string {
  const writer = new PcapWriter(true, linkType);
  for (const { sec, nsec, bytes } of frames) writer.add(sec, nsec, bytes, 0, bytes.length);
  return latin1(writer.finish());
}

function openCapture(text: string, name: string): CaptureFile {
  try {
    return readCapture(fromLatin1(text), name);
  } catch (error) {
    if (error instanceof CaptureError) throw new UsageError(`tcpdump: ${error.message}`, 1);
    throw error;
  }
}

function linkTypeOf({ interfaces }: CaptureFile, { interfaceId }: CapturedFrame): number {
  return interfaces[interfaceId]?.linkType ?? LINKTYPE_ETHERNET;
}

/** Prints or copies a file of the lab. */
function readBack(args: TcpdumpArgs, filter: FramePredicate, context: ToolContext): TcpdumpResult {
  const name = args.readFile!;
  const text = context.files.get(name);
  if (text === undefined) throw new UsageError(`tcpdump: ${name}: No such file or directory`, 1);
  const file = openCapture(text, name);
  const wanted = file.frames.filter((frame) => {
    const { bytes } = frame;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return filter(bytes, view, 0, frame.origLen, linkTypeOf(file, frame));
  });
  const frames = args.count === null ? wanted : wanted.slice(0, args.count);
  const { snapLen, linkType } = file.interfaces[0] ?? { snapLen: 0, linkType: LINKTYPE_ETHERNET };
  const opening = `${readingFromText(name, snapLen, linkType)}\n`;
  if (args.writeFile !== null) {
    context.files.set(args.writeFile, fileText(frames, linkType));
    return { lines: [], captured: frames.length, opening };
  }
  const dissector = new Dissector(dissectOptions(args));
  const lines = frames.map((frame) => dissector.text(frame, linkTypeOf(file, frame)));
  return { lines, captured: lines.length, opening };
}

function closingText(captured: number): string {
  const packets = (count: number): string => `${count} packet${count === 1 ? "" : "s"}`;
  const received = `${packets(captured)} received by filter`;
  return `${packets(captured)} captured\n${received}\n${packets(0)} dropped by kernel\n`;
}

export const tcpdump: Tool<TcpdumpArgs, TcpdumpResult> = {
  name: "tcpdump",

  parse(argv) {
    return parseTcpdumpArgs(argv);
  },

  run(args, context) {
    const filter = compileFilter(args.filter);
    if (args.readFile !== null) return readBack(args, filter, context);
    if (args.device === "any" && args.writeFile !== null) {
      throw new NotModelledError("tcpdump -i any -w (a LINUX_SLL2 file)");
    }
    return capture(args, filter, context);
  },

  render(result, args): ToolOutput {
    const text = result.lines.map((line) => `${line}\n`).join("");
    if (args.readFile !== null) return { stdout: text, stderr: result.opening, status: 0 };
    return { stdout: text, stderr: closingText(result.captured), status: 0 };
  },
};

/** One pcapng file of everything that was recorded: time order, interface names, a comment on each traced frame. */
import type { TraceRecord } from "../net/core/trace.ts";
import { SEC } from "../sim/sim.ts";
import { traceText } from "./comment.ts";
import { PcapngWriter } from "./pcapng.ts";
import { type RecordedInterface, type Recorder, wallSec } from "./recorder.ts";

/** `swarm-manager/ingress_sbox/eth1`: an interface's name in the merged file. */
export function interfaceLabel(one: RecordedInterface): string {
  return `${one.machine}/${one.netns}/${one.name}`;
}

/**
 * Comments by frame of a recorder: what happened to the packet from this frame on until the next frame of the same
 * packet, and for a packet's first frame also what happened before. A record stands at one frame only, also when copies
 * of the packet carry it on.
 */
export function frameComments(recorder: Recorder): string[] {
  const nextCount = new Map<object, number>();
  const ends = new Array<number>(recorder.frameCount).fill(0);
  for (let i = recorder.frameCount - 1; i >= 0; i--) {
    const trace = recorder.frameTrace(i);
    if (trace === null) continue;
    ends[i] = nextCount.get(trace) ?? trace.records.length;
    nextCount.set(trace, recorder.frameTraceCount(i));
  }
  const said = new Set<TraceRecord>();
  const comments: string[] = [];
  for (let i = 0; i < recorder.frameCount; i++) {
    const trace = recorder.frameTrace(i);
    const fresh = trace === null ? [] : trace.records.slice(0, ends[i]).filter((one) => !said.has(one));
    for (const record of fresh) said.add(record);
    comments.push(traceText(fresh));
  }
  return comments;
}

interface MergeEntry {
  readonly recorder: Recorder;
  readonly index: number;
  readonly interfaceId: number;
  readonly comment: string;
}

/** The frames of all recorders in one file; equal times keep the order of recording, then of `recorders`. */
export function mergePcapng(recorders: readonly Recorder[]): Uint8Array {
  const writer = new PcapngWriter();
  const entries: MergeEntry[] = [];
  for (const recorder of recorders) {
    const ids = recorder.interfaces.map((one) => writer.addInterface(interfaceLabel(one), "", one.linkType));
    const comments = frameComments(recorder);
    for (let index = 0; index < recorder.frameCount; index++) {
      const interfaceId = ids[recorder.frameInterface(index)];
      entries.push({ recorder, index, interfaceId, comment: comments[index] });
    }
  }
  entries.sort((a, b) => a.recorder.frameTimeNs(a.index) - b.recorder.frameTimeNs(b.index));
  for (const { recorder, index, interfaceId, comment } of entries) {
    const timeNs = recorder.frameTimeNs(index);
    const bytes = recorder.frameBytes(index);
    const outgoing = recorder.frameOutgoing(index);
    writer.addFrame(interfaceId, wallSec(timeNs), timeNs % SEC, bytes, 0, bytes.length, outgoing, comment);
  }
  return writer.finish();
}

/** `arping` of iputils 20221126: asks who has an address, or tells everybody that it is here (-U, -A). */

import { Recorder } from "../capture/recorder.ts";
import { type Co, waitFor } from "../host/process.ts";
import { IFF_NOARP, IFF_UP, type NetDevice } from "../net/core/net-device.ts";
import { addressesOf } from "../net/ctl/address.ts";
import { arpSend } from "../net/ipv4/arp.ts";
import { UsageError } from "../util/errors.ts";
import { formatIp4, formatMac, parseIp4 } from "../wire/address.ts";
import { ARPOP_REPLY, ARPOP_REQUEST, arpOp, arpShaHi, arpShaLo, arpSpa, arpTpa } from "../wire/arp.ts";
import { ETH_HLEN, ethType } from "../wire/ethernet.ts";
import { OptionReader } from "./options.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

interface ArpingArgs {
  readonly target: number;
  readonly device: string;
  readonly source: string;
  /** 0: for ever. */
  readonly count: number;
  readonly deadlineNs: number;
  readonly intervalNs: number;
  /** -U, -A: nobody is asked. */
  readonly unsolicited: boolean;
  /** -A: by replies. */
  readonly advert: boolean;
  /** -D: somebody else must not have the address. */
  readonly duplicate: boolean;
  readonly quiet: boolean;
  /** -f: the first answer is enough. */
  readonly first: boolean;
}

const SEC = 1_000_000_000;
const BROADCAST_HI = 0xffff;
const BROADCAST_LO = -1;
const ETH_P_ARP = 0x0806;

function parseArping(argv: readonly string[]): ArpingArgs {
  const found: Record<string, string> = {};
  const reader = new OptionReader("arping", argv, "c:w:i:I:s:AUDfqb", 2);
  for (const { option, value } of reader.options()) found[option] = value;
  const [text] = reader.rest;
  const target = parseIp4(text ?? "");
  if (text === undefined) throw new UsageError("arping: usage error: Destination address required", 2);
  if (target === null) throw new UsageError(`arping: ${text}: Name or service not known`, 2);
  return {
    target,
    device: found.I ?? "",
    source: found.s ?? "",
    count: Number(found.c ?? 0),
    deadlineNs: Number(found.w ?? 0) * SEC,
    intervalNs: Number(found.i ?? 1) * SEC,
    unsolicited: "U" in found || "A" in found,
    advert: "A" in found,
    duplicate: "D" in found,
    quiet: "q" in found,
    first: "f" in found || "D" in found,
  };
}

/** The device of -I, or the first that can ask. */
function deviceOf({ device }: ArpingArgs, context: ToolContext): NetDevice {
  const usable = (dev: NetDevice): boolean => (dev.flags & IFF_UP) !== 0 && (dev.flags & IFF_NOARP) === 0;
  if (device === "") {
    const found = context.ns.devices().find((dev) => usable(dev) && dev.ops.kind !== "loopback");
    if (found === undefined)
      throw new UsageError("arping: No suitable device could be determined, please use option -I.", 2);
    return found;
  }
  const dev = context.ns.device(device);
  if (dev === undefined) throw new UsageError(`arping: Device ${device} not available.`, 2);
  if (!dev.isUp) throw new UsageError(`arping: Interface "${device}" is down`, 2);
  return dev;
}

class Arping {
  readonly recorder: Recorder;
  sent = 0;
  received = 0;
  text = "";
  private readonly args: ArpingArgs;
  private readonly dev: NetDevice;
  private readonly source: number;
  private seen = 0;
  private sentNs = 0;

  constructor(args: ArpingArgs, dev: NetDevice, context: ToolContext) {
    this.args = args;
    this.dev = dev;
    const own = args.unsolicited ? args.target : args.duplicate ? 0 : (addressesOf(dev)[0]?.local ?? 0);
    this.source = args.source === "" ? own : (parseIp4(args.source) ?? 0);
    this.recorder = new Recorder(context.machine.kernel.sim, {
      promiscuous: false,
      filter: (_bytes, view, off) => ethType(view, off) === ETH_P_ARP,
    });
    this.recorder.attach(dev, context.machine.name, context.ns.name);
    this.text = `ARPING ${formatIp4(args.target)} from ${formatIp4(this.source)} ${dev.name}\n`;
  }

  send(): void {
    const { dev, args } = this;
    const op = args.advert ? ARPOP_REPLY : ARPOP_REQUEST;
    const tha: [number, number] = args.advert ? [dev.addrHi, dev.addrLo] : [BROADCAST_HI, BROADCAST_LO];
    this.sentNs = dev.ns.kernel.sim.now;
    this.sent++;
    dev.ns.kernel.enter();
    arpSend(dev, op, args.target, this.source, BROADCAST_HI, BROADCAST_LO, ...tha);
    dev.ns.kernel.leave();
  }

  /** Takes the answers that have come. */
  drain(): void {
    for (; this.seen < this.recorder.frameCount; this.seen++) {
      const { bytes } = this.recorder.frameAt(this.seen);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const [hi, lo] = [arpShaHi(view, ETH_HLEN), arpShaLo(view, ETH_HLEN)];
      const own = hi === this.dev.addrHi && lo === this.dev.addrLo;
      const answers = arpOp(view, ETH_HLEN) === ARPOP_REPLY && arpSpa(view, ETH_HLEN) === this.args.target;
      if (own || !answers || (arpTpa(view, ETH_HLEN) !== this.source && !this.args.duplicate)) continue;
      this.received++;
      const ms = ((this.dev.ns.kernel.sim.now - this.sentNs) / 1e6).toFixed(3);
      this.text += `Unicast reply from ${formatIp4(this.args.target)} [${formatMac(hi, lo).toUpperCase()}]  ${ms}ms\n`;
    }
  }
}

function* runArping(args: ArpingArgs, context: ToolContext): Co<ToolOutput> {
  const dev = deviceOf(args, context);
  const run = new Arping(args, dev, context);
  const { sim } = context.machine.kernel;
  const deadline = args.deadlineNs > 0 ? sim.now + args.deadlineNs : Number.POSITIVE_INFINITY;
  try {
    for (;;) {
      run.send();
      const until = Math.min(sim.now + args.intervalNs, deadline);
      const last = args.count > 0 && run.sent >= args.count;
      if (last && args.unsolicited) break;
      while (sim.now < until && !(args.first && run.received > 0)) {
        yield* waitFor(run.recorder.arrived, until - sim.now);
        run.drain();
        if (last && run.received >= args.count) break;
      }
      if (last || (args.first && run.received > 0) || sim.now >= deadline) break;
    }
  } finally {
    run.recorder.stop();
  }
  const text = `${run.text}Sent ${run.sent} probes (${run.sent} broadcast(s))\nReceived ${run.received} response(s)\n`;
  return { stdout: args.quiet ? "" : text, stderr: "", status: statusOf(args, run) };
}

function statusOf(args: ArpingArgs, { received }: Arping): number {
  if (args.duplicate) return Number(received > 0);
  return args.unsolicited ? 0 : Number(received === 0);
}

export const arping: Tool<ArpingArgs, ToolOutput> = {
  name: "arping",
  parse: (argv) => parseArping(argv),
  run: runArping,
  render: (result) => result,
};

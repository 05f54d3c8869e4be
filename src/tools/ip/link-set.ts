/** `ip link set` (iproute2 6.1 ip/iplink.c, iplink_bridge.c, iplink_bridge_slave.c). */
import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import {
  linkSetAddress,
  linkSetAllmulti,
  linkSetDown,
  linkSetMaster,
  linkSetMtu,
  linkSetName,
  linkSetNetns,
  linkSetPromisc,
  linkSetTxQueueLen,
  linkSetUp,
} from "../../net/ctl/link.ts";
import { type BrportSettings, linkSetBridge, linkSetBrport } from "../../net/ctl/link-bridge.ts";
import { NotModelledError, SysError, UsageError } from "../../util/errors.ts";
import type { ToolContext } from "../tool.ts";
import { macWord, numberWord, Words } from "./link-add.ts";

const CENTISEC = 100;

/** Runs the changes in the order in which the kernel applies them: namespace, address, MTU, name, flags, master. */
export function linkSet(argv: readonly string[], context: ToolContext): void {
  const words = new Words(argv);
  const first = words.next();
  const dev = find(first === "dev" ? words.next() : first, context);
  const steps: [order: number, step: () => void][] = [];
  while (!words.done) steps.push(setWord(words.next(), words, dev, context));
  steps.sort(([a], [b]) => a - b);
  for (const [, step] of steps) step();
}

function find(name: string, context: ToolContext): NetDevice {
  const dev = context.ns.device(name);
  if (dev === undefined) throw new UsageError(`Cannot find device "${name}"`, 1);
  return dev;
}

/** A namespace by name or path; 1 is the process whose namespace is the machine's own. */
function netnsWord(text: string, context: ToolContext): NetNs {
  if (text === "1") return context.machine.hostNs;
  try {
    return context.machine.netns(text);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new UsageError(`Error: argument "${text}" is wrong: Invalid "netns" value\n`, 255);
  }
}

function setWord(word: string, words: Words, dev: NetDevice, context: ToolContext): [number, () => void] {
  switch (word) {
    case "netns": {
      const ns = netnsWord(words.next(), context);
      return [0, () => linkSetNetns(dev, ns)];
    }
    case "address": {
      const mac = macWord(words.next());
      return [1, () => linkSetAddress(dev, mac.hi, mac.lo)];
    }
    case "mtu": {
      const mtu = numberWord(words.next(), 'Invalid "mtu" value\n', 0xffff_ffff);
      return [2, () => linkSetMtu(dev, mtu)];
    }
    case "name": {
      const name = words.next();
      return [3, () => linkSetName(dev, name)];
    }
    case "up":
      return [5, () => linkSetUp(dev)];
    case "down":
      return [5, () => linkSetDown(dev)];
    case "nomaster":
      return [6, () => linkSetMaster(dev, null)];
    case "master": {
      const master = find(words.next(), context);
      return [6, () => linkSetMaster(dev, master)];
    }
    case "txqueuelen":
    case "txqlen":
    case "qlen": {
      const length = numberWord(words.next(), 'Invalid "txqueuelen" value\n', 0xffff_ffff);
      return [4, () => linkSetTxQueueLen(dev, length)];
    }
    case "promisc": {
      const on = onOff("promisc", words.next());
      return [5, () => linkSetPromisc(dev, on)];
    }
    case "allmulticast": {
      const on = onOff("allmulticast", words.next());
      return [5, () => linkSetAllmulti(dev, on)];
    }
    case "type":
      return [7, typeWords(words, dev)];
    default:
      throw new NotModelledError(`ip link set ${word}`);
  }
}

function typeWords(words: Words, dev: NetDevice): () => void {
  const kind = words.next();
  if (kind === "bridge_slave") return slaveWords(words, dev);
  if (kind !== "bridge") throw new NotModelledError(`ip link set type ${kind}`);
  const settings: { ageingSec?: number; defaultPvid?: number; groupFwdMask?: number } = {};
  while (!words.done) {
    const word = words.next();
    if (word === "ageing_time")
      settings.ageingSec = numberWord(words.next(), "invalid ageing_time", 2 ** 32) / CENTISEC;
    else if (word === "vlan_default_pvid")
      settings.defaultPvid = numberWord(words.next(), "invalid vlan_default_pvid", 4094);
    else if (word === "group_fwd_mask")
      settings.groupFwdMask = numberWord(words.next(), "invalid group_fwd_mask", 0xffff);
    else throw new NotModelledError(`ip link set type bridge ${word}`);
  }
  return () => linkSetBridge(dev, settings);
}

const SLAVE_FLAGS: ReadonlyMap<string, keyof BrportSettings> = new Map([
  ["hairpin", "hairpin"],
  ["learning", "learning"],
  ["flood", "flood"],
  ["mcast_flood", "mcastFlood"],
  ["bcast_flood", "bcastFlood"],
  ["isolated", "isolated"],
]);

function slaveWords(words: Words, dev: NetDevice): () => void {
  const settings: { -readonly [K in keyof BrportSettings]: BrportSettings[K] } = {};
  while (!words.done) {
    const word = words.next();
    const key = SLAVE_FLAGS.get(word);
    if (key === undefined) throw new NotModelledError(`ip link set type bridge_slave ${word}`);
    settings[key] = onOff(word, words.next());
  }
  return () => linkSetBrport(dev, settings);
}

function onOff(word: string, text: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw new UsageError(`Error: argument of "${word}" must be "on" or "off", not "${text}"`, 255);
}

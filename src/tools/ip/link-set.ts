/** `ip link set` (iproute2 6.1 ip/iplink.c, iplink_bridge.c, iplink_bridge_slave.c). */
import { IFF_MULTICAST, IFF_NOARP, type NetDevice } from "../../net/core/net-device.ts";
import {
  linkSetAddress,
  linkSetAllmulti,
  linkSetCarrier,
  linkSetDown,
  linkSetFlag,
  linkSetIpTunnel,
  linkSetMaster,
  linkSetMtu,
  linkSetName,
  linkSetNetns,
  linkSetPromisc,
  linkSetTxQueueLen,
  linkSetUp,
  linkSetVxlan,
  type MacSpec,
} from "../../net/ctl/link.ts";
import { type BrportSettings, linkSetBridge, linkSetBrport } from "../../net/ctl/link-bridge.ts";
import { ipTunnelOf } from "../../net/drivers/ip-tunnel.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import type { ToolContext } from "../tool.ts";
import { macWord, netnsWord, numberWord, vxlanChanges, Words } from "./link-add.ts";
import { ipTunnelSettings, ipTunnelWords } from "./link-iptnl.ts";
import { deviceNamed } from "./words.ts";

const CENTISEC = 100;

/** A change and its place in the order in which the kernel applies them: namespace, address, MTU, name, flags, master. */
type Step = readonly [order: number, run: (dev: NetDevice) => void];

/** `[dev] NAME WORDS…`: the device's name may stand anywhere. */
export function linkSet(argv: readonly string[], context: ToolContext): void {
  const words = new Words(argv);
  const steps: Step[] = [];
  let name: string | null = null;
  while (!words.done) {
    const word = words.next();
    const step = setWord(word, words, context);
    if (step !== null) steps.push(step);
    else if (name === null) name = word === "dev" ? words.next() : word;
    else throw new NotModelledError(`ip link set ${word}`);
  }
  if (name === null) throw new UsageError('Not enough of information: "dev" argument is required.', 255);
  const dev = deviceNamed(context.ns, name);
  steps.sort(([a], [b]) => a - b);
  for (const [, run] of steps) run(dev);
}

/** Tunnels have addresses of four bytes, which cannot be set this way (ll_addr_a2n). */
function setAddress(dev: NetDevice, mac: MacSpec): void {
  if (ipTunnelOf(dev) !== null) throw new UsageError("Invalid address length 6 - must be 4 bytes", 1);
  linkSetAddress(dev, mac.hi, mac.lo);
}

/** null: no word of `ip link set`, so the device's name. */
function setWord(word: string, words: Words, context: ToolContext): Step | null {
  switch (word) {
    case "netns": {
      const ns = netnsWord(words.next(), context);
      return [0, (dev) => linkSetNetns(dev, ns)];
    }
    case "address": {
      const mac = macWord(words.next());
      return [1, (dev) => setAddress(dev, mac)];
    }
    case "mtu": {
      const mtu = numberWord(words.next(), 'Invalid "mtu" value\n', 0xffff_ffff);
      return [2, (dev) => linkSetMtu(dev, mtu)];
    }
    case "name": {
      const name = words.next();
      return [3, (dev) => linkSetName(dev, name)];
    }
    case "up":
      return [5, linkSetUp];
    case "down":
      return [5, linkSetDown];
    case "nomaster":
      return [6, (dev) => linkSetMaster(dev, null)];
    case "master": {
      const master = deviceNamed(context.ns, words.next());
      return [6, (dev) => linkSetMaster(dev, master)];
    }
    case "txqueuelen":
    case "txqlen":
    case "qlen": {
      const length = numberWord(words.next(), 'Invalid "txqueuelen" value\n', 0xffff_ffff);
      return [4, (dev) => linkSetTxQueueLen(dev, length)];
    }
    case "promisc": {
      const on = onOff("promisc", words.next());
      return [5, (dev) => linkSetPromisc(dev, on)];
    }
    case "allmulticast": {
      const on = onOff("allmulticast", words.next());
      return [5, (dev) => linkSetAllmulti(dev, on)];
    }
    case "carrier": {
      const text = words.next();
      if (text !== "on" && text !== "off")
        throw new UsageError(`Error: argument of "carrier" must be one of "off", "on", not "${text}"`, 255);
      return [7, (dev) => linkSetCarrier(dev, text === "on")];
    }
    case "arp":
    case "multicast": {
      const on = onOff(word, words.next());
      const flag = word === "arp" ? IFF_NOARP : IFF_MULTICAST;
      return [5, (dev) => linkSetFlag(dev, flag, on === (word === "multicast"))];
    }
    case "type":
      return [7, typeWords(words, context)];
    default:
      return UNMODELLED.has(word) ? notModelled(word) : null;
  }
}

const UNMODELLED: ReadonlySet<string> = new Set(
  "vrf alias group addrgenmode protodown vf xdp macaddr trailers dynamic mode state link-netnsid".split(" "),
);

function notModelled(word: string): never {
  throw new NotModelledError(`ip link set ${word}`);
}

function typeWords(words: Words, context: ToolContext): (dev: NetDevice) => void {
  const kind = words.next();
  if (kind === "bridge_slave") return slaveWords(words);
  if (kind === "vxlan") {
    const changes = vxlanChanges(words, context);
    return (dev) => linkSetVxlan(dev, changes);
  }
  if (kind === "ipip") {
    const parms = ipTunnelWords(words, context);
    return (dev) => linkSetIpTunnel(dev, ipTunnelSettings(ipTunnelOf(dev)?.parms ?? null, parms, 255));
  }
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
  return (dev) => linkSetBridge(dev, settings);
}

const SLAVE_FLAGS: ReadonlyMap<string, keyof BrportSettings> = new Map([
  ["hairpin", "hairpin"],
  ["learning", "learning"],
  ["flood", "flood"],
  ["mcast_flood", "mcastFlood"],
  ["bcast_flood", "bcastFlood"],
  ["isolated", "isolated"],
]);

function slaveWords(words: Words): (dev: NetDevice) => void {
  const settings: { -readonly [K in keyof BrportSettings]: BrportSettings[K] } = {};
  while (!words.done) {
    const word = words.next();
    const key = SLAVE_FLAGS.get(word);
    if (key === undefined) throw new NotModelledError(`ip link set type bridge_slave ${word}`);
    settings[key] = onOff(word, words.next());
  }
  return (dev) => linkSetBrport(dev, settings);
}

function onOff(word: string, text: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw new UsageError(`Error: argument of "${word}" must be "on" or "off", not "${text}"`, 255);
}

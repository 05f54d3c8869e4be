/** `brctl` of bridge-utils 1.7.1: bridges, their ports and addresses. */
import { bridgeOf, bridgePortOf } from "../net/bridge/br-private.ts";
import { IFF_UP, type NetDevice } from "../net/core/net-device.ts";
import type { NetNs } from "../net/core/net-ns.ts";
import { fdbDump } from "../net/ctl/fdb.ts";
import { linkAdd, linkDel, linkSetMaster } from "../net/ctl/link.ts";
import { linkSetBridge, linkSetBrport } from "../net/ctl/link-bridge.ts";
import { SEC } from "../sim/sim.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../util/errors.ts";
import { formatMac } from "../wire/address.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

/** Words, the text of the usage, how many words at least and at most, what it does (null: not modelled). */
interface Command {
  readonly usage: string;
  readonly min: number;
  readonly max: number;
  readonly run: ((words: readonly string[], context: ToolContext) => string) | null;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  addbr: { usage: "<bridge>\t\tadd bridge", min: 1, max: 1, run: addBridge },
  delbr: { usage: "<bridge>\t\tdelete bridge", min: 1, max: 1, run: deleteBridge },
  addif: { usage: "<bridge> <device>\tadd interface to bridge", min: 2, max: 1024, run: addPorts },
  delif: { usage: "<bridge> <device>\tdelete interface from bridge", min: 2, max: 1024, run: deletePorts },
  hairpin: { usage: "<bridge> <port> {on|off}\tturn hairpin on/off", min: 3, max: 3, run: setHairpin },
  setageing: { usage: "<bridge> <time>\t\tset ageing time", min: 2, max: 2, run: setAgeing },
  setbridgeprio: { usage: "<bridge> <prio>\t\tset bridge priority", min: 2, max: 2, run: null },
  setfd: { usage: "<bridge> <time>\t\tset bridge forward delay", min: 2, max: 2, run: null },
  sethello: { usage: "<bridge> <time>\t\tset hello time", min: 2, max: 2, run: null },
  setmaxage: { usage: "<bridge> <time>\t\tset max message age", min: 2, max: 2, run: null },
  setpathcost: { usage: "<bridge> <port> <cost>\tset path cost", min: 3, max: 3, run: null },
  setportprio: { usage: "<bridge> <port> <prio>\tset port priority", min: 3, max: 3, run: null },
  show: { usage: "[ <bridge> ]\t\tshow a list of bridges", min: 0, max: 1024, run: show },
  showmacs: { usage: "<bridge>\t\tshow a list of mac addrs", min: 1, max: 1, run: showMacs },
  showstp: { usage: "<bridge>\t\tshow bridge stp info", min: 1, max: 1, run: null },
  stp: { usage: "<bridge> {on|off}\tturn stp on/off", min: 2, max: 2, run: setStp },
};

const usageLine = (name: string): string => `${name.padEnd(10)}\t${COMMANDS[name].usage}\n`;

const USAGE = `Usage: brctl [commands]\ncommands:\n${Object.keys(COMMANDS)
  .map((name) => `\t${usageLine(name)}`)
  .join("")}`;

interface Args {
  readonly name: string;
  readonly words: readonly string[];
}

function parse(argv: readonly string[]): Args {
  const [name, ...words] = argv;
  if (name === undefined) throw new UsageError(USAGE, 1);
  const command = COMMANDS[name];
  if (command === undefined) throw new UsageError(`never heard of command [${name}]\n${USAGE}`, 1);
  if (words.length < command.min || words.length > command.max)
    throw new UsageError(
      `Incorrect number of arguments for command\nUsage: brctl ${name} ${command.usage}\n`,
      1,
    );
  return { name, words };
}

function fail(text: string): never {
  throw new UsageError(text, 1);
}

const byName = (a: NetDevice, b: NetDevice): number => (a.name < b.name ? -1 : 1);

const bridgesOf = (ns: NetNs): NetDevice[] =>
  ns
    .devices()
    .filter((dev) => bridgeOf(dev) !== null)
    .sort(byName);

const portsOf = (bridge: NetDevice): NetDevice[] =>
  bridge.ns
    .devices()
    .filter((dev) => bridgePortOf(dev)?.br.dev === bridge)
    .sort(byName);

function bridgeNamed(name: string, ns: NetNs, otherwise: string): NetDevice {
  const dev = ns.device(name);
  return dev !== undefined && bridgeOf(dev) !== null ? dev : fail(otherwise);
}

function show(words: readonly string[], { ns }: ToolContext): string {
  const chosen =
    words.length === 0
      ? bridgesOf(ns)
      : words.map((name) => bridgeNamed(name, ns, `bridge ${name} does not exist!`));
  const lines = chosen.map((bridge) => {
    const id = `8000.${formatMac(bridge.addrHi, bridge.addrLo).replaceAll(":", "")}`;
    const ports = portsOf(bridge).map(({ name }) => name);
    return `${bridge.name}\t\t${id}\tno\t\t${ports.join("\n\t\t\t\t\t\t\t")}\n`;
  });
  return `bridge name\tbridge id\t\tSTP enabled\tinterfaces\n${lines.join("")}`;
}

/** In the order of the addresses; those of the bridge itself belong to no port and are left out. */
function showMacs([name]: readonly string[], { ns }: ToolContext): string {
  const bridge = bridgeNamed(name, ns, `read of forward table failed: ${strerror("ENOENT")}`);
  const { now } = ns.kernel.sim;
  const entries = fdbDump(ns, { br: bridge })
    .filter(({ master, dev }) => master === bridge && bridgePortOf(dev) !== null)
    .map((entry) => ({ ...entry, mac: formatMac(entry.macHi, entry.macLo) }))
    .sort((a, b) => (a.mac < b.mac ? -1 : a.mac > b.mac ? 1 : 0));
  const lines = entries.map(({ dev, mac, state, updatedNs }) => {
    const local = state === "permanent";
    const age = state === "" ? (now - updatedNs) / SEC : 0;
    const timer = `${String(Math.floor(age)).padStart(4)}.${String(Math.floor((age % 1) * 100)).padStart(2, "0")}`;
    return `${String(bridgePortOf(dev)!.portNo).padStart(3)}\t${mac}\t${local ? "yes" : "no"}\t\t${timer}\n`;
  });
  return `port no\tmac addr\t\tis local?\tageing timer\n${lines.join("")}`;
}

function addBridge([name]: readonly string[], { ns }: ToolContext): string {
  if (ns.device(name) !== undefined)
    fail(`device ${name} already exists; can't create bridge with the same name`);
  linkAdd(ns, { kind: "bridge", name });
  return "";
}

function deleteBridge([name]: readonly string[], { ns }: ToolContext): string {
  const bridge = bridgeNamed(name, ns, `bridge ${name} doesn't exist; can't delete it`);
  if ((bridge.flags & IFF_UP) !== 0) fail(`bridge ${name} is still up; can't delete it`);
  linkDel(bridge);
  return "";
}

function addPorts([name, ...ports]: readonly string[], { ns }: ToolContext): string {
  for (const port of ports) {
    const dev = ns.device(port) ?? fail(`interface ${port} does not exist!`);
    const bridge = bridgeNamed(name, ns, `bridge ${name} does not exist!`);
    if (bridgePortOf(dev) !== null)
      fail(`device ${port} is already a member of a bridge; can't enslave it to bridge ${name}.`);
    try {
      linkSetMaster(dev, bridge);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      fail(`can't add ${port} to bridge ${name}: ${strerror(error.code)}`);
    }
  }
  return "";
}

function deletePorts([name, ...ports]: readonly string[], { ns }: ToolContext): string {
  for (const port of ports) {
    const dev = ns.device(port) ?? fail(`interface ${port} does not exist!`);
    const bridge = bridgeNamed(name, ns, `bridge ${name} does not exist!`);
    if (bridgePortOf(dev)?.br.dev !== bridge) fail(`device ${port} is not a port of ${name}`);
    linkSetMaster(dev, null);
  }
  return "";
}

function onOff(word: string): boolean {
  if (["on", "yes", "1"].includes(word)) return true;
  return ["off", "no", "0"].includes(word) ? false : fail("expect on/off for argument");
}

function setHairpin([name, port, word]: readonly string[], { ns }: ToolContext): string {
  const hairpin = onOff(word);
  bridgeNamed(name, ns, `bridge ${name} does not exist!`);
  linkSetBrport(ns.device(port) ?? fail(`interface ${port} does not exist!`), { hairpin });
  return "";
}

function setAgeing([name, word]: readonly string[], { ns }: ToolContext): string {
  if (!/^\d+(\.\d+)?$/.test(word)) fail("bad ageing time value");
  linkSetBridge(bridgeNamed(name, ns, `set ageing time failed: ${strerror("ENODEV")}`), {
    ageingSec: Number(word),
  });
  return "";
}

function setStp([name, word]: readonly string[], { ns }: ToolContext): string {
  if (onOff(word)) throw new NotModelledError("the spanning tree protocol (brctl stp on)");
  bridgeNamed(name, ns, `set stp status failed: ${strerror("ENODEV")}`);
  return "";
}

export const brctl: Tool<Args, string> = {
  name: "brctl",
  parse,
  run({ name, words }, context): string {
    const { run } = COMMANDS[name];
    if (run === null) throw new NotModelledError(`brctl ${name}`);
    return run(words, context);
  },
  render: (stdout): ToolOutput => ({ stdout, stderr: "", status: 0 }),
};

/** `ifconfig` of net-tools 2.10: shows devices; sets address, netmask, MTU, up and down. */
import { addressAdd, addressDel, addressesOf, broadcastOf } from "../net/ctl/address.ts";
import { linkSetDown, linkSetMtu, linkSetUp } from "../net/ctl/link.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../util/errors.ts";
import { parseIp4 } from "../wire/address.ts";
import { deviceNamed } from "./ip/words.ts";
import { interfacesText, interfaceTable } from "./net-tools/interfaces.ts";
import type { Tool, ToolContext } from "./tool.ts";

/** Prefix length of an address without one, by its class (inet_abc_len). */
function classLength(addr: number): number {
  const first = addr >>> 24;
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}

const maskLength = (mask: number) => Math.clz32(~mask);

function change(argv: readonly string[], context: ToolContext): void {
  const [name, ...words] = argv;
  const dev = deviceNamed(context.ns, name);
  let [local, prefixLen] = [0, -1];
  let up: boolean | null = null;
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === "up" || word === "down") up = word === "up";
    else if (word === "netmask") prefixLen = maskLength(parseIp4(words[++i] ?? "") ?? 0);
    else if (word === "mtu") linkSetMtu(dev, Number(words[++i]));
    else if (word === "broadcast") i++;
    else {
      const [host, length] = word.split("/");
      const addr = parseIp4(host);
      if (addr === null)
        throw new UsageError(`${word}: Unknown host\nifconfig: \`--help' gives usage information.`, 1);
      local = addr;
      if (length !== undefined) prefixLen = Number(length);
    }
  }
  if (local !== 0) {
    const old = addressesOf(dev).find(({ label }) => label === name);
    if (old !== undefined) addressDel(dev, old.local, old.prefixLen);
    const length = prefixLen < 0 ? classLength(local) : prefixLen;
    addressAdd(dev, { local, prefixLen: length, broadcast: broadcastOf(local, length), label: name });
    up ??= true;
  }
  if (up !== null) (up ? linkSetUp : linkSetDown)(dev);
}

const TABLE = "Iface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n";

/** Shows, or changes and says nothing. */
function perform(argv: readonly string[], context: ToolContext): string {
  const words = argv.filter((word) => !/^-[as]$/.test(word));
  const options = argv.filter((word) => word.startsWith("-") && !words.includes(word));
  if (words.some((word) => /^-[vV]/.test(word))) throw new NotModelledError(`ifconfig ${argv.join(" ")}`);
  const all = options.includes("-a");
  if (options.includes("-s")) return interfaceTable(context.ns, all, TABLE);
  if (words.length < 2) return interfacesText(context.ns, all, words[0] ?? "");
  change(words, context);
  return "";
}

export const ifconfig: Tool<readonly string[], string> = {
  name: "ifconfig",
  parse: (argv) => argv,
  run: perform,
  render: (stdout) => ({ stdout, stderr: "", status: 0 }),
  failure: (error) =>
    error instanceof SysError
      ? { stdout: "", stderr: `SIOCSIFADDR: ${strerror(error.code)}\n`, status: 255 }
      : null,
};

/** `ip neigh … proxy`: addresses that are answered for (iproute2 6.1 ip/ipneigh.c). */
import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { proxyAdd, proxyDel, proxyDump } from "../../net/ctl/neighbour.ts";
import { SysError, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { ToolOutput } from "../tool.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { toJson } from "./link-format.ts";
import { deviceNamed, ip4Word, Words } from "./words.ts";

interface Named {
  ip: number | null;
  dev: NetDevice | null;
}

function parse(argv: readonly string[], ns: NetNs): Named {
  const named: Named = { ip: null, dev: null };
  const words = new Words(argv);
  while (!words.done) {
    const word = words.next();
    if (word === "dev") named.dev = deviceNamed(ns, words.next());
    else if (word !== "nud" && word !== "proxy") named.ip = ip4Word(word === "to" ? words.next() : word);
  }
  return named;
}

/** Adds, or deletes, what the words name. */
export function changeProxy(argv: readonly string[], ns: NetNs, add: boolean): ToolOutput {
  const { ip, dev } = parse(argv, ns);
  if (ip === null) throw new UsageError("Device and destination are required arguments.", 255);
  if (add) proxyAdd(ns, ip, dev);
  else proxyDel(ns, ip, dev);
  return ipOutput("");
}

export function getProxy(argv: readonly string[], ns: NetNs): ToolOutput {
  const { ip, dev } = parse(argv, ns);
  if (ip === null || dev === null) throw new UsageError("Device and address are required arguments.", 255);
  const found = proxyDump(ns).some((entry) => entry.ip === ip && (entry.dev === dev || entry.dev === null));
  if (!found) throw new SysError("ENOENT", "Error: Proxy neighbour entry not found.");
  return ipOutput(`${formatIp4(ip)} dev ${dev.name} proxy \n`);
}

export function showProxies(argv: readonly string[], options: IpOptions, ns: NetNs): ToolOutput {
  const { ip, dev } = parse(argv, ns);
  const shown = proxyDump(ns).filter(
    (entry) => (dev === null || entry.dev === dev) && (ip === null || entry.ip === ip),
  );
  if (options.json) {
    const rows = shown.map((entry) => ({
      dst: formatIp4(entry.ip),
      ...(dev === null && entry.dev !== null ? { dev: entry.dev.name } : {}),
      proxy: null,
    }));
    return ipOutput(`${toJson(rows)}\n`);
  }
  return ipOutput(
    shown
      .map((entry) => {
        const by = dev === null && entry.dev !== null ? `dev ${entry.dev.name} ` : "";
        return `${formatIp4(entry.ip)} ${by}proxy \n`;
      })
      .join(""),
  );
}

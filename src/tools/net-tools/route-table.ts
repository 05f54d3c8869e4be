/** The main table as /proc/net/route has it (fib_trie.c fib_route_seq_show), in the two layouts of net-tools 2.10. */
import type { Co } from "../../host/process.ts";
import { RTN_BLACKHOLE, RTN_UNICAST } from "../../net/core/dst.ts";
import { routeDump } from "../../net/ctl/route.ts";
import { type FibAlias, RT_TABLE_MAIN } from "../../net/ipv4/fib.ts";
import { formatIp4, prefixToMask } from "../../wire/address.ts";
import type { ToolContext } from "../tool.ts";
import { addressTexts } from "./names.ts";

const HEAD = "Kernel IP routing table\nDestination     Gateway         Genmask         Flags ";

/** In the order of the addresses; of one address the longest prefix first. */
function mainRoutes({ ns }: ToolContext): FibAlias[] {
  return routeDump(ns)
    .filter(({ table, type }) => table === RT_TABLE_MAIN && (type === RTN_UNICAST || type >= RTN_BLACKHOLE))
    .map((alias, i) => ({ alias, i }))
    .sort(
      (a, b) =>
        (a.alias.dst >>> 0) - (b.alias.dst >>> 0) || b.alias.prefixLen - a.alias.prefixLen || a.i - b.i,
    )
    .map(({ alias }) => alias);
}

/** `extended`: that of `netstat -r` and `route -e`; busybox writes some cells in other ways. */
export function* routeTable(
  numeric: boolean,
  extended: boolean,
  context: ToolContext,
  isBusybox = false,
): Co<string> {
  const routes = mainRoutes(context).flatMap((alias) =>
    alias.paths.length > 0 ? alias.paths.slice(0, 1) : [alias],
  );
  const shown = routes.flatMap(({ dst, prefixLen, gateway }) => [
    ...(prefixLen === 0 ? [] : [dst]),
    ...(gateway === 0 ? [] : [gateway]),
  ]);
  const names = yield* addressTexts(shown, numeric, context.process);
  const lines = routes.map((alias) => routeLine(alias, names, { numeric, extended, isBusybox }));
  const columns = extended ? "  MSS Window  irtt Iface\n" : "Metric Ref    Use Iface\n";
  return HEAD + columns + lines.join("");
}

interface Layout {
  readonly numeric: boolean;
  readonly extended: boolean;
  readonly isBusybox: boolean;
}

function routeLine(
  alias: FibAlias,
  names: ReadonlyMap<number, string>,
  { numeric, extended, isBusybox }: Layout,
): string {
  const { dst, prefixLen, gateway, metric, mtu, dev } = alias;
  const rejects = alias.type !== RTN_UNICAST;
  const none = numeric ? "0.0.0.0" : "default";
  const target = prefixLen === 0 ? none : names.get(dst)!;
  const absent = isBusybox && !numeric ? "*" : "0.0.0.0";
  const dash = isBusybox ? "0" : "-";
  const device = dev !== null && !rejects ? dev.name : isBusybox ? "*" : "-";
  const via = rejects && !isBusybox ? "-" : gateway === 0 ? absent : names.get(gateway)!;
  const flags = (rejects ? "!" : "U") + (gateway !== 0 ? "G" : "") + (prefixLen === 32 ? "H" : "");
  const cell = (text: string): string => text.slice(0, 15).padEnd(16);
  const head = cell(target) + cell(via) + cell(formatIp4(prefixToMask(prefixLen))) + flags.padEnd(6);
  const right = (text: string | number, width: number): string => String(text).padStart(width);
  if (!extended) {
    const ref = rejects ? dash : "0";
    return `${head}${String(metric).padEnd(6)} ${ref.padEnd(2)}${right(0, 8)} ${device}\n`;
  }
  if (rejects && !isBusybox) return `${head}    - -          - -\n`;
  return `${head}${right(mtu === 0 ? 0 : mtu - 40, 5)} ${String(0).padEnd(6)} ${right(0, 5)} ${device}\n`;
}

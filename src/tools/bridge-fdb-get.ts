/** `bridge fdb get`: the entry of one address (iproute2 6.1 bridge/fdb.c fdb_get; net/core/rtnetlink.c rtnl_fdb_get). */
import { bridgePortOf } from "../net/bridge/br-private.ts";
import type { NetDevice } from "../net/core/net-device.ts";
import { type FdbDumpEntry, fdbDump } from "../net/ctl/fdb.ts";
import { NotModelledError, SysError, UsageError } from "../util/errors.ts";
import { parseMac } from "../wire/address.ts";
import type { ToolContext } from "./tool.ts";

const FAILED = 255;
const VLAN_IDS = 4095;

/** What `bridge fdb help` prints, to standard error. */
export const FDB_HELP = `Usage: bridge fdb { add | append | del | replace } ADDR dev DEV
              [ self ] [ master ] [ use ] [ router ] [ extern_learn ]
              [ sticky ] [ local | static | dynamic ] [ vlan VID ]
              { [ dst IPADDR ] [ port PORT] [ vni VNI ] | [ nhid NHID ] }
	       [ via DEV ] [ src_vni VNI ]
       bridge fdb [ show [ br BRDEV ] [ brport DEV ] [ vlan VID ]
              [ state STATE ] [ dynamic ] ]
       bridge fdb get [ to ] LLADDR [ br BRDEV ] { brport | dev } DEV
              [ vlan VID ] [ vni VNI ] [ self ] [ master ] [ dynamic ]
       bridge fdb flush dev DEV [ brport DEV ] [ vlan VID ]
              [ self ] [ master ] [ [no]permanent | [no]static | [no]dynamic ]
              [ [no]added_by_user ] [ [no]extern_learn ] [ [no]sticky ]
              [ [no]offloaded ]
`;

interface Query {
  mac: { readonly hi: number; readonly lo: number } | null;
  dev: NetDevice | null;
  br: NetDevice | null;
  vlan: number;
  self: boolean;
}

export function fdbGet(words: readonly string[], context: ToolContext): FdbDumpEntry {
  const query = parseQuery(words, context);
  const { mac, dev, br, vlan, self } = query;
  if (mac === null || (dev === null && br === null))
    throw new UsageError("Device or master and address are required arguments.", FAILED);
  const asked = self ? dev : (br ?? bridgeOf(dev!));
  const found = fdbDump(context.ns, {}).find((entry) => {
    const owner = entry.master ?? (entry.dst === null ? null : entry.dev);
    return owner === asked && entry.macHi === mac.hi && entry.macLo === mac.lo && entry.vlan === vlan;
  });
  if (found === undefined) throw new SysError("ENOENT", "Error: Fdb entry not found.");
  return found;
}

function bridgeOf(dev: NetDevice): NetDevice {
  const port = bridgePortOf(dev);
  if (port === null) throw new SysError("EINVAL", "Error: Device is not a bridge port.");
  return port.br.dev;
}

function parseQuery(words: readonly string[], { ns }: ToolContext): Query {
  const query: Query = { mac: null, dev: null, br: null, vlan: 0, self: false };
  const named = (name: string, what: string): NetDevice => {
    const dev = ns.device(name);
    if (dev === undefined) throw new UsageError(`Cannot find ${what} "${name}"`, FAILED);
    return dev;
  };
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === "brport" || word === "dev") query.dev = named(words[++i] ?? "", "device");
    else if (word === "br") query.br = named(words[++i] ?? "", "bridge device");
    else if (word === "vlan") {
      query.vlan = Number(words[++i] ?? "");
      if (!(query.vlan < VLAN_IDS)) throw new SysError("EINVAL", "Error: invalid vlan id.");
    } else if (word === "self") query.self = true;
    else if (word === "vni" || word === "dynamic") throw new NotModelledError(`bridge fdb get ${word}`);
    else if (word !== "master") {
      const text = word === "to" ? (words[++i] ?? "") : word;
      if (query.mac !== null)
        throw new UsageError(`Error: either "to" is duplicate, or "${text}" is a garbage.`, FAILED);
      query.mac = parseMac(text);
      if (query.mac === null) throw new UsageError(`Invalid mac address ${text}`, FAILED);
    }
  }
  return query;
}

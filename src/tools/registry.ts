/** Every command by its name. */
import { arping } from "./arping.ts";
import { brctl } from "./brctl.ts";
import { bridge } from "./bridge.ts";
import { busybox } from "./busybox/applets.ts";
import { conntrack } from "./conntrack.ts";
import { curl } from "./curl.ts";
import { dig } from "./dig/dig.ts";
import { host, nslookup } from "./dig/nslookup.ts";
import { dmesg } from "./dmesg.ts";
import { dockerTool } from "./docker/docker.ts";
import { hping3 } from "./hping3.ts";
import { ifconfig } from "./ifconfig.ts";
import { ip } from "./ip/ip.ts";
import { iperf3 } from "./iperf3.ts";
import { iptablesTool } from "./iptables/iptables.ts";
import { iptablesRestoreTool } from "./iptables/restore.ts";
import { iptablesSaveTool } from "./iptables/save.ts";
import { ipvsadm } from "./ipvsadm/ipvsadm.ts";
import { nc } from "./nc.ts";
import { arp } from "./net-tools/arp.ts";
import { netstat } from "./net-tools/netstat.ts";
import { route } from "./net-tools/route.ts";
import { nft } from "./nft/nft.ts";
import { nsenter } from "./nsenter.ts";
import { ping } from "./ping.ts";
import { socat } from "./socat/socat.ts";
import { ss } from "./ss.ts";
import { sysctl } from "./sysctl.ts";
import { tcpdump } from "./tcpdump.ts";
import type { Tool } from "./tool.ts";
import { tracepath } from "./tracepath.ts";
import { traceroute } from "./traceroute.ts";
import { whoami } from "./whoami.ts";

const ALL = [
  arp,
  arping,
  ifconfig,
  brctl,
  bridge,
  busybox,
  conntrack,
  curl,
  dig,
  dmesg,
  dockerTool,
  host,
  hping3,
  ip,
  iperf3,
  iptablesTool,
  iptablesRestoreTool,
  iptablesSaveTool,
  ipvsadm,
  nc,
  netstat,
  nft,
  nsenter,
  nslookup,
  ping,
  route,
  socat,
  ss,
  sysctl,
  tcpdump,
  whoami,
  tracepath,
  traceroute,
] as readonly Tool[];

/** Other names of the same commands. */
const ALIASES: Readonly<Record<string, string>> = {
  netcat: "nc",
  "iptables-legacy": "iptables",
  "iptables-legacy-save": "iptables-save",
  "iptables-legacy-restore": "iptables-restore",
};

export const TOOLS: ReadonlyMap<string, Tool> = new Map([
  ...ALL.map((tool) => [tool.name, tool] as const),
  ...Object.entries(ALIASES).map(
    ([alias, name]) => [alias, ALL.find((tool) => tool.name === name)!] as const,
  ),
]);

/** Firewall rules from a seed: matches and targets in every table and chain that takes them. */
import type { Prng } from "../../../src/util/prng.ts";
import type { Command } from "../case.ts";
import type { Network } from "./network.ts";

type Table = "raw" | "mangle" | "nat" | "filter";

const HOOKS: Readonly<Record<Table, readonly string[]>> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};
const TABLES: readonly Table[] = ["raw", "mangle", "nat", "nat", "filter", "filter"];

interface Place {
  readonly prng: Prng;
  readonly table: Table;
  /** Hook of the chain; "" for a user chain. */
  readonly hook: string;
  readonly devs: readonly string[];
  readonly network: Network;
  /** "tcp", "udp", "icmp" or "" once chosen. */
  readonly protocol: string;
}

const PROTOCOLS = ["", "", "tcp", "tcp", "udp", "udp", "icmp", "47", "132"];

function not(prng: Prng): string {
  return prng.below(6) === 0 ? "! " : "";
}

/** Address matches, interface matches, fragments. */
function ipMatch({ prng, hook, devs, network }: Place): string {
  const words: string[] = [];
  const subnets = [
    ...network.legs.map(({ hosts }) => hosts[0].replace(/\d+$/, "0/24")),
    "10.0.0.0/8",
    "172.16.0.0/12",
  ];
  if (prng.below(5) === 0) words.push(`${not(prng)}-s ${prng.pick(subnets)}`);
  if (prng.below(5) === 0) words.push(`${not(prng)}-d ${prng.pick(subnets)}`);
  const hasIn = !["OUTPUT", "POSTROUTING", ""].includes(hook);
  const hasOut = !["PREROUTING", "INPUT", ""].includes(hook);
  if (hasIn && prng.below(5) === 0) words.push(`${not(prng)}-i ${prng.pick([...devs, "eth+", "lo"])}`);
  if (hasOut && prng.below(5) === 0) words.push(`${not(prng)}-o ${prng.pick([...devs, "eth+", "lo"])}`);
  if (prng.below(20) === 0) words.push(`${not(prng)}-f`);
  return words.join(" ");
}

/** No range of ports that cuts through those of VXLAN (32768 to 60999), which are random. */
function transportMatch({ prng, protocol, network }: Place): string {
  const port = prng.pick([...network.ports, 40000, "1000:2000", ":1023", "61000:"]);
  const side = prng.pick(["--dport", "--dport", "--sport"]);
  const list = prng.pick(["53,80,8080", "80,1000:2000", "40000,40001"]);
  switch (protocol) {
    case "tcp":
      return prng.pick([
        `-m tcp ${not(prng)}${side} ${port}`,
        `-m tcp ${not(prng)}--tcp-flags FIN,SYN,RST,ACK SYN`,
        "-m tcp --syn",
        "-m tcp ! --syn",
        `-m tcp ${not(prng)}--tcp-option 2`,
        `-m tcpmss ${not(prng)}--mss 100:1460`,
        `-m multiport ${not(prng)}--${prng.pick(["dports", "sports", "ports"])} ${list}`,
        "",
      ]);
    case "udp":
      return prng.pick([
        `-m udp ${not(prng)}${side} ${port}`,
        `-m multiport ${not(prng)}--${prng.pick(["dports", "sports", "ports"])} ${list}`,
        "",
      ]);
    case "icmp":
      return prng.pick([`-m icmp ${not(prng)}--icmp-type ${prng.pick(["8", "0", "3/3", "3", "any"])}`, ""]);
    default:
      return "";
  }
}

/** Matches by module. */
function extraMatch(place: Place): string {
  const { prng, table, hook, devs } = place;
  const states = prng.pick([
    "NEW",
    "ESTABLISHED",
    "RELATED,ESTABLISHED",
    "INVALID",
    "NEW,UNTRACKED",
    "RELATED",
  ]);
  const outward = ["OUTPUT", "POSTROUTING", "FORWARD"].includes(hook);
  const places = place.network.legs.map(({ hosts }) => hosts[0].replace(/\d+$/, "0/24"));
  const choices = [
    `-m conntrack ${not(prng)}--ctstate ${states}`,
    `-m state ${not(prng)}--state ${states}`,
    `-m conntrack ${not(prng)}--ctstate ${prng.pick(["DNAT", "SNAT"])}`,
    `-m conntrack ${not(prng)}--ctstatus ${prng.pick(["SEEN_REPLY", "ASSURED", "CONFIRMED", "NONE"])}`,
    `-m conntrack ${not(prng)}--ctdir ${prng.pick(["ORIGINAL", "REPLY"])}`.replace("! --ctdir", "--ctdir"),
    `-m mark ${not(prng)}--mark ${prng.pick(["0x1", "0x2/0x2", "0x0", "0x100"])}`,
    `-m statistic --mode random ${not(prng)}--probability ${prng.pick(["0", "1"])}`,
    `-m conntrack ${not(prng)}--ctorigdst ${prng.pick(places)}`,
    `-m conntrack ${not(prng)}--ctreplsrc ${prng.pick(places)}`,
    `-m conntrack ${not(prng)}--ctorigsrc ${prng.pick(places)}`,
    `-m conntrack ${not(prng)}--ctreplsrcport ${prng.pick(["80", "5000:5003"])}`,
    `-m conntrack ${not(prng)}--ctorigdstport ${prng.pick(["80", "53", "8080"])}`,
    `-m conntrack --ctproto ${prng.pick(["tcp", "udp", "icmp"])}`,
    `-m conntrack ${not(prng)}--ctexpire ${prng.pick(["0:60", "25:35", "1:1000"])}`,
    `-m connmark ${not(prng)}--mark ${prng.pick(["0x1", "0x2/0x2", "0x0"])}`,
    `-m addrtype ${not(prng)}--dst-type ${prng.pick(["LOCAL", "UNICAST", "BROADCAST", "MULTICAST"])}`,
    `-m addrtype ${not(prng)}--src-type ${prng.pick(["LOCAL", "UNICAST"])}`,
    `-m iprange ${not(prng)}--src-range 10.0.0.2-10.1.0.2`,
    `-m iprange ${not(prng)}--dst-range 10.1.0.1-10.2.0.9`,
    `-m length ${not(prng)}--length ${prng.pick(["28", "0:100", "500:1500"])}`,
    `-m ttl --ttl-${prng.pick(["eq 64", "lt 64", "gt 63"])}`,
    `-m pkttype ${not(prng)}--pkt-type ${prng.pick(["unicast", "broadcast", "multicast"])}`,
    `-m statistic --mode nth --every ${2 + prng.below(3)} --packet ${prng.below(2)}`,
    "-m limit --limit 1/hour --limit-burst 3",
    `-m u32 --u32 "${prng.pick(["6&0xff=17", "0>>22&0x3c@0>>16=40000", "2&0xffff=0x1c:0x80"])}"`,
    `-m comment --comment "${prng.pick(["one", "two words"])}"`,
  ];
  if (["PREROUTING", "INPUT", "FORWARD"].includes(hook))
    choices.push(`-m mac ${not(prng)}--mac-source 02:57:00:00:00:00`);
  if (place.network.bridged && !outward && hook !== "")
    choices.push(`-m physdev ${not(prng)}--physdev-in ${prng.pick(devs)}`);
  if (place.network.bridged && ["FORWARD", "POSTROUTING"].includes(hook))
    choices.push(`-m physdev --physdev-is-bridged --physdev-out ${prng.pick(devs)}`);
  return table === "raw"
    ? prng.pick(choices.filter((text) => !/conntrack|state|connmark/.test(text)))
    : prng.pick(choices);
}

/**
 * No small ranges of ports for SNAT: out of one the kernel draws for each flow anew, and a number drawn twice on one side only
 * cannot be renamed.
 */
function natTarget({ prng, hook, protocol, network }: Place): string {
  const address = prng.pick(network.legs).hosts[0];
  const ported = protocol === "tcp" || protocol === "udp" || protocol === "132";
  const port = ported ? prng.pick(["", ":80", ":8080", ":5000"]) : "";
  const own = prng.pick(network.legs).address || "10.5.0.99";
  // A tunnel that is led into itself ends by the recursion limit; its ports differ by level, which the kernel's do not.
  if (hook === "OUTPUT" && network.bridged) return "ACCEPT";
  if (hook === "PREROUTING" || hook === "OUTPUT") {
    const plain = hook === "PREROUTING" ? ["10.1.0.0/24", "10.2.0.0/24"] : ["10.1.0.0/24"];
    return prng.pick([
      `DNAT --to-destination ${address}${port}`,
      `DNAT --to-destination ${address}-${address.replace(/\d+$/, "9")}${port}`,
      `DNAT --to-destination ${address}${ported ? ":5000-5001" : ""}`,
      ported ? `REDIRECT --to-ports ${prng.pick([80, 53, 8080, "5000-5003", "1-65535"])}` : "REDIRECT",
      prng.below(3) === 0 ? `NETMAP --to ${prng.pick(plain)}` : "ACCEPT",
    ]);
  }
  // The source ports of VXLAN (up to 60999, by a hash nobody knows) are all within the range, or all without.
  const range = ported ? prng.pick(["", ":20000-29999", ":30000-61001"]) : "";
  if (hook === "INPUT")
    return prng.pick([`SNAT --to-source 10.77.0.1${port}`, `SNAT --to-source 10.77.0.1${range}`, "ACCEPT"]);
  return prng.pick([
    `SNAT --to-source ${own}${port}`,
    `SNAT --to-source ${own}${range}`,
    "MASQUERADE",
    ported ? `MASQUERADE --to-ports ${prng.pick(["5000", "20000-29999"])}` : "MASQUERADE",
    `SNAT --to-source 10.77.0.1-10.77.0.3${range}`,
    prng.below(2) === 0 ? "NETMAP --to 10.77.0.0/24" : "ACCEPT",
  ]);
}

/**
 * Zones of both directions: with one of a single direction packets of one flow may become two flows that collide, which
 * later kernels than 6.1 resolve otherwise (a4e6a1031e77, "netfilter: conntrack: add clash resolution for reverse collisions").
 */
const ZONES = ["--zone 1", "--zone 2", "--zone mark"];

const RESET_NEW = "-m conntrack --ctstate NEW -j REJECT --reject-with tcp-reset";

function target(place: Place, chains: readonly string[]): string {
  const { prng, table, hook, protocol } = place;
  if (chains.length > 0 && prng.below(4) === 0) return `-j ${prng.pick(chains)}`;
  if (prng.below(12) === 0) return prng.pick(["", "-j RETURN"]);
  if (table === "nat" && hook !== "") return `-j ${natTarget(place)}`;
  if (table === "raw") {
    if (prng.below(3) === 0) return `-j CT ${prng.pick(ZONES)}`;
    return `-j ${prng.pick(["ACCEPT", "DROP", "NOTRACK", "CT --notrack", "MARK --set-mark 0x1"])}`;
  }
  if (table === "filter") {
    // Since Linux 6.3 a reset closes a connection that conntrack knows; Linux 6.1 leaves it alone.
    const reset = protocol === "tcp" ? [RESET_NEW] : [];
    const words = ["net-unreachable", "port-unreachable", "admin-prohibited", "host-prohibited"];
    const reject = `REJECT --reject-with icmp-${prng.pick(words)}`;
    const word = prng.pick(["ACCEPT", "ACCEPT", "DROP", reject, ...reset]);
    return word === RESET_NEW ? word : `-j ${word}`;
  }
  if (table === "nat") return `-j ${prng.pick(["ACCEPT", "RETURN"])}`;
  const choices = [
    "ACCEPT",
    "MARK --set-xmark 0x1/0x1",
    "MARK --set-mark 0x2",
    "MARK --or-mark 0x4",
    "MARK --and-mark 0x6",
    "MARK --xor-mark 0x3",
    "CONNMARK --set-mark 0x1",
    "CONNMARK --set-xmark 0x3/0x2",
    "CONNMARK --save-mark",
    "CONNMARK --save-mark --nfmask 0x1 --ctmask 0x3",
    "CONNMARK --restore-mark",
    "CONNMARK --restore-mark --nfmask 0xf --ctmask 0x2",
    `LOG --log-prefix "${prng.pick(["one", "two words"])}"`,
  ];
  choices.push(`TTL --ttl-${prng.pick(["set 10", "dec 1", "inc 5"])}`);
  return `-j ${prng.pick(choices)}`;
}

function tcpmss({ prng, hook }: Place): string {
  const outward = hook === "FORWARD" || hook === "OUTPUT" || hook === "POSTROUTING";
  const how = outward ? prng.pick(["--clamp-mss-to-pmtu", "--set-mss 1000"]) : "--set-mss 1000";
  return `-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS ${how}`;
}

function ruleWords(place: Place, chains: readonly string[]): string {
  if (place.table === "mangle" && place.hook !== "" && place.prng.below(8) === 0) return tcpmss(place);
  const { prng, protocol } = place;
  const parts = [
    ipMatch(place),
    protocol === "" ? "" : `-p ${protocol}`,
    prng.below(3) > 0 ? transportMatch(place) : "",
    prng.below(2) === 0 ? extraMatch(place) : "",
    target(place, chains),
  ];
  return parts.filter((part) => part !== "").join(" ");
}

/** Rules for every firewall of a network, those of the topology first. */
export function randomRules(prng: Prng, network: Network): Command[] {
  const commands: Command[] = [...network.rules];
  for (const { ns, devs } of network.firewalls) {
    const chains = new Map<Table, string[]>();
    for (let i = prng.below(9); i > 0; i--) {
      const table = prng.pick(TABLES);
      const own = chains.get(table) ?? [];
      chains.set(table, own);
      if (own.length < 2 && prng.below(5) === 0) {
        own.push(`U${own.length}`);
        commands.push({ ns, run: `iptables -t ${table} -N ${own.at(-1)}` });
      }
      const inUser = own.length > 0 && prng.below(3) === 0;
      const hook = inUser ? "" : prng.pick(HOOKS[table]);
      const place = { prng, table, hook, devs, network, protocol: prng.pick(PROTOCOLS) };
      const jumps = inUser ? own.slice(1) : own;
      const chain = inUser ? own[0] : hook;
      commands.push({ ns, run: `iptables -t ${table} -A ${chain} ${ruleWords(place, jumps)}`.trim() });
    }
  }
  return commands;
}

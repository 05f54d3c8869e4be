/**
 * The state of a namespace as text, as the real cluster's dumps have it, without what is random or belongs to parts of
 * the kernel that are not modelled: ids and random MACs, IPv6, timers, traffic of the control plane.
 */

/** What a dump asks, by the title of its block: `[title, lines kept]`. */
export const DUMP_COMMANDS = [
  "iptables-save -c",
  "iptables -t nat -nvL",
  "iptables -t mangle -nvL",
  "iptables -t filter -nvL",
  "ipvsadm -Sn",
  "ipvsadm -Ln",
  "ipvsadm -Ln --stats",
  "ipvsadm -Lnc",
  "ip -d addr",
  "ip route show table all",
  "ip rule",
  "ip -d neigh",
  "bridge -d fdb",
  "conntrack -L -o extended",
] as const;

/** The blocks of a dump file by command. */
export function blocks(text: string): Map<string, string> {
  const parts = text.split(/^=== (.*)\n/m);
  const out = new Map<string, string>();
  for (let i = 1; i + 1 < parts.length; i += 2) out.set(parts[i].trim(), parts[i + 1]);
  return out;
}

/** What `conntrack` says on its other stream, in the middle of a line at times. */
const SHOWN = /conntrack v1\.4\.7 \(conntrack-tools\): \d+ flow entries have been shown\.\n/g;

/** A port that a client or its SNAT took, in a list of connections. */
const PORT_OF_CHANCE = /\b((?:\d+\.){3}\d+):(?:3276[89]|327[7-9]\d|32[89]\d\d|3[3-9]\d{3}|[4-6]\d{4})\b/g;

/** Lines of one block in a form that two runs share. On `host` also the counters that gossip moves are hidden. */
export function canonical(command: string, text: string, netns: string): string[] {
  const host = netns === "host";
  const lines = text
    .replace(SHOWN, "")
    .split("\n")
    .filter((line) => line.trim() !== "");
  if (command.startsWith("iptables"))
    return rules(command, netns.startsWith("ovl-") ? lines.map(withoutIgmp) : lines, host);
  if (command === "ipvsadm -Ln --stats") return lines.map((line) => line.replace(/( +\d+){4}$/, ""));
  if (command === "ipvsadm -Lnc")
    return lines
      .map((line) => line.replace(/\b\d\d:\d\d\b/, "mm:ss").replace(PORT_OF_CHANCE, "$1:<port>"))
      .sort();
  if (command === "ip -d addr") return addresses(lines);
  if (command.startsWith("ip route")) return lines.filter((line) => !/fe80|ff00|::/.test(line)).map(names);
  if (command === "ip -d neigh")
    return lines
      .filter((line) => !line.includes("fe80"))
      .map(neighbour)
      .sort();
  if (command === "bridge -d fdb")
    return lines
      .filter((line) => !line.startsWith("33:33:"))
      .map(names)
      .sort();
  if (command.startsWith("conntrack")) return connections(lines);
  return lines;
}

/** What an overlay's namespace sends itself is IGMP of its bridge, which is not modelled. */
function withoutIgmp(line: string): string {
  return line
    .replace(/^(:OUTPUT ACCEPT) .*/, "$1 [0:0]")
    .replace(/^(Chain OUTPUT \(policy ACCEPT) .*/, "$1 0 packets, 0 bytes)");
}

/**
 * A line of rules. Flows (the nat table) count exactly. How many pure ACKs a close takes is a race, so the packets of the
 * other tables count as some or none; what gossip and the engines' own traffic moves on a host does not count.
 */
function rule(line: string, flows: boolean, host: boolean): string {
  const out = line
    .replace(/127\.0\.0\.11:\d+/g, "127.0.0.11:<port>")
    .replace(/(spt:|--sport )\d{5}\b/g, "$1<port>");
  const ours = /\b(8080|5353)\b/.test(out);
  if (flows && (!host || ours)) return out;
  const some = (packets: string) =>
    host && !ours ? "*" : Number.parseInt(packets, 10) > 0 ? "some" : "none";
  return out
    .replace(/\[(\d+):\d+\]/, (_, packets: string) => `[${some(packets)}]`)
    .replace(/^ *(\d+[KMG]?) +\d+[KMG]? /, (_, packets: string) => `${some(packets)} `)
    .replace(
      /(policy [A-Z]+) (\d+[KMG]?) packets, \w+ bytes/,
      (_, policy: string, packets: string) => `${policy} ${some(packets)}`,
    );
}

/** The lines of `iptables-save` or `iptables -nvL`, each read by the table that it is of. */
function rules(command: string, lines: readonly string[], host: boolean): string[] {
  let table = command.split(" ")[2] ?? "";
  const out: string[] = [];
  for (const line of lines) {
    if (line.startsWith("#")) continue;
    if (line.startsWith("*")) table = line.slice(1);
    out.push(rule(line, table === "nat", host));
  }
  return command.startsWith("iptables-save") ? sortTables(out) : out;
}

/** Tables stand in the order in which somebody first used them, which with parallel dumps is a race: sort by name. */
function sortTables(lines: readonly string[]): string[] {
  return lines
    .join("\n")
    .split(/(?<=\nCOMMIT)\n/)
    .sort()
    .join("\n")
    .split("\n");
}

function addresses(lines: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    if (lines[i].includes("inet6 ")) {
      i++;
      continue;
    }
    out.push(names(lines[i]));
  }
  return out;
}

/** Random MACs, host ends of veth pairs, a timer that runs, the bus that the virtual machine has its cards on. */
function names(line: string): string {
  return line
    .replace(/\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, (mac) =>
      /^(52:54|ff:ff|00:00|01:00|02:42:(0a|ac:1[0-9a-f]:00))/.test(mac) ? mac : "<mac>",
    )
    .replace(/8000\.[0-9a-f:]+/g, "8000.<mac>")
    .replace(/\bveth[0-9a-f]{7}\b/g, "<veth>")
    .replace(/gc_timer +\d+\.\d\d/, "gc_timer <s>")
    .replace(/ parentbus platform parentdev \S+/, "");
}

function neighbour(line: string): string {
  return names(line).replace(/\b(REACHABLE|STALE|DELAY|PROBE)\b/, "<valid>");
}

/** Without timers, ports that chance gave, and the flows of gossip, raft and IGMP. */
function connections(lines: readonly string[]): string[] {
  return lines
    .filter((line) => !/port=(7946|2377)\b|unknown/.test(line))
    .map((line) =>
      line
        .replace(/^(ipv4 +\d+ )?(\w+) +(\d+) \d+ /, "$2 $3 ")
        .replace(/\bid=\d+/g, "id=<echo>")
        .replace(/(port=)(3276[89]|327[7-9]\d|32[89]\d\d|3[3-9]\d{3}|[4-6]\d{4})\b/g, "$1<port>"),
    )
    .sort();
}

/** Random cases: services, changes of them, flows and what goes wrong with flows. */
import { Prng } from "../../src/util/prng.ts";
import { IPPROTO_TCP, IPPROTO_UDP, tcpFlagBits } from "../oracle/packet.ts";
import type { Case, Step } from "./case.ts";
import { stationFrames } from "./frames.ts";
import { type Station, TOPOLOGIES, type Topology } from "./topologies.ts";

interface Service {
  readonly name: string;
  readonly protocols: readonly number[];
  /** 0: any port, by mark or persistence. */
  readonly port: number;
  readonly dests: Set<string>;
  readonly byMark: boolean;
}

interface Flow {
  readonly id: string;
  readonly protocol: number;
  readonly client: Station;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
}

const SCHEDULERS = ["rr", "rr", "wrr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "fo", "ovf"];
const CONNS = "cat /proc/net/ip_vs_conn";
/** Processes of the real kernel are slow: few a case. */
const LISTINGS = [
  "iptables-save -c",
  "ipvsadm -Ln",
  "ipvsadm -Sn",
  "ipvsadm -Lnc",
  "ipvsadm -Ln --thresholds",
  "ipvsadm -Ln --persistent-conn",
];
const SERVICES = "cat /proc/net/ip_vs";

class Generator {
  readonly setup: string[] = [];
  readonly steps: Step[] = [];
  private readonly prng: Prng;
  private readonly topology: Topology;
  private readonly services: Service[] = [];
  private readonly flows: Flow[] = [];
  /** Nothing is changed while packets flow. */
  private readonly quiet: boolean;
  private id = 1;
  /** Ends of flows that there were. */
  private readonly used = new Set<string>();
  /** A destination was deleted or drained: what the kernel puts off matters. */
  private unsettled = false;

  constructor(prng: Prng, topology: Topology) {
    this.prng = prng;
    this.topology = topology;
    this.quiet = this.chance(1, 3);
  }

  run(count: number): void {
    this.addService();
    if (this.chance(1, 3)) this.addService();
    this.setup.push(
      ...this.steps.splice(0).map((step) => (step as { run: string }).run.slice("ipvsadm ".length)),
    );
    while (this.steps.length < count) this.more();
    this.ask(SERVICES, CONNS);
    for (const listing of LISTINGS) if (this.chance(1, 5)) this.ask(listing);
    if (this.services.length === 1 && this.chance(1, 5)) this.ask("ipvsadm -Ln --nosort");
    if (this.chance(1, 12)) this.rates();
  }

  chance(one: number, of: number): boolean {
    return this.prng.below(of) < one;
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.prng.below(list.length)];
  }

  private ask(...commands: string[]): void {
    for (const run of commands) this.steps.push({ kind: "ask", run });
  }

  private command(run: string): void {
    this.steps.push({ kind: "run", run });
  }

  /** What the estimator makes of it: a run, a burst within its period, and the runs after it. */
  private rates(): void {
    const listings = ["ipvsadm -Ln --stats", "ipvsadm -Ln --rate", "cat /proc/net/ip_vs_stats"];
    this.steps.push({ kind: "wait", seconds: 2.2 });
    this.ask("ipvsadm -Ln --stats");
    this.open();
    this.steps.push({ kind: "tick" });
    // How many runs there were is not known; from here on it is.
    this.command("ipvsadm -Z");
    for (let i = this.prng.below(4); i >= 0; i--) this.open();
    this.steps.push({ kind: "tick" });
    this.ask(...listings, "cat /proc/net/ip_vs_stats_percpu");
    this.steps.push({ kind: "tick" });
    this.ask(...listings.slice(1));
  }

  private addService(): void {
    const { vip, onlyMarked } = this.topology;
    const scheduler = this.pick(SCHEDULERS);
    const anyPort = this.services.every(({ port }) => port !== 0);
    const byMark = onlyMarked || (anyPort && this.chance(1, 3));
    if (byMark && !anyPort) return;
    const whole = anyPort && !byMark && this.chance(1, 6);
    const protocol = this.pick([IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP]);
    const port = byMark || whole ? 0 : this.chance(1, 12) ? 21 : 8000 + this.services.length;
    const name = byMark ? "-f 256" : `${protocol === IPPROTO_TCP ? "-t" : "-u"} ${vip}:${port}`;
    if (this.services.some((service) => service.name === name)) return;
    const protocols = byMark ? [IPPROTO_TCP, IPPROTO_UDP] : [protocol];
    this.command(
      `ipvsadm -A ${name} -s ${scheduler}${this.serviceOptions(scheduler, whole, protocols, byMark)}`,
    );
    const service: Service = { name, protocols, port, dests: new Set(), byMark };
    this.services.push(service);
    for (let i = 1 + this.prng.below(4); i > 0; i--) this.addDest(service);
  }

  private serviceOptions(
    scheduler: string,
    whole: boolean,
    protocols: readonly number[],
    byMark: boolean,
  ): string {
    let options = "";
    if (whole || this.chance(1, 4))
      options += ` -p ${this.pick([300, 50])}${this.chance(1, 2) ? " -M 255.255.255.254" : ""}`;
    if (scheduler === "sh" && this.chance(1, 2))
      options += ` -b ${this.pick(["sh-port", "sh-fallback", "sh-fallback,sh-port"])}`;
    if (protocols.includes(IPPROTO_UDP) && (byMark ? this.chance(1, 8) : this.chance(1, 4))) options += " -o";
    return options;
  }

  private addDest(service: Service): void {
    const { servers, ownServers } = this.topology;
    const list = [...servers, ...ownServers, ...(this.chance(1, 20) ? ["10.7.7.7", "198.18.0.1"] : [])];
    const port = service.byMark && this.chance(1, 6) ? 8080 : service.port;
    const other = service.port !== 0 && this.chance(1, 4) ? 80 : port;
    const free = list.map((ip) => `${ip}:${other}`).filter((dest) => !service.dests.has(dest));
    if (free.length === 0) return;
    const dest = this.pick(free);
    const method = other !== service.port ? "-m" : this.method();
    service.dests.add(dest);
    this.command(`ipvsadm -a ${service.name} -r ${dest} ${method} -w ${this.weight()}${this.limits()}`);
  }

  private limits(): string {
    return this.chance(1, 8) ? ` -x ${1 + this.prng.below(3)}${this.chance(1, 2) ? " -y 1" : ""}` : "";
  }

  private method(): string {
    return this.pick(["-m", "-m", "-m", "-m", "-m", "-g", "-g"]);
  }

  private weight(): number {
    return this.pick([0, 1, 1, 1, 2, 3, 5, 6]);
  }

  private changeDests(): void {
    const service = this.pick(this.services);
    const dests = [...service.dests];
    const what = this.prng.below(5);
    if (dests.length === 0 || what === 0) this.addDest(service);
    else if (what === 1) {
      const dest = this.pick(dests);
      service.dests.delete(dest);
      this.unsettled = true;
      this.command(`ipvsadm -d ${service.name} -r ${dest}`);
    } else if (what < 4) {
      const dest = this.pick(dests);
      const method = service.port === 0 || dest.endsWith(`:${service.port}`) ? this.method() : "-m";
      this.unsettled = true;
      this.command(`ipvsadm -e ${service.name} -r ${dest} ${method} -w ${this.weight()}${this.limits()}`);
    } else this.changeRest(service);
  }

  private changeRest(service: Service): void {
    const what = this.prng.below(10);
    const whole = !service.byMark && service.port === 0 ? " -p 100" : this.pick(["", "", " -p 20"]);
    if (what === 0)
      this.command(`ipvsadm --set ${this.pick([30, 900])} ${this.pick([20, 0])} ${this.pick([25, 0])}`);
    else if (what < 5)
      this.command(`ipvsadm -E ${service.name} -s ${this.pick(["rr", "wrr", "lc", "sh", "fo"])}${whole}`);
    else if (what === 5) {
      this.command(`ipvsadm -D ${service.name}`);
      this.command(`ipvsadm -A ${service.name} -s rr${whole}`);
      service.dests.clear();
      this.unsettled = true;
      this.addDest(service);
    } else if (what === 6) this.command(`sysctl -qw net.ipv4.vs.conntrack=${this.prng.below(2)}`);
  }

  private more(): void {
    const what = this.prng.below(24);
    if (what < 2 && !this.quiet) this.changeDests();
    else if (what === 2) this.ask(SERVICES, CONNS);
    else if (what === 3) this.sendLocal();
    else if (what < 11 || this.flows.length === 0) this.open();
    else this.goOn(this.pick(this.flows));
  }

  private open(): void {
    const service = this.pick(this.services);
    const protocol = this.pick(service.protocols);
    const odd = this.prng.below(40);
    const dport = odd < 2 ? 20000 : service.port === 0 ? this.pick([9000, 9001]) : service.port;
    const flow: Flow = {
      id: `f${this.flows.length}`,
      protocol,
      client: this.pick(this.topology.clients),
      dst: this.topology.vip,
      sport: odd === 2 ? 20 : odd === 3 ? 0 : 40000 + this.prng.below(30),
      dport,
    };
    this.flows.push(flow);
    this.send(flow, this.chance(1, 10) ? "A" : "S");
    if (this.chance(2, 3)) this.reply(flow, "b", "SA");
    if (this.chance(1, 2)) this.send(flow, "A");
  }

  private goOn(flow: Flow): void {
    const what = this.prng.below(10);
    if (what < 4) this.send(flow, this.pick(["A", "A", "FA", "R", "RA", "S", "PA", "S", "", "SA"]));
    else if (what < 8) this.reply(flow, "b", this.pick(["A", "SA", "FA", "R", "RA", "S"]));
    else this.icmp(flow);
  }

  private icmp(flow: Flow): void {
    const [type, code] = this.pick([
      [3, 3],
      [3, 4],
      [11, 0],
      [3, 1],
      [4, 0],
      [5, 1],
    ] as const);
    const at = this.pick(["b", "b", "c"] as const);
    const quote = this.pick([28, 28, 28, 24, 22, 40]);
    const damaged = this.chance(1, 12);
    this.steps.push({ kind: "icmp", flow: flow.id, at, type, code, quote, damaged, rest: this.unsettled });
  }

  private reply(flow: Flow, at: "b" | "c", flags: string): void {
    const size = this.chance(1, 6) ? this.pick([30, 600, 1400]) : undefined;
    const cut = size !== undefined && this.chance(1, 2) ? half(size) : undefined;
    const step = {
      flow: flow.id,
      at,
      flags: tcpFlagBits(flags),
      size,
      cut,
      ttl: this.ttl(),
      df: this.chance(1, 4),
    };
    this.steps.push({ kind: "reply", ...step, note: flags, rest: this.unsettled });
  }

  private ttl(): number {
    return this.chance(1, 25) ? this.pick([1, 2]) : 64;
  }

  private send(flow: Flow, flags: string): void {
    const { id, protocol, client, dst, sport, dport } = flow;
    const big = this.chance(1, 8);
    const size = big ? this.pick([40, 1200, 1290, 1400]) : undefined;
    const cut = size !== undefined && this.chance(1, 3) ? half(size) : undefined;
    const packet = {
      card: client.card,
      station: client.mac,
      protocol,
      src: client.ip,
      dst,
      sport,
      dport,
      flags,
    };
    const rest = {
      size,
      cut,
      df: this.chance(1, 3),
      ttl: this.ttl(),
      id: this.id++,
      badSum: this.chance(1, 40),
    };
    const frames = stationFrames({ ...packet, ...rest });
    const kind = protocol === IPPROTO_UDP ? "udp" : `tcp ${flags}`;
    const note = `${kind} ${client.ip}:${sport} > ${dst}:${dport} ${JSON.stringify(rest)}`;
    // A SYN of a known flow may end an old entry at the next tick.
    const ends = `${protocol} ${client.ip}:${sport}>${dport}`;
    const reused = flags.includes("S") && this.used.has(ends);
    this.used.add(ends);
    this.steps.push({
      kind: "send",
      flow: id,
      card: client.card,
      frames,
      note,
      rest: this.unsettled || reused,
    });
  }

  private sendLocal(): void {
    const service = this.pick(this.services);
    if (!service.protocols.includes(IPPROTO_UDP)) return;
    const dport = service.port === 0 ? 9000 : service.port;
    const sport = 50000 + this.prng.below(3);
    const dst = this.topology.vip;
    this.steps.push({
      kind: "local",
      flow: `l${sport}`,
      sport,
      dst,
      dport,
      size: this.pick([4, 100, 1350]),
      rest: this.unsettled,
    });
  }
}

/** Bytes of the first of two fragments, not less than the second has. */
function half(size: number): number {
  return Math.ceil((size + 20) / 16) * 8;
}

const MARKS = ["tcp", "udp"].flatMap((protocol) =>
  ["PREROUTING", "OUTPUT"].map(
    (chain) => `-A ${chain} -p ${protocol} -m ${protocol} --dport 9000:9001 -j MARK --set-mark 0x100`,
  ),
);

const NAT = [
  "-A POSTROUTING -m ipvs --ipvs -j MASQUERADE",
  "-A POSTROUTING -d 10.0.0.0/8 -m ipvs --ipvs -j SNAT --to-source 10.0.9.9",
  "-A PREROUTING -p udp -m udp --dport 9001 -j DNAT --to-destination :9000",
];

const FILTERS = [
  "-A INPUT -p tcp -m tcp --tcp-flags SYN,ACK SYN -m comment --comment syn",
  "-A INPUT -m ipvs --ipvs -j ACCEPT",
  "-A OUTPUT -m ipvs --ipvs -j ACCEPT",
  "-A FORWARD -m ipvs --ipvs",
  "-A FORWARD -m conntrack --ctstate INVALID -j DROP",
  "-A OUTPUT -d 10.0.2.2 -j REJECT --reject-with icmp-port-unreachable",
  "-A INPUT -p udp -m udp --dport 8001 -j DROP",
  "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
];

function rules(prng: Prng, conntrack: boolean): string {
  const filters = FILTERS.filter((rule) => prng.below(5) === 0 && (conntrack || !rule.includes("conntrack")));
  const nat = conntrack && prng.below(2) === 0 ? NAT.filter(() => prng.below(2) === 0) : [];
  const table = (name: string, list: readonly string[]) =>
    list.length === 0 ? [] : [`*${name}`, ...list, "COMMIT"];
  return [...table("mangle", MARKS), ...table("filter", filters), ...table("nat", nat), ""].join("\n");
}

function parameters(prng: Prng, conntrack: boolean): (readonly [string, string])[] {
  const vs = (name: string, value: number) => [`net.ipv4.vs.${name}`, String(value)] as const;
  const rarely = (of: number) => (prng.below(of) === 0 ? 1 : 0);
  return [
    ["net.ipv4.ip_forward", "1"],
    ["net.ipv4.icmp_ratelimit", "0"],
    ["net.ipv4.conf.all.rp_filter", "0"],
    // They come in intervals of few ticks.
    ["net.ipv4.conf.all.send_redirects", "0"],
    ["net.ipv4.conf.eth0.send_redirects", "0"],
    vs("conntrack", conntrack ? 1 : 0),
    vs("conn_reuse_mode", prng.below(4)),
    vs("expire_nodest_conn", prng.below(2)),
    vs("expire_quiescent_template", prng.below(2)),
    vs("sloppy_tcp", rarely(4)),
    vs("nat_icmp_send", rarely(3)),
    vs("schedule_icmp", rarely(3)),
    vs("am_droprate", 4),
    vs("drop_packet", prng.below(10) === 0 ? 3 : 0),
    vs("snat_reroute", prng.below(3) === 0 ? 0 : 1),
  ];
}

export const TOPOLOGY_NAMES = Object.keys(TOPOLOGIES);

/** A case from a seed. */
export function generateCase(seed: number, topologyName?: string): Case {
  const prng = new Prng(seed, "oracle-ipvs");
  const topology = TOPOLOGIES[topologyName ?? TOPOLOGY_NAMES[prng.below(TOPOLOGY_NAMES.length)]]();
  const generator = new Generator(prng.stream("steps"), topology);
  generator.run(20 + prng.below(60));
  const conntrack = prng.below(2) === 1;
  return {
    name: `${topology.name} ${seed}`,
    seed,
    cards: topology.cards,
    ip: topology.ip,
    sysctl: parameters(prng.stream("sysctl"), conntrack),
    restore: rules(prng.stream("rules"), conntrack),
    services: generator.setup,
    steps: generator.steps,
  };
}

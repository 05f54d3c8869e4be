/** Cases of the IPVS oracle: a director with a card to the clients and one to each backend, commands and frames. */
import { Prng } from "../../src/util/prng.ts";
import { ethernet, hexOf, IPPROTO_TCP, IPPROTO_UDP, ipv4, tcp, tcpFlagBits, udp } from "../oracle/packet.ts";

export type Step =
  /** A command line of the director; its output is compared. */
  | { readonly kind: "run"; readonly run: string }
  /** A listing; times in it may differ a little. */
  | { readonly kind: "ask"; readonly run: string }
  /** Time passes. */
  | { readonly kind: "wait"; readonly seconds: number }
  /** A frame of a client (hex). */
  | { readonly kind: "send"; readonly flow: string; readonly frame: string; readonly note: string }
  /** The backend ("b") or the client ("c") answers what it got last of the flow; nothing when it got nothing. */
  | {
      readonly kind: "reply";
      readonly flow: string;
      readonly at: "b" | "c";
      readonly flags: number;
      readonly note: string;
    }
  | {
      readonly kind: "icmp";
      readonly flow: string;
      readonly at: "b" | "c";
      readonly type: number;
      readonly code: number;
      /** A bit of it is turned on the way. */
      readonly damaged?: boolean;
    };

export interface Case {
  readonly seed: number;
  readonly cards: number;
  /** Lines of `ip -batch` in the director. */
  readonly ip: readonly string[];
  readonly sysctl: readonly (readonly [string, string])[];
  /** Text for iptables-restore, "" none. */
  readonly restore: string;
  readonly steps: readonly Step[];
}

const BACKENDS = 4;
const CLIENTS = 4;
export const VIP = "10.1.0.1";
const MAC = (last: number) => `02:00:00:00:02:${last.toString(16).padStart(2, "0")}`;
/** MAC address of the director's card. */
export const DIRECTOR_MAC = (card: number) => `02:00:00:00:01:${card.toString(16).padStart(2, "0")}`;

interface Service {
  readonly name: string;
  readonly protocols: readonly number[];
  /** 0: any port, by mark. */
  readonly port: number;
  readonly dests: Set<string>;
  readonly scheduler: string;
}

interface Flow {
  readonly id: string;
  readonly protocol: number;
  readonly src: string;
  readonly sport: number;
  readonly dport: number;
}

/** Addresses, links and neighbours of the director. */
export function network(): string[] {
  const lines = ["link set lo up", "link set eth0 up", `addr add ${VIP}/24 dev eth0`];
  for (let i = 1; i <= BACKENDS; i++)
    lines.push(`link set eth${i} up`, `addr add 10.0.${i}.1/24 dev eth${i}`);
  for (let i = 0; i < CLIENTS; i++)
    lines.push(`neigh add 10.1.0.${10 + i} lladdr ${MAC(0x10 + i)} dev eth0 nud permanent`);
  for (let i = 1; i <= BACKENDS; i++)
    lines.push(`neigh add 10.0.${i}.2 lladdr ${MAC(i)} dev eth${i} nud permanent`);
  return lines;
}

export interface ClientPacket {
  readonly protocol: number;
  readonly src: string;
  readonly sport: number;
  readonly dport: number;
  /** Letters of TCP flags. */
  readonly flags: string;
  readonly id: number;
  readonly ttl?: number;
  /** Bytes of data; 4 of UDP and none of TCP when absent. */
  readonly size?: number;
  readonly df?: boolean;
}

/** A frame of a client to the virtual address. */
export function clientFrame(packet: ClientPacket): Uint8Array {
  const { protocol, src, sport, dport, flags, id, ttl = 64, df = false } = packet;
  const isUdp = protocol === IPPROTO_UDP;
  const ends = { src, dst: VIP, sport, dport };
  const first = flags.includes("S");
  const payload = Uint8Array.from({ length: packet.size ?? (isUdp ? 4 : 0) }, (_, i) => (i + 1) & 0xff);
  const l4 = isUdp
    ? udp(ends, payload)
    : tcp({ ...ends, seq: first ? 1000 : 1001, ack: first ? 0 : 5001, flags }, payload);
  const ip = ipv4({ src, dst: VIP, protocol, id, ttl, frag: df ? 0x4000 : 0 }, l4);
  return ethernet(DIRECTOR_MAC(0), MAC(Number(src.split(".")[3]) + 6), 0x0800, ip);
}

class Generator {
  readonly steps: Step[] = [];
  private readonly prng: Prng;
  private readonly services: Service[] = [];
  private readonly flows: Flow[] = [];
  private id = 1;

  constructor(prng: Prng) {
    this.prng = prng;
  }

  run(count: number): void {
    this.addService();
    if (this.prng.below(3) === 0) this.addService();
    while (this.steps.length < count) this.more();
    this.listings();
    if (!this.chance(1, 3)) return;
    // The estimator runs every two seconds.
    this.steps.push({ kind: "wait", seconds: 3 }, { kind: "ask", run: "ipvsadm -Ln --stats" });
  }

  private chance(one: number, of: number): boolean {
    return this.prng.below(of) < one;
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.prng.below(list.length)];
  }

  private command(run: string): void {
    this.steps.push({ kind: "run", run });
  }

  private listings(): void {
    for (const run of ["ipvsadm -Ln", "ipvsadm -Sn", "ipvsadm -Lnc"]) this.steps.push({ kind: "ask", run });
    if (this.services.length === 1) this.steps.push({ kind: "ask", run: "ipvsadm -Ln --nosort" });
  }

  private addService(): void {
    const scheduler = this.pick(["rr", "rr", "wrr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq"]);
    const anyPort = this.services.every(({ port }) => port !== 0);
    const byMark = anyPort && this.chance(1, 2);
    const whole = anyPort && !byMark && this.chance(1, 6);
    const protocol = this.pick([IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP]);
    const port = byMark || whole ? 0 : 8000 + this.services.length;
    const name = byMark ? "-f 256" : `${protocol === IPPROTO_TCP ? "-t" : "-u"} ${VIP}:${port}`;
    const protocols = byMark ? [IPPROTO_TCP, IPPROTO_UDP] : [protocol];
    let options = "";
    if (whole || this.chance(1, 4))
      options += ` -p ${this.pick([300, 50])}${this.chance(1, 2) ? " -M 255.255.255.254" : ""}`;
    if (scheduler === "sh" && this.chance(1, 2))
      options += ` -b ${this.pick(["sh-port", "sh-fallback", "sh-fallback,sh-port"])}`;
    if (protocols.includes(IPPROTO_UDP) && !byMark && this.chance(1, 5)) options += " -o";
    this.command(`ipvsadm -A ${name} -s ${scheduler}${options}`);
    const service: Service = { name, protocols, port, dests: new Set(), scheduler };
    this.services.push(service);
    for (let i = 1 + this.prng.below(BACKENDS); i > 0; i--) this.addDest(service);
  }

  private addDest(service: Service): void {
    const free = [1, 2, 3, 4]
      .map((i) => `10.0.${i}.2:${service.port}`)
      .filter((dest) => !service.dests.has(dest));
    if (free.length === 0) return;
    const dest = this.pick(free);
    service.dests.add(dest);
    const limit = this.chance(1, 8) ? ` -x ${1 + this.prng.below(3)}${this.chance(1, 2) ? " -y 1" : ""}` : "";
    this.command(`ipvsadm -a ${service.name} -r ${dest} ${this.method(service)} -w ${this.weight()}${limit}`);
  }

  /** Masquerading; rarely direct routing, which keeps the port. */
  private method(service: Service): string {
    return service.port !== 0 && this.chance(1, 8) ? "-g" : "-m";
  }

  private weight(): number {
    return this.pick([0, 1, 1, 1, 2, 3, 5, 6]);
  }

  private changeDests(): void {
    const service = this.pick(this.services);
    const dests = [...service.dests];
    const what = this.prng.below(4);
    if (dests.length === 0 || what === 0) this.addDest(service);
    else if (what === 1) {
      const dest = this.pick(dests);
      service.dests.delete(dest);
      this.command(`ipvsadm -d ${service.name} -r ${dest}`);
    } else if (what === 2)
      this.command(`ipvsadm -e ${service.name} -r ${this.pick(dests)} -m -w ${this.weight()}`);
    else this.changeRest(service);
  }

  private changeRest(service: Service): void {
    const what = this.prng.below(8);
    if (what === 0)
      this.command(`ipvsadm --set ${this.pick([30, 900])} ${this.pick([20, 0])} ${this.pick([25, 0])}`);
    else if (what === 1) {
      this.steps.push({ kind: "wait", seconds: 3 });
      this.command("ipvsadm -Z");
    } else if (what < 4)
      this.command(`ipvsadm -E ${service.name} -s ${this.pick(["rr", "wrr", "lc", "sh"])}`);
  }

  private more(): void {
    const what = this.prng.below(20);
    if (what < 2) this.changeDests();
    else if (what === 2) this.listings();
    else if (what < 9 || this.flows.length === 0) this.open();
    else this.goOn(this.pick(this.flows));
  }

  private open(): void {
    const service = this.pick(this.services);
    const protocol = this.pick(service.protocols);
    const dport = service.port === 0 ? this.pick([9000, 9001]) : service.port;
    const flow: Flow = {
      id: `f${this.flows.length}`,
      protocol,
      src: `10.1.0.${10 + this.prng.below(CLIENTS)}`,
      sport: 40000 + this.prng.below(20),
      dport,
    };
    this.flows.push(flow);
    this.send(flow, this.chance(1, 10) ? "A" : "S");
    if (this.chance(2, 3)) this.reply(flow, "b", "SA");
    if (this.chance(1, 2)) this.send(flow, "A");
  }

  private goOn(flow: Flow): void {
    const what = this.prng.below(10);
    if (what < 4) this.send(flow, this.pick(["A", "A", "FA", "R", "RA", "S", "PA"]));
    else if (what < 8) this.reply(flow, "b", this.pick(["A", "SA", "FA", "R", "RA"]));
    else {
      const [type, code] = this.pick([
        [3, 3],
        [3, 4],
        [11, 0],
        [3, 1],
      ] as const);
      this.steps.push({ kind: "icmp", flow: flow.id, at: this.pick(["b", "c"] as const), type, code });
    }
  }

  private reply(flow: Flow, at: "b" | "c", flags: string): void {
    this.steps.push({ kind: "reply", flow: flow.id, at, flags: tcpFlagBits(flags), note: flags });
  }

  private send(flow: Flow, flags: string): void {
    const { id, protocol, src, sport, dport } = flow;
    const ttl = this.chance(1, 25) ? 1 : 64;
    const frame = hexOf(clientFrame({ protocol, src, sport, dport, flags, id: this.id++, ttl }));
    const kind = protocol === IPPROTO_UDP ? "udp" : `tcp ${flags}`;
    this.steps.push({ kind: "send", flow: id, frame, note: `${kind} ${src}:${sport} > ${dport} ttl ${ttl}` });
  }
}

/** A case from a seed. */
export function generateCase(seed: number): Case {
  const prng = new Prng(seed, "oracle-ipvs");
  const generator = new Generator(prng.stream("steps"));
  generator.run(15 + prng.below(25));
  const conntrack = prng.below(2);
  const marks = ["tcp", "udp"].map(
    (protocol) => `-A PREROUTING -p ${protocol} -m ${protocol} --dport 9000:9001 -j MARK --set-mark 0x100`,
  );
  const mangle = ["*mangle", ...marks, "COMMIT", ""];
  const nat = [
    "*nat",
    "-A POSTROUTING -d 10.0.0.0/16 -m ipvs --ipvs -j SNAT --to-source 10.0.9.9",
    "COMMIT",
    "",
  ];
  const vs = "net.ipv4.vs";
  return {
    seed,
    cards: BACKENDS + 1,
    ip: network(),
    sysctl: [
      ["net.ipv4.ip_forward", "1"],
      ["net.ipv4.icmp_ratelimit", "0"],
      ["net.ipv4.conf.all.rp_filter", "0"],
      [`${vs}.conntrack`, String(conntrack)],
      [`${vs}.conn_reuse_mode`, String(prng.below(2))],
      [`${vs}.expire_nodest_conn`, String(prng.below(2))],
      [`${vs}.expire_quiescent_template`, String(prng.below(2))],
      [`${vs}.sloppy_tcp`, String(prng.below(4) === 0 ? 1 : 0)],
    ],
    restore: [...mangle, ...(conntrack === 1 && prng.below(2) === 0 ? nat : [])].join("\n"),
    steps: generator.steps,
  };
}

/** A full ingress lab that takes any frame at any device, and what must hold afterwards. */
import { pcapText } from "../../src/capture/dissect.ts";
import { countRx, devQueueXmit, ethTypeTrans } from "../../src/net/core/dev.ts";
import { IFF_LOOPBACK, type NetDevice } from "../../src/net/core/net-device.ts";
import { conntrackList } from "../../src/net/ctl/conntrack.ts";
import { nicOf, nicReceive } from "../../src/net/drivers/nic.ts";
import { inDevOf } from "../../src/net/ipv4/in-device.ts";
import { ipvsOf } from "../../src/net/ipvs/ip-vs.ts";
import { conntrackOf } from "../../src/net/netfilter/conntrack/conntrack.ts";
import type { LiveLab } from "../../src/scenario/live-lab.ts";
import { loadPage, PageRun } from "../../src/scenario/run-page.ts";
import { type Change, change, type Vocabulary } from "./frame.ts";

/** One frame: which valid one, changed how, and where it comes in. */
export interface Step {
  readonly frame: number;
  readonly device: number;
  /** Addressed to the device, so that it looks further than at the address. */
  readonly own: boolean;
  /** Sent by a raw socket of the machine instead of received. */
  readonly send: boolean;
  readonly changes: readonly Change[];
  /** Time that passes afterwards, ms. */
  readonly waitMs: number;
}

const page = (encrypted: boolean): string => `---
seed: 5
segments:
  lan: { subnet: 192.168.200.0/24, latency: 200us, bandwidth: 1Gbit, mtu: 1500 }
machines:
  client: { lan: 192.168.200.1 }
  m: { lan: 192.168.200.10, docker: true }
  w1: { lan: 192.168.200.11, docker: true }
  w2: { lan: 192.168.200.12, docker: true }
images:
  whoami: { http: 80, udp-echo: 5353 }
---
\`\`\`console
m$ docker swarm init --advertise-addr 192.168.200.10
m$ docker swarm join-token -q worker
<token>
w1$ docker swarm join --token <token> 192.168.200.10:2377
w2$ docker swarm join --token <token> 192.168.200.10:2377
m$ docker network create -d overlay ${encrypted ? "--opt encrypted " : ""}mynet
m$ docker service create -d --name web --network mynet -p 8080:80 -p 5300:5353/udp --replicas 3 whoami
lab$ wait 20s
lab$ capture start words
client$ for a in 10 11 12; do curl -s 192.168.200.$a:8080; echo x | nc -u -w1 192.168.200.$a 5300; done
client$ ping -c 1 192.168.200.10
m$ curl -s localhost:8080; docker exec $(docker ps -q | head -1) ping -c 1 tasks.web
client$ curl -s 192.168.200.10:81
lab$ capture stop
\`\`\`
`;

/** Long enough for every IPVS connection, ARP entry, reassembly and retransmission. */
const SETTLE_NS = 1200e9;
/** Longer than conntrack keeps a TCP connection that nobody has closed. */
const FORGET_NS = 6 * 86_400e9;

export class World {
  readonly live: LiveLab;
  readonly devices: NetDevice[] = [];
  readonly words: Vocabulary;

  /** `encrypted`: the network of the service is, so that its frames travel in ESP. */
  constructor(encrypted = false) {
    const run = new PageRun(loadPage("fuzz.md", page(encrypted)), { traces: true, recordRun: false });
    run.run();
    this.live = run.live;
    const { lab } = this.live;
    for (const machine of lab.machines.values())
      for (const ns of machine.kernel.namespaces) this.devices.push(...ns.devices());
    const { recorder } = this.live.window("words");
    const frames = Array.from({ length: recorder.frameCount }, (_, i) => recorder.frameBytes(i).slice());
    const addresses = new Set([
      0,
      -1,
      0x7f000001,
      0x7f00000b,
      0xe0000001 | 0,
      0x08080808,
      0x0a000005,
      0x0a000102,
    ]);
    for (const dev of this.devices)
      for (const { local, broadcast } of inDevOf(dev)?.addresses ?? []) addresses.add(local).add(broadcast);
    const ports = [0, 1, 53, 80, 81, 5300, 5353, 8080, 4789, 7946, 2377, 32768, 65535];
    this.words = { frames, addresses: [...addresses], ports };
  }

  private deviceOf(step: Step): NetDevice {
    return this.devices[step.device % this.devices.length];
  }

  /** The frame of a step. At least an Ethernet header, as every device demands. */
  frameOf(step: Step): Uint8Array {
    let frame = this.words.frames[step.frame % this.words.frames.length];
    for (const one of step.changes) frame = change(frame, one, this.words);
    const dev = this.deviceOf(step);
    if (!step.own || dev.addrHi + dev.addrLo === 0) return frame;
    const own = frame.slice();
    const view = new DataView(own.buffer);
    view.setUint16(0, dev.addrHi);
    view.setInt32(2, dev.addrLo);
    return own;
  }

  /** Lets a frame come in at a device, or go out of it. */
  inject(step: Step): void {
    const { lab } = this.live;
    const frame = this.frameOf(step);
    const dev = this.deviceOf(step);
    const { kernel } = dev.ns;
    const skb = lab.pool.from(frame);
    kernel.enter();
    if (step.send || (dev.flags & IFF_LOOPBACK) !== 0) {
      skb.dev = dev;
      skb.protocol = (frame[12] << 8) | frame[13];
      skb.netOff = skb.data + 14;
      devQueueXmit(skb);
    } else if (nicOf(dev) !== null) nicReceive(dev, skb);
    else {
      countRx(dev, skb.length);
      ethTypeTrans(skb, dev);
      kernel.netifRx(skb);
    }
    kernel.leave();
    lab.wait(step.waitMs * 1e6);
  }

  /** What holds at every moment; texts of what does not. */
  violations(): string[] {
    const wrong: string[] = [];
    const { lab } = this.live;
    for (const machine of lab.machines.values())
      for (const ns of machine.kernel.namespaces) {
        const where = `${machine.name}/${ns.name}`;
        for (const dev of ns.devices())
          for (const n of [
            dev.rxPackets,
            dev.txPackets,
            dev.rxBytes,
            dev.txBytes,
            dev.rxDropped,
            dev.txDropped,
          ])
            if (!Number.isSafeInteger(n) || n < 0) wrong.push(`${where}/${dev.name}: counter ${n}`);
        for (const service of ipvsOf(ns).services)
          for (const dest of service.dests)
            if (dest.activeConns < 0 || dest.inactConns < 0)
              wrong.push(`${where}: ${dest.activeConns} active, ${dest.inactConns} inactive connections`);
        let entries = 0;
        for (let conn = conntrackOf(ns).head; conn !== null; conn = conn.listNext) entries++;
        if (entries !== conntrackOf(ns).count)
          wrong.push(`${where}: ${entries} connections in the list, ${conntrackOf(ns).count} in the table`);
      }
    return wrong;
  }

  /** Lets everything time out, ends the swarm, forgets; texts of what is left. */
  settle(): string[] {
    const { lab } = this.live;
    lab.wait(SETTLE_NS);
    const wrong = this.violations();
    for (const machine of lab.machines.values())
      for (const ns of machine.kernel.namespaces)
        if (ipvsOf(ns).conns.size > 0)
          wrong.push(`${machine.name}/${ns.name}: ${ipvsOf(ns).conns.size} IPVS connections never end`);
    this.live.shell("m", "docker service rm web");
    lab.wait(30e9);
    for (const machine of ["w2", "w1", "m"]) this.live.shell(machine, "docker swarm leave --force");
    lab.wait(FORGET_NS);
    for (const machine of lab.machines.values())
      for (const ns of machine.kernel.namespaces) {
        const left = conntrackList(ns).length;
        if (left > 0) wrong.push(`${machine.name}/${ns.name}: ${left} connections never end`);
      }
    if (lab.pool.outstanding !== 0) wrong.push(`${lab.pool.outstanding} packet buffers are lost`);
    return wrong;
  }

  /** The lab still does what it is for. */
  serves(): boolean {
    const text = this.live.shell("client", "curl -s -m 20 192.168.200.12:8080").stdout;
    return text.includes("Hostname: ");
  }

  /** Every recorded frame can be printed. */
  print(name: string): string[] {
    return pcapText(this.live.window(name).pcapng(), name);
  }
}

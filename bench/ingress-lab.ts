/**
 * The path that is measured, built by a lab page: a client asks the manager for a published port, the only task runs on
 * the worker. Forwards: client's card, cable, manager's DNAT, ingress_sbox with IPVS and SNAT, bridge, vxlan, cable,
 * worker's vxlan, bridge, the task's namespace, its socket.
 */
import type { Lab } from "../src/lab.ts";
import { devQueueXmit } from "../src/net/core/dev.ts";
import type { NetDevice } from "../src/net/core/net-device.ts";
import type { NetNs } from "../src/net/core/net-ns.ts";
import { tcpAccept, tcpBind, tcpConnect, tcpListen, tcpNewSock } from "../src/net/ipv4/tcp.ts";
import type { TcpSock } from "../src/net/ipv4/tcp-sock.ts";
import { UdpSock } from "../src/net/ipv4/udp-sock.ts";
import { CaptureWindow } from "../src/scenario/capture-window.ts";
import type { LiveLab } from "../src/scenario/live-lab.ts";
import { loadPage, PageRun } from "../src/scenario/run-page.ts";
import { MS, SEC } from "../src/sim/sim.ts";
import { parseIp4 } from "../src/wire/address.ts";
import { type Endpoint, udpFrame } from "./frames.ts";

const UDP_PORT = 9000;
const TCP_PORT = 9001;

const PAGE = `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24, latency: 200us, bandwidth: 10Gbit, mtu: 1500 }
machines:
  client: { lan: 192.168.200.1 }
  manager: { lan: 192.168.200.10, docker: true }
  worker: { lan: 192.168.200.11, docker: true }
pins:
  tasks: { sink.1: { node: worker } }
---
\`\`\`console
manager$ docker swarm init --advertise-addr 192.168.200.10
manager$ docker swarm join-token -q worker
<token>
worker$ docker swarm join --token <token> 192.168.200.10:2377
manager$ docker service create -d --name sink -p ${UDP_PORT}:${UDP_PORT}/udp -p ${TCP_PORT}:${TCP_PORT} whoami
lab$ wait 20s
client$ ping -c 1 -q 192.168.200.10
\`\`\`
`;

/** Packets that are on their way at the same time: as many as fit into the receive buffer of the task. */
export const BATCH = 64;

export class IngressLab {
  readonly live: LiveLab;
  readonly lab: Lab;
  /** Datagrams that reached the task, and their payload bytes. */
  delivered = 0;
  deliveredBytes = 0;
  readonly card: NetDevice;
  readonly taskNs: NetNs;
  private readonly sink: UdpSock;
  private readonly from: Endpoint;
  private readonly to: Endpoint;

  constructor() {
    const run = new PageRun(loadPage("bench.md", PAGE), { traces: false, recordRun: false });
    run.run();
    this.live = run.live;
    this.lab = run.live.lab;
    this.card = this.lab.cardOn("lan", "client")!;
    const manager = this.lab.cardOn("lan", "manager")!;
    this.taskNs = this.lab.machine("worker").netns("ctr-sink.1");
    this.from = { hi: this.card.addrHi, lo: this.card.addrLo, addr: parseIp4("192.168.200.1")! };
    this.to = { hi: manager.addrHi, lo: manager.addrLo, addr: parseIp4("192.168.200.10")! };
    this.sink = new UdpSock(this.taskNs);
    this.sink.bind(0, UDP_PORT);
    this.learn();
  }

  /** One round trip, so that the bridges know where everybody is, as in a flow that is answered. */
  private learn(): void {
    const [client] = this.udpClients(1);
    this.echo([client], new Uint8Array(18), 1);
    client.close();
  }

  /** Datagrams from the client's ports `firstPort` on, one a flow. */
  frames(flows: number, frameBytes: number, firstPort = 10_000): Uint8Array[] {
    return Array.from({ length: flows }, (_, i) =>
      udpFrame(this.from, this.to, firstPort + i, UDP_PORT, frameBytes),
    );
  }

  /** Sends `count` frames round robin, a batch at a time, and takes them out of the task's socket. */
  send(frames: readonly Uint8Array[], count: number): void {
    const { pool } = this.lab;
    const { kernel } = this.card.ns;
    for (let sent = 0; sent < count; ) {
      const end = Math.min(count, sent + BATCH);
      kernel.enter();
      for (; sent < end; sent++) {
        const skb = pool.from(frames[sent % frames.length]);
        skb.dev = this.card;
        devQueueXmit(skb);
      }
      kernel.leave();
      this.lab.wait(MS);
      this.drain();
    }
  }

  /** Takes what has arrived out of the task's socket in place, as a reader that does not copy; returns the total so far. */
  drain(): number {
    const { receiveQueue } = this.sink;
    for (let skb = receiveQueue.shift(); skb !== null; skb = receiveQueue.shift()) {
      this.delivered++;
      this.deliveredBytes += skb.tail - skb.transOff - 8;
      skb.consume();
    }
    this.sink.rmemAlloc = 0;
    return this.delivered;
  }

  /** Client sockets that talk to the service. */
  udpClients(flows: number): UdpSock[] {
    return Array.from({ length: flows }, () => {
      const sk = new UdpSock(this.card.ns);
      sk.connect(this.to.addr, UDP_PORT);
      return sk;
    });
  }

  /** Every client sends, the task answers, every client reads its answer; `count` round trips. Returns the answers. */
  echo(clients: readonly UdpSock[], payload: Uint8Array, count: number): number {
    let answers = 0;
    for (let sent = 0; sent < count; ) {
      for (let i = 0; i < BATCH && sent < count; i++, sent++) clients[sent % clients.length].send(payload);
      this.lab.wait(MS);
      for (let got = this.sink.receive(); got !== null; got = this.sink.receive()) {
        this.delivered++;
        this.sink.send(got.data, got.saddr, got.sport);
      }
      this.lab.wait(MS);
      for (const client of clients) while (client.receive() !== null) answers++;
    }
    return answers;
  }

  /** Established connections through the service: the client's ends and the task's. */
  tcpPairs(count: number): { client: TcpSock; server: TcpSock }[] {
    const listener = tcpNewSock(this.taskNs);
    tcpBind(listener, 0, TCP_PORT);
    tcpListen(listener, 128);
    return Array.from({ length: count }, () => {
      const client = tcpNewSock(this.card.ns);
      tcpConnect(client, this.to.addr, TCP_PORT);
      this.lab.wait(5 * MS);
      const server = tcpAccept(listener);
      if (server === null) throw new Error("a connection was not made");
      return { client, server };
    });
  }

  /** Runs `work` while every interface of every machine is recorded; returns the number of frames. */
  captured(work: () => void): number {
    const window = new CaptureWindow(this.lab, "bench", { promiscuous: false, traces: false });
    work();
    window.stop();
    return window.recorder.frameCount;
  }

  /** Lets the lab come to rest; buffers that are then still handed out are lost ones or those of live TCP queues. */
  settle(): number {
    this.lab.wait(SEC);
    return this.lab.pool.outstanding;
  }
}

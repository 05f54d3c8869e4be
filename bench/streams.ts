/** Packets end to end: known flows one way, round trips, TCP data, and first packets of new flows. */
import { tcpRecvmsg } from "../src/net/ipv4/tcp.ts";
import { tcpSendmsg } from "../src/net/ipv4/tcp-sendmsg.ts";
import { MS } from "../src/sim/sim.ts";
import { IngressLab } from "./ingress-lab.ts";
import { cpuNs, median, perUnit, type Row } from "./measure.ts";

const FLOWS = 64;
const ROUNDS = 5;
const PACKETS = 50_000;
/** Fewer with captures, which keep every frame of thirteen interfaces. */
const CAPTURED_PACKETS = 20_000;
const NEW_FLOWS = 50_000;
const NEW_FLOW_LABS = 3;

function row(name: string, ns: number, note: string): Row {
  return { group: "end to end", name, ns, note };
}

function expectAll(name: string, wanted: number, got: number): void {
  if (got !== wanted) throw new Error(`${name}: ${got} of ${wanted} packets arrived`);
}

/** Runs one kind of stream with captures off and on. `send` returns the number of packets it sent and saw arrive. */
function bothWays(lab: IngressLab, name: string, send: (count: number) => number): Row[] {
  const off = perUnit(ROUNDS, () => send(PACKETS));
  let frames = 0;
  const on = perUnit(ROUNDS, () => {
    let packets = 0;
    const seen = lab.captured(() => {
      packets = send(CAPTURED_PACKETS);
    });
    frames = seen / packets;
    return packets;
  });
  return [row(name, off, ""), row(`${name}, captured`, on, `${frames.toFixed(1)} frames`)];
}

function oneWay(lab: IngressLab, frameBytes: number): Row[] {
  const name = `UDP, ${frameBytes} B frames, one way`;
  const frames = lab.frames(FLOWS, frameBytes);
  return bothWays(lab, name, (count) => {
    const before = lab.delivered;
    lab.send(frames, count);
    expectAll(name, count, lab.delivered - before);
    return count;
  });
}

function echo(lab: IngressLab): Row[] {
  const clients = lab.udpClients(FLOWS);
  const payload = new Uint8Array(18);
  const rows = bothWays(lab, "UDP echo, sockets at both ends", (count) => {
    const trips = count / 2;
    expectAll("echo", trips, lab.echo(clients, payload, trips));
    return count;
  });
  for (const client of clients) client.close();
  return rows;
}

/** Data of 1400 B a segment by real TCP at both ends; acknowledgements are packets too. */
function tcpData(lab: IngressLab): Row[] {
  const pairs = lab.tcpPairs(FLOWS);
  const data = new Uint8Array(1400);
  return bothWays(lab, "TCP, 1400 B of data, with ACKs", (count) => {
    const { card } = lab;
    const before = card.txPackets + card.rxPackets;
    let wanted = 0;
    let received = 0;
    while (card.txPackets + card.rxPackets - before < count) {
      for (const { client } of pairs) wanted += tcpSendmsg(client, data, 0);
      lab.lab.wait(2 * MS);
      for (const { server } of pairs) received += tcpRecvmsg(server, 65536)?.length ?? 0;
    }
    expectAll("TCP bytes", wanted, received);
    return card.txPackets + card.rxPackets - before;
  });
}

/** First packets: connections in three namespaces, an IPVS entry, the walk of all nat tables. A lab of its own a round. */
function newFlows(captured: boolean): Row {
  const results: number[] = [];
  for (let i = 0; i < NEW_FLOW_LABS; i++) {
    const lab = new IngressLab();
    const frames = lab.frames(NEW_FLOWS, 60);
    const before = lab.delivered;
    const start = cpuNs();
    if (captured) lab.captured(() => lab.send(frames, NEW_FLOWS));
    else lab.send(frames, NEW_FLOWS);
    results.push((cpuNs() - start) / NEW_FLOWS);
    expectAll("new flows", NEW_FLOWS, lab.delivered - before);
  }
  return row(`first packets of new UDP flows${captured ? ", captured" : ""}`, median(results), "50 k flows");
}

export function streamRows(lab: IngressLab): Row[] {
  const rows = [...oneWay(lab, 60), ...oneWay(lab, 1400), ...echo(lab), ...tcpData(lab)];
  return [...rows, newFlows(false), newFlows(true)];
}

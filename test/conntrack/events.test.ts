/** `conntrack -E`: the lines are what Linux 6.1.176 and the real tool printed about the same packets and commands. */
import { describe, expect, it } from "vitest";
import { Machine } from "../../src/host/machine.ts";
import { KilledError } from "../../src/host/process.ts";
import { NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING } from "../../src/net/core/hooks.ts";
import { conntrack } from "../../src/tools/conntrack.ts";
import { runTool } from "../../src/tools/run-tool.ts";
import type { Tool, ToolContext, ToolOutput } from "../../src/tools/tool.ts";
import {
  ACK,
  FIN,
  icmpBytes,
  ipPacket,
  type Lab,
  makeLab,
  PSH,
  pass,
  RST,
  SYN,
  tcpBytes,
  udpBytes,
} from "./packets.ts";
import { run } from "./typed.ts";

const A = "10.0.0.2";
const B = "10.1.0.2";
const SIGINT = 2;
const SIGPIPE = 13;

/** Starts the tool; what it prints, and how to interrupt it. */
function listen(lab: Lab, words: string, refuse = (): void => {}) {
  let printed = "";
  const context = {
    machine: new Machine("n1", lab.kernel),
    ns: lab.ns,
    process: { pid: 741 },
    stdin: "",
    files: new Map<string, string>(),
    print: (text: string) => {
      refuse();
      printed += text;
    },
  } as unknown as ToolContext;
  const routine = runTool(conntrack as unknown as Tool, words.split(" "), context);
  expect(routine.next("woken").done).toBe(false);
  const stop = (): ToolOutput => routine.throw(new KilledError(SIGINT)).value as ToolOutput;
  const lines = (): string[] => {
    routine.next("woken");
    return printed.split("\n").filter((line) => line !== "");
  };
  return { lines, stop };
}

function send(lab: Lab, proto: number, src: string, dst: string, bytes: Uint8Array, mark?: number): void {
  const skb = pass(lab, ipPacket(lab, proto, src, dst, bytes), [NF_INET_PRE_ROUTING])!;
  if (mark !== undefined) (skb.ct as { mark: number }).mark = mark;
  pass(lab, skb, [NF_INET_POST_ROUTING])?.consume();
}

const udp = (lab: Lab, src: string, dst: string, sport: number, dport: number, mark?: number): void =>
  send(lab, 17, src, dst, udpBytes(sport, dport, new Uint8Array(5)), mark);

function tcp(lab: Lab, src: string, port: number, seq: number, ack: number, flags: number, len = 0): void {
  const client = src === A;
  const bytes = tcpBytes(client ? port : 80, client ? 80 : port, { flags, seq, ack, len });
  send(lab, 6, src, client ? B : A, bytes);
}

describe("conntrack -E", () => {
  it("tells of flows from their beginning, by protocol", () => {
    const lab = makeLab();
    udp(lab, A, B, 9, 9);
    const { lines, stop } = listen(lab, "-E");
    // Born while nobody listened.
    udp(lab, A, B, 9, 9);
    udp(lab, B, A, 9, 9);
    udp(lab, A, B, 1, 2);
    udp(lab, B, A, 2, 1);
    udp(lab, B, A, 2, 1);
    send(lab, 1, A, B, icmpBytes(8, 0, (7 << 16) | 1, new Uint8Array()));
    send(lab, 1, B, A, icmpBytes(0, 0, (7 << 16) | 1, new Uint8Array()));
    tcp(lab, A, 1000, 1, 0, SYN);
    tcp(lab, B, 1000, 100, 2, SYN | ACK);
    tcp(lab, A, 1000, 2, 101, ACK);
    tcp(lab, A, 1000, 2, 101, PSH | ACK, 3);
    tcp(lab, B, 1000, 101, 5, ACK);
    tcp(lab, A, 1000, 5, 101, FIN | ACK);
    tcp(lab, B, 1000, 101, 6, FIN | ACK);
    tcp(lab, A, 1000, 6, 102, ACK);
    const flow = "src=10.0.0.2 dst=10.1.0.2 sport=1000 dport=80";
    const back = "src=10.1.0.2 dst=10.0.0.2 sport=80 dport=1000";
    expect(lines()).toEqual([
      "    [NEW] udp      17 30 src=10.0.0.2 dst=10.1.0.2 sport=1 dport=2 [UNREPLIED] src=10.1.0.2 dst=10.0.0.2 sport=2 dport=1",
      " [UPDATE] udp      17 30 src=10.0.0.2 dst=10.1.0.2 sport=1 dport=2 src=10.1.0.2 dst=10.0.0.2 sport=2 dport=1",
      "    [NEW] icmp     1 30 src=10.0.0.2 dst=10.1.0.2 type=8 code=0 id=7 [UNREPLIED] src=10.1.0.2 dst=10.0.0.2 type=0 code=0 id=7",
      " [UPDATE] icmp     1 30 src=10.0.0.2 dst=10.1.0.2 type=8 code=0 id=7 src=10.1.0.2 dst=10.0.0.2 type=0 code=0 id=7",
      `    [NEW] tcp      6 120 SYN_SENT ${flow} [UNREPLIED] ${back}`,
      ` [UPDATE] tcp      6 60 SYN_RECV ${flow} ${back}`,
      ` [UPDATE] tcp      6 432000 ESTABLISHED ${flow} ${back} [ASSURED]`,
      ` [UPDATE] tcp      6 120 FIN_WAIT ${flow} ${back} [ASSURED]`,
      ` [UPDATE] tcp      6 30 LAST_ACK ${flow} ${back} [ASSURED]`,
      ` [UPDATE] tcp      6 120 TIME_WAIT ${flow} ${back} [ASSURED]`,
    ]);
    expect(stop()).toMatchObject({
      stderr: "conntrack v1.4.7 (conntrack-tools): 10 flow events have been shown.\n",
      status: 0,
    });
  });

  it("tells of resets, marks, and what is done by hand", () => {
    const lab = makeLab();
    const { lines } = listen(lab, "-E");
    tcp(lab, A, 1001, 1, 0, SYN);
    lab.wait(0.1);
    tcp(lab, B, 1001, 0, 2, RST | ACK);
    udp(lab, A, B, 5, 6);
    udp(lab, A, B, 5, 6, 5);
    udp(lab, A, B, 7, 8, 5);
    run(lab, "conntrack -D -p udp --sport 7");
    run(lab, "conntrack -U -f ipv4 -p udp --sport 5 -m 9");
    run(lab, "conntrack -I -s 1.2.3.4 -d 1.2.3.5 -p tcp --sport 5 --dport 6 -t 1 --state ESTABLISHED");
    lab.wait(3);
    // -U and -D work through a second socket, whose port is a random one.
    const hand = "[USERSPACE] portid=742";
    const other = "[USERSPACE] portid=N";
    const udp56 =
      "src=10.0.0.2 dst=10.1.0.2 sport=5 dport=6 [UNREPLIED] src=10.1.0.2 dst=10.0.0.2 sport=6 dport=5";
    const udp78 =
      "src=10.0.0.2 dst=10.1.0.2 sport=7 dport=8 [UNREPLIED] src=10.1.0.2 dst=10.0.0.2 sport=8 dport=7";
    const made =
      "src=1.2.3.4 dst=1.2.3.5 sport=5 dport=6 [UNREPLIED] src=1.2.3.5 dst=1.2.3.4 sport=6 dport=5";
    const reset =
      "src=10.0.0.2 dst=10.1.0.2 sport=1001 dport=80 [UNREPLIED] src=10.1.0.2 dst=10.0.0.2 sport=80 dport=1001";
    expect(lines().map((line) => line.replace(/=\d{10}$/, "=N"))).toEqual([
      `    [NEW] tcp      6 120 SYN_SENT ${reset}`,
      `[DESTROY] tcp      6 119 CLOSE ${reset}`,
      `    [NEW] udp      17 30 ${udp56}`,
      ` [UPDATE] udp      17 30 ${udp56} mark=5`,
      `    [NEW] udp      17 30 ${udp78} mark=5`,
      `[DESTROY] udp      17 30 ${udp78} mark=5 ${other}`,
      ` [UPDATE] udp      17 30 ${udp56} mark=9 ${other}`,
      `    [NEW] tcp      6 1 ESTABLISHED ${made} mark=0 ${hand}`,
      `[DESTROY] tcp      6 ESTABLISHED ${made}`,
    ]);
  });

  it("says how large its buffer is", () => {
    const { stop } = listen(makeLab(), "-E -b 70000");
    expect(stop().stderr).toBe(
      "NOTICE: Netlink socket buffer size has been set to 140000 bytes.\nconntrack v1.4.7 (conntrack-tools): 0 flow events have been shown.\n",
    );
  });

  it("prints when the packet is through: who cannot print dies, not the packet", () => {
    const lab = makeLab();
    const { lines } = listen(lab, "-E", () => {
      throw new KilledError(SIGPIPE);
    });
    udp(lab, A, B, 1, 2);
    expect(lab.ct.count).toBe(1);
    expect(lines).toThrow(KilledError);
    udp(lab, A, B, 3, 4);
    expect(lab.ct.count).toBe(2);
  });

  it("tells only what it is asked for", () => {
    const lab = makeLab();
    const { lines } = listen(lab, "-E -e NEW -p udp --dport 2");
    udp(lab, A, B, 1, 2);
    udp(lab, B, A, 2, 1);
    udp(lab, A, B, 1, 3);
    expect(lines()).toHaveLength(1);
  });
});

/** The words and the text of `ip xfrm`: what iproute2 6.1 printed for the same commands. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ipIn, ipText } from "../ipv4/ip-command.ts";
import { World } from "../ipv4/topology.ts";
import { blocks } from "../truth/dumps.ts";

const POLICIES = [
  "src 10.0.0.1/32 dst 10.0.0.2/32 proto udp dport 4789 dir out mark 0x10 mask 0xff tmpl src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x1000 reqid 7 mode transport",
  "src 10.0.0.0/8 dst 0.0.0.0/0 dir in priority 100 tmpl proto esp mode transport level use",
  "src 10.0.0.0/8 dst 10.9.0.0/16 proto icmp type 8 code 0 dir fwd action block",
];

const SHORT = `src 10.0.0.0/8 dst 10.9.0.0/16 proto icmp type 8 code 0 
	dir fwd action block priority 0 ptype main 
src 10.0.0.0/8 dst 0.0.0.0/0 
	dir in priority 100 ptype main 
	tmpl src 0.0.0.0 dst 0.0.0.0
		proto esp reqid 0 mode transport
		level use 
src 10.0.0.1/32 dst 10.0.0.2/32 proto udp dport 4789 
	dir out priority 0 ptype main 
	mark 0x10/0xff 
	tmpl src 10.0.0.1 dst 10.0.0.2
		proto esp spi 0x00001000 reqid 7 mode transport
`;

const LIFETIME = `	lifetime config:
	  limit: soft (INF)(bytes), hard (INF)(bytes)
	  limit: soft (INF)(packets), hard (INF)(packets)
	  expire add: soft 0(sec), hard 0(sec)
	  expire use: soft 0(sec), hard 0(sec)
	lifetime current:
	  0(bytes), 0(packets)
	  add 2026-11-21 04:00:00 use -
`;

const LONG = `src 10.0.0.0/8 dst 10.9.0.0/16 proto icmp type 8 code 0 uid 0
	dir fwd action block index 18 priority 0 ptype main share any flag  (0x00000000)
${LIFETIME}src 10.0.0.0/8 dst 0.0.0.0/0 uid 0
	dir in action allow index 8 priority 100 ptype main share any flag  (0x00000000)
${LIFETIME}	tmpl src 0.0.0.0 dst 0.0.0.0
		proto esp spi 0x00000000(0) reqid 0(0x00000000) mode transport
		level use share any 
		enc-mask ffffffff auth-mask ffffffff comp-mask ffffffff
src 10.0.0.1/32 dst 10.0.0.2/32 proto udp dport 4789 uid 0
	dir out action allow index 1 priority 0 ptype main share any flag  (0x00000000)
${LIFETIME}	mark 0x10/0xff 
	tmpl src 10.0.0.1 dst 10.0.0.2
		proto esp spi 0x00001000(4096) reqid 7(0x00000007) mode transport
		level required share any 
		enc-mask ffffffff auth-mask ffffffff comp-mask ffffffff
`;

const ID = "src 10.0.0.2 dst 10.0.0.1 proto esp";
const KEY = "0x000102030405060708090a0b0c0d0e0f00001000";
const AEAD = `aead rfc4106(gcm(aes)) ${KEY}`;

function ns() {
  return new World().ns("a");
}

describe("ip xfrm policy", () => {
  test("lists them newest first, short and with statistics", () => {
    const a = ns();
    for (const policy of POLICIES) ipText(a, `xfrm policy add ${policy}`);
    expect(ipText(a, "xfrm policy")).toBe(SHORT);
    expect(ipText(a, "-s xfrm policy")).toBe(LONG);
    expect(ipText(a, "xfrm policy count")).toBe("\t SPD IN  1 OUT 1 FWD 1\n");
    expect(ipText(a, "-s xfrm policy count")).toBe("\t SPD IN  1 OUT 1 FWD 1 (Sock: IN 0 OUT 0 FWD 0)\n");
    expect(ipText(a, "xfrm policy get src 10.0.0.0/8 dst 0.0.0.0/0 dir in")).toBe(
      SHORT.split(/^(?=src)/m)[1],
    );
    ipText(a, "xfrm policy flush");
    expect(ipText(a, "xfrm policy")).toBe("");
  });

  test.each([
    [`add ${POLICIES[1]}`, "RTNETLINK answers: File exists", 2],
    ["del src 10.0.0.0/8 dst 0.0.0.0/0 dir out", "RTNETLINK answers: No such file or directory", 2],
    ["del src 10.0.0.0/8 dst 0.0.0.0/0", "Not enough information: DIR is required.", 1],
  ])("refuses: %s", (command, message, status) => {
    const a = ns();
    ipText(a, `xfrm policy add ${POLICIES[1]}`);
    expect(ipIn(a, `xfrm policy ${command}`)).toMatchObject({ stdout: "", stderr: `${message}\n`, status });
  });
});

describe("ip xfrm state", () => {
  test.each(["swarm-worker1", "swarm-worker2"])("prints the states and policies of the real %s", (node) => {
    const text = readFileSync(join(import.meta.dirname, `fixtures/${node}.xfrm.txt`), "utf8");
    const real = blocks(text);
    const a = ns();
    for (const line of replay(real.get("ip -s xfrm state")!, real.get("ip xfrm policy")!)) ipText(a, line);
    const used = (listing: string): string =>
      listing
        .replace(/oseq 0x[0-9a-f]+/g, "oseq N")
        .replace(/\d+\(bytes\), \d+\(packets\)/g, "N")
        .replace(/add .* use .*/g, "add T use T");
    expect(`${used(ipText(a, "-s xfrm state"))}\n`).toBe(used(real.get("ip -s xfrm state")!));
    expect(`${ipText(a, "xfrm policy")}\n`).toBe(real.get("ip xfrm policy"));
  });

  test("shows mark, flags, window, selector and limits", () => {
    const a = ns();
    const more =
      "mark 0x10 mask 0xff replay-window 32 flag noecn align4 limit packet-hard 10 limit byte-soft 1000";
    ipText(
      a,
      `xfrm state add ${ID} spi 4097 reqid 7 ${AEAD} 128 ${more} sel dst 10.0.0.2/32 proto tcp dport 80`,
    );
    expect(ipText(a, "-s xfrm state")).toBe(`src 10.0.0.2 dst 10.0.0.1
	proto esp spi 0x00001001(4097) reqid 7(0x00000007) mode transport
	replay-window 32 seq 0x00000000 flag noecn align4 (0x01000001)
	mark 0x10/0xff 
	aead rfc4106(gcm(aes)) ${KEY} (160 bits) 128
	anti-replay context: seq 0x0, oseq 0x0, bitmap 0x00000000
	sel src 0.0.0.0/0 dst 10.0.0.2/32 proto tcp dport 80 uid 0
	lifetime config:
	  limit: soft 1000(bytes), hard (INF)(bytes)
	  limit: soft (INF)(packets), hard 10(packets)
	  expire add: soft 0(sec), hard 0(sec)
	  expire use: soft 0(sec), hard 0(sec)
	lifetime current:
	  0(bytes), 0(packets)
	  add 2026-11-21 04:00:00 use -
	stats:
	  replay-window 0 replay 0 failed 0
`);
  });

  test("an update changes limits and selector, not the key", () => {
    const a = ns();
    ipText(a, `xfrm state add ${ID} spi 9 ${AEAD} 64`);
    ipText(a, `xfrm state update ${ID} spi 9 ${AEAD.replace("0x00", "0xff")} 64 sel proto udp`);
    expect(ipText(a, "xfrm state")).toBe(`src 10.0.0.2 dst 10.0.0.1
	proto esp spi 0x00000009 reqid 0 mode transport
	replay-window 0 
	aead rfc4106(gcm(aes)) ${KEY} 64
	anti-replay context: seq 0x0, oseq 0x0, bitmap 0x00000000
	sel src 0.0.0.0/0 dst 0.0.0.0/0 proto udp 
`);
    ipText(a, "xfrm state deleteall src 10.0.0.2");
    expect(ipText(a, "xfrm state count")).toBe("\t SAD count 0\n");
  });

  test.each([
    [
      `add ${ID} spi 9 mode transport`,
      'ALGO-TYPE value "enc" or "aead" is required with XFRM-PROTO value "esp"',
      1,
    ],
    [`del ${ID} spi 4099`, "RTNETLINK answers: No such process", 2],
    [`get ${ID} spi 4099`, "RTNETLINK answers: No such process", 2],
    [`update ${ID} spi 10 ${AEAD} 96`, "RTNETLINK answers: No such process", 2],
    [`add ${ID} spi 9 mode foo`, 'Error: argument "foo" is wrong: MODE value is invalid', 255],
    [`add ${ID} spi 9 bogus 1`, 'Error: argument "bogus" is wrong: unknown', 255],
    [
      `add ${ID} spi 9 aead rfc4106(gcm(aes)) 0x0001 64`,
      "Error: Kernel was unable to initialize cryptographic operations.",
      2,
    ],
  ])("refuses: %s", (command, message, status) => {
    expect(ipIn(ns(), `xfrm state ${command}`)).toMatchObject({ stdout: "", stderr: `${message}\n`, status });
  });
});

/** Commands that make what a real machine listed, oldest first. */
function replay(states: string, policies: string): string[] {
  const flat = (text: string): string =>
    text.replaceAll("\n", " ").replaceAll("\t", " ").replace(/ +/g, " ").trim();
  const all = states.split(/^(?=src)/m).reverse();
  const sa = all.map((text) => {
    const id = /^src (\S+) dst (\S+)\s+proto esp spi (\w+)\S* reqid (\d+)/.exec(text)!;
    const aead = /aead (\S+ \S+) .*\) (\d+)/.exec(text)!;
    return `xfrm state add src ${id[1]} dst ${id[2]} proto esp spi ${id[3]} reqid ${id[4]} aead ${aead[1]} ${aead[2]}`;
  });
  const spd = flat(policies)
    .replace("ptype main ", "")
    .replace(/mark (\w+)\/(\w+)/, "mark $1 mask $2");
  return [...sa, `xfrm policy add ${spd}`];
}

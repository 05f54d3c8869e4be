/** ESP byte by byte, against frames of a real cluster and against the platform's cipher. */
import { createDecipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readCapture } from "../../src/capture/read-capture.ts";
import { type Skb, SkbPool } from "../../src/net/core/skb.ts";
import { nobleGcm } from "../../src/net/xfrm/aead.ts";
import { espInput, espOutput } from "../../src/net/xfrm/esp4.ts";
import { ANY_MARK, ANY_SELECTOR } from "../../src/net/xfrm/xfrm-selector.ts";
import { NO_LIMITS, XfrmState } from "../../src/net/xfrm/xfrm-state.ts";
import { buildSpi } from "../../src/swarm/network/encryption.ts";
import { ipChecksumSet, setIpTotLen } from "../../src/wire/ipv4.ts";
import { ip } from "../ipv4/topology.ts";
import { readStates, type Sa } from "./xfrm-text.ts";

const WINDOW = join(import.meta.dirname, "../truth/S08-encrypted/11-ping-curl-sizes");
const ETH = 14;
const IP = 20;

const states = readStates(readFileSync(join(import.meta.dirname, "fixtures/swarm-worker1.xfrm.txt"), "utf8"));

function frames(file: string): Buffer[] {
  const all = readCapture(readFileSync(join(WINDOW, `${file}.pcap`)), file).frames;
  return all.map(({ bytes }) => Buffer.from(bytes));
}

function espFrames(): Buffer[] {
  return frames("swarm-worker1__host__eth0").filter((f) => f.readUInt16BE(12) === 0x0800 && f[23] === 50);
}

function stateOf(sa: Sa, ivSaltHi: number, ivSaltLo: number): XfrmState {
  const spec = {
    saddr: ip(sa.src),
    daddr: ip(sa.dst),
    spi: sa.spi | 0,
    reqid: 0,
    mark: ANY_MARK,
    sel: ANY_SELECTOR,
    flags: 0,
    seq: 0,
    replayWindow: 0,
    algorithm: "rfc4106(gcm(aes))",
    key: new Uint8Array(sa.key),
    icvBits: sa.icvBytes * 8,
    limits: NO_LIMITS,
  };
  return new XfrmState(spec, nobleGcm(spec.key.subarray(0, 16)), ivSaltHi, ivSaltLo, 0);
}

function saOf(frame: Buffer): Sa {
  return states.find((sa) => sa.spi === frame.readUInt32BE(ETH + IP))!;
}

/** The packet of a frame, at its IP header. */
function packetOf(pool: SkbPool, frame: Buffer): Skb {
  const skb = pool.from(frame);
  skb.netOff = skb.pull(ETH);
  skb.transOff = skb.netOff + IP;
  return skb;
}

/** The payload by the platform's cipher, without the trailer. */
function oracle(frame: Buffer, sa: Sa): Buffer {
  const esp = frame.subarray(ETH + IP, ETH + frame.readUInt16BE(ETH + 2));
  const nonce = Buffer.concat([sa.key.subarray(16), esp.subarray(8, 16)]);
  const decipher = createDecipheriv("aes-128-gcm", sa.key.subarray(0, 16), nonce, {
    authTagLength: sa.icvBytes,
  });
  decipher.setAAD(esp.subarray(0, 8));
  decipher.setAuthTag(esp.subarray(-sa.icvBytes));
  const text = Buffer.concat([decipher.update(esp.subarray(16, -sa.icvBytes)), decipher.final()]);
  expect(text.at(-1)).toBe(17);
  const padding = text.at(-2)!;
  expect([...text.subarray(-2 - padding, -2)]).toEqual(Array.from({ length: padding }, (_, i) => i + 1));
  return text.subarray(0, -2 - padding);
}

test("the SPI is a hash of both addresses and the key's tag", () => {
  const [one, two] = [ip("192.168.200.11"), ip("192.168.200.12")];
  const seen = [29139, 29140, 29141].flatMap((tag) => [buildSpi(one, two, tag), buildSpi(two, one, tag)]);
  const real = [0xb4d174bc, 0x7c9b1f08, 0xa6b6a7bd, 0xb41c9179, 0xdebf79da, 0x838f2886];
  expect(seen.map((spi) => spi >>> 0)).toEqual(real);
});

test("decrypts every real frame as the platform's cipher does", () => {
  const pool = new SkbPool();
  const all = espFrames();
  expect(all.length).toBe(62);
  for (const frame of all) {
    const sa = saOf(frame);
    const skb = packetOf(pool, frame);
    expect(espInput(stateOf(sa, 0, 0), skb)).toBe(0);
    expect(Buffer.from(skb.bytes.subarray(skb.data, skb.tail)).equals(oracle(frame, sa))).toBe(true);
    expect(skb.view.getUint8(skb.netOff + 9)).toBe(17);
    skb.consume();
  }
  expect(pool.outstanding).toBe(0);
});

test("what is inside the real frames is what the real VXLAN device sent and received", () => {
  const inside = espFrames().map((frame) => oracle(frame, saOf(frame)).subarray(16).toString("hex"));
  const device = frames("swarm-worker1__ovl-enc__vxlan0").map((frame) => frame.toString("hex"));
  // ARP stays on the device.
  const expected = device.filter((hex) => hex.slice(24, 28) === "0800");
  expect([...inside].sort()).toEqual([...expected].sort());
});

test("encrypts the real packets into the real frames, byte by byte", () => {
  const pool = new SkbPool();
  for (const frame of espFrames()) {
    const sa = saOf(frame);
    const esp = frame.subarray(ETH + IP);
    const seq = esp.readUInt32BE(4);
    // The IV is the sequence number mixed with a salt of the state's own.
    const x = stateOf(sa, esp.readInt32BE(8), esp.readInt32BE(12) ^ seq);
    const plain = oracle(frame, sa);
    const skb = pool.from(Buffer.concat([frame.subarray(ETH, ETH + IP), plain]));
    skb.netOff = skb.data;
    skb.view.setUint8(skb.data + 9, 17);
    espOutput(x, skb, seq);
    setIpTotLen(skb.view, skb.data, skb.length);
    ipChecksumSet(skb.view, skb.data);
    const whole = frame.subarray(ETH, ETH + frame.readUInt16BE(ETH + 2));
    expect(Buffer.from(skb.bytes.subarray(skb.data, skb.tail)).equals(whole)).toBe(true);
    skb.consume();
  }
  expect(pool.outstanding).toBe(0);
});

test("the salt of the IV is one for all packets of a state", () => {
  const salts = new Map<number, Set<string>>();
  for (const frame of espFrames()) {
    const esp = frame.subarray(ETH + IP);
    const low = (esp.readInt32BE(12) ^ esp.readInt32BE(4)) >>> 0;
    const set = salts.get(esp.readUInt32BE(0)) ?? new Set();
    salts.set(esp.readUInt32BE(0), set.add(`${esp.readUInt32BE(8)}/${low}`));
  }
  expect([...salts.values()].map((set) => set.size)).toEqual([1, 1]);
});

test("a forged frame is counted and left alone", () => {
  const pool = new SkbPool();
  const [frame] = espFrames();
  frame[frame.length - 12] ^= 1;
  const x = stateOf(saOf(frame), 0, 0);
  const skb = packetOf(pool, frame);
  expect(espInput(x, skb)).not.toBe(0);
  expect(x.statIntegrityFailed).toBe(1);
  skb.consume();
});

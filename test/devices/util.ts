/** A kernel or two for tests of devices, and frames. */
import { expect } from "vitest";
import { bridgeNetfilterInit } from "../../src/net/bridge/br-netfilter.ts";
import { devQueueXmit } from "../../src/net/core/dev.ts";
import { Kernel } from "../../src/net/core/kernel.ts";
import type { NetDevice, Tap } from "../../src/net/core/net-device.ts";
import { type Skb, SkbPool } from "../../src/net/core/skb.ts";
import { loopbackInit } from "../../src/net/drivers/loopback.ts";
import { transportInit } from "../../src/net/ipv4/af-inet.ts";
import { ipv4Init } from "../../src/net/ipv4/ipv4-init.ts";
import { Sim } from "../../src/sim/sim.ts";
import { Prng } from "../../src/util/prng.ts";

export class World {
  readonly sim = new Sim();
  readonly pool = new SkbPool();

  /** A kernel with IPv4. */
  kernel(name: string, seed = 1): Kernel {
    const inits = [loopbackInit, ipv4Init, transportInit, bridgeNetfilterInit];
    return new Kernel(name, this.sim, this.pool, new Prng(seed, name), inits);
  }

  /** A kernel that knows no protocol: frames only. */
  plainKernel(name: string): Kernel {
    return new Kernel(name, this.sim, this.pool, new Prng(1, name), [loopbackInit, bridgeNetfilterInit]);
  }

  run(ns: number): void {
    this.sim.runUntil(this.sim.now + ns);
  }

  done(): void {
    expect(this.pool.outstanding).toBe(0);
  }
}

/** Records what a device sends and receives, in order, into a shared list. */
export class Recorder {
  readonly frames: { dev: string; out: boolean; hex: string }[] = [];

  watch(...devs: NetDevice[]): void {
    for (const dev of devs) dev.tap = new RecorderTap(this);
  }

  /** Names of the devices that saw frames in that direction. */
  names(out: boolean): string[] {
    return this.frames.filter((frame) => frame.out === out).map((frame) => frame.dev);
  }

  clear(): void {
    this.frames.length = 0;
  }
}

class RecorderTap implements Tap {
  private readonly recorder: Recorder;
  constructor(recorder: Recorder) {
    this.recorder = recorder;
  }

  frame(dev: NetDevice, skb: Skb, frameOff: number, out: boolean): void {
    const hex = Buffer.from(skb.bytes.subarray(frameOff, skb.tail)).toString("hex");
    this.recorder.frames.push({ dev: dev.name, out, hex });
  }
}

/** Bytes of hexadecimal text, blanks ignored. */
export function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replace(/\s/g, ""), "hex"));
}

export function macHex(mac: string): string {
  return mac.replace(/:/g, "");
}

/** A frame of a type that nobody handles. */
export function frame(dst: string, src: string, payload = "00".repeat(46), type = "88b5"): Uint8Array {
  return bytes(macHex(dst) + macHex(src) + type + payload);
}

/** Sends raw bytes out of a device. */
export function send(world: World, dev: NetDevice, data: Uint8Array): void {
  const skb = world.pool.from(data);
  skb.dev = dev;
  devQueueXmit(skb);
}

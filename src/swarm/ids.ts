/** Identifiers: 25 base-36 digits of 128 random bits (swarmkit identity), 64 hexadecimal digits (stringid). */
import type { Prng } from "../util/prng.ts";

const BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz";

/** 25 lower-case base-36 digits: nodes, services, networks of the swarm, tasks, the cluster. */
export function newId(prng: Prng): string {
  return base36(prng, 4, 25);
}

/** 64 hexadecimal digits: containers, endpoints, local networks, sandboxes. */
export function newHexId(prng: Prng): string {
  return prng.hex(64);
}

/** `words` random 32-bit words as base 36, padded with zeros on the left. */
export function base36(prng: Prng, words: number, width: number): string {
  let value = 0n;
  for (let i = 0; i < words; i++) value = (value << 32n) | BigInt(prng.u32());
  let text = "";
  for (let rest = value; rest > 0n; rest /= 36n) text = BASE36[Number(rest % 36n)] + text;
  return text.padStart(width, "0");
}

/** `SWMTKN-1-<digest of the root certificate>-<secret>`. */
export function joinToken(digest: string, secret: string): string {
  return `SWMTKN-1-${digest}-${secret}`;
}

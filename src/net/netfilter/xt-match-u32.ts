/** The u32 match (net/netfilter/xt_u32.c): walks 32-bit words from the IP header on. */
import type { Skb } from "../core/skb.ts";

const OP_AND = 1;
const OP_LEFT = 2;
const OP_RIGHT = 3;

/** All tests must hold; one that reaches past the packet does not. */
export function u32Mt(ops: Int32Array, at: number, skb: Skb): boolean {
  const inverted = ops[at] !== 0;
  let tests = ops[at + 1];
  let i = at + 2;
  while (tests-- > 0) {
    const steps = ops[i];
    const values = i + 1 + steps * 2;
    const ranges = ops[values];
    if (!testHolds(ops, i + 1, steps, values + 1, ranges, skb)) return inverted;
    i = values + 1 + ranges * 2;
  }
  return !inverted;
}

function testHolds(
  ops: Int32Array,
  from: number,
  steps: number,
  values: number,
  ranges: number,
  skb: Skb,
): boolean {
  const lastWord = skb.tail - skb.data - 4;
  let base = 0;
  let position = ops[from + 1] >>> 0;
  if (position > lastWord) return false;
  let value = skb.view.getInt32(skb.data + position);
  for (let step = 1; step < steps; step++) {
    const op = ops[from + step * 2];
    const number = ops[from + step * 2 + 1];
    if (op === OP_AND) value &= number;
    else if (op === OP_LEFT) value <<= number;
    else if (op === OP_RIGHT) value >>>= number;
    else {
      base += value >>> 0;
      position = number >>> 0;
      if (base + position > lastWord) return false;
      value = skb.view.getInt32(skb.data + base + position);
    }
  }
  const found = value >>> 0;
  for (let range = 0; range < ranges; range++) {
    const low = ops[values + range * 2] >>> 0;
    const high = ops[values + range * 2 + 1] >>> 0;
    if (found >= low && found <= high) return true;
  }
  return false;
}

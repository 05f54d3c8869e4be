/** Quantities as people write them on a lab page: `200us`, `1Gbit`, `1%`. Each gives null for what is none. */

const TIME: Record<string, number> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  min: 60e9,
  h: 3600e9,
};
const RATE: Record<string, number> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };
const SIZE: Record<string, number> = { "": 1, b: 1, k: 1024, kb: 1024, m: 1048576, mb: 1048576 };

function quantity(text: string, units: Record<string, number>): number | null {
  const found = /^(\d+(?:\.\d+)?)\s*([a-zµ]*)$/i.exec(text.trim());
  const unit = found === null ? undefined : (units[found[2]] ?? units[found[2].toLowerCase()]);
  return unit === undefined ? null : Math.round(Number(found![1]) * unit);
}

/** ns */
export const parseDuration = (text: string): number | null => quantity(text, TIME);
/** bit/s */
export const parseRate = (text: string): number | null => quantity(text, RATE);
/** bytes */
export const parseSize = (text: string): number | null => quantity(text, SIZE);

/** 0 to 1, from `1%` or `0.01`. */
export function parseFraction(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(text.trim());
  if (found === null) return null;
  const value = Number(found[1]) / (found[2] === "%" ? 100 : 1);
  return value >= 0 && value <= 1 ? value : null;
}

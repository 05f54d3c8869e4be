/** limit and statistic (libxt_limit.c, libxt_statistic.c). */
import type { LimitMatch, StatisticMatch } from "../rule-spec.ts";
import { type Extension, type Given, numberOption, problem } from "./extension.ts";

/** Unit of `LimitMatch.avg`: so many to a second (XT_LIMIT_SCALE). */
export const XT_LIMIT_SCALE = 10000;

/** Name and length in units of {@link XT_LIMIT_SCALE}, longest first. */
const RATES: readonly (readonly [string, number])[] = [
  ["day", XT_LIMIT_SCALE * 24 * 60 * 60],
  ["hour", XT_LIMIT_SCALE * 60 * 60],
  ["min", XT_LIMIT_SCALE * 60],
  ["sec", XT_LIMIT_SCALE],
];

const UNIT_WORDS: readonly (readonly [string, number])[] = [
  ["second", XT_LIMIT_SCALE],
  ["minute", XT_LIMIT_SCALE * 60],
  ["hour", XT_LIMIT_SCALE * 60 * 60],
  ["day", XT_LIMIT_SCALE * 24 * 60 * 60],
];

function parseRate(text: string): number {
  const bad = (): never => problem(`bad rate "${text}"'`);
  const slash = text.indexOf("/");
  const unit = slash < 0 ? "second" : text.slice(slash + 1);
  const length =
    unit === "" ? undefined : UNIT_WORDS.find(([word]) => word.startsWith(unit.toLowerCase()))?.[1];
  // atoi(3), kept as 32 bits without a sign.
  const count = (Number(/^\s*[+-]?[0-9]+/.exec(text)?.[0] ?? 0) % 2 ** 32) >>> 0;
  if (length === undefined || count === 0) return bad();
  // More than 10000 a second cannot be told apart from no limit.
  if (count > length) problem(`Rate too fast "${text}"`);
  return Math.floor(length / count);
}

/** `3/hour`: in the shortest unit that still tells the interval well, as iptables prints it. */
export function rateText(avg: number): string {
  let unit = 0;
  for (let i = 1; i < RATES.length; i++) {
    const length = RATES[i][1];
    if (avg > length || Math.floor(length / avg) < length % avg) break;
    unit = i;
  }
  return `${Math.floor(RATES[unit][1] / avg)}/${RATES[unit][0]}`;
}

export const LIMIT: Extension<LimitMatch> = {
  name: "limit",
  options: [
    { name: "limit", arg: true },
    { name: "limit-burst", arg: true },
  ],
  open: () => {
    let avg = parseRate("3/hour");
    let burst = 5;
    return {
      take: (given: Given) => {
        if (given.name === "limit") avg = parseRate(given.value);
        else burst = numberOption("limit", given, 0, 10000);
      },
      finish: () => ({ name: "limit", avg, burst }),
    };
  },
};

/** Denominator of `StatisticMatch.probability`. */
export const PROBABILITY_ONE = 0x80000000;

export const STATISTIC: Extension<StatisticMatch> = {
  name: "statistic",
  options: [
    { name: "mode", arg: true, mandatory: true },
    { name: "probability", arg: true, invert: true, excludes: ["every", "packet"] },
    { name: "every", arg: true, invert: true, excludes: ["probability"], needs: "packet" },
    { name: "packet", arg: true, excludes: ["probability"], needs: "every" },
  ],
  open: () => {
    let mode: "random" | "nth" = "random";
    let probability = -1;
    let every = -1;
    let packet = -1;
    // Period and probability share a place in the kernel's structure: the later one is what a packet is compared with.
    let period = 0;
    let invert = false;
    return {
      take: (given: Given) => {
        if (given.name === "mode") mode = statisticMode(given.value);
        else if (given.name === "probability") probability = statisticProbability(given.value);
        else if (given.name === "every") every = numberOption("statistic", given, 1, 0xffffffff) - 1;
        else packet = numberOption("statistic", given, 0, 0xffffffff);
        if (given.name === "every") period = every;
        else if (given.name === "probability") period = probability;
        if (given.invert) invert = true;
      },
      finish: () => {
        if (mode === "random" && probability < 0)
          problem("--probability must be specified when using random mode");
        if (mode === "nth" && every < 0 && packet < 0)
          problem("--every and --packet must be specified when using nth mode");
        if (packet > period) problem("the --packet p must be 0 <= p <= n-1");
        return { name: "statistic", mode, probability, every, packet, invert };
      },
    };
  },
};

function statisticMode(text: string): "random" | "nth" {
  if (text !== "random" && text !== "nth") problem(`Bad mode "${text}"`);
  return text;
}

function statisticProbability(text: string): number {
  const value = Number(text);
  if (text === "" || !(value >= 0 && value <= 1))
    problem('statistic: bad value for option "--probability", or out of range (0-1).\n');
  return Math.round(value * PROBABILITY_ONE);
}

/** Names for services and containers that got none (pkg/namesgenerator): an adjective and a scientist. */
import type { Prng } from "../../util/prng.ts";

const LEFT = [
  "admiring",
  "bold",
  "busy",
  "clever",
  "dazzling",
  "eager",
  "festive",
  "gallant",
  "happy",
  "jolly",
  "keen",
  "lucid",
];
const RIGHT = [
  "babbage",
  "curie",
  "darwin",
  "euler",
  "fermi",
  "gauss",
  "hopper",
  "kepler",
  "lovelace",
  "noether",
  "turing",
  "wing",
];

export function randomName(prng: Prng): string {
  return `${prng.pick(LEFT)}_${prng.pick(RIGHT)}`;
}

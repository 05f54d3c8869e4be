/** Topologies from a seed. */
import type { Prng } from "../../../src/util/prng.ts";
import { bridge } from "./bridge.ts";
import { chain } from "./chain.ts";
import type { Network } from "./network.ts";
import { overlay } from "./overlay.ts";
import { router, tracker } from "./router.ts";

export const TOPOLOGIES: Readonly<Record<string, (prng: Prng) => Network>> = {
  router,
  chain,
  bridge,
  overlay,
  tracker,
};

/** A case from a seed and the name of a topology. */
import { Prng } from "../../../src/util/prng.ts";
import type { Case, Step } from "../case.ts";
import { randomRules } from "./rules.ts";
import { TOPOLOGIES } from "./topologies.ts";
import { Traffic } from "./traffic.ts";

export const TOPOLOGY_NAMES: readonly string[] = Object.keys(TOPOLOGIES);

/** So few at once that the limit of ICMP errors of a whole namespace (50 at once, 1000 a second) is not reached. */
const STEPS_AT_ONCE = 45;
const REST_MS = 60;
/** A case of so many steps is still over before a second. */
const MAX_STEPS = 4 * STEPS_AT_ONCE;

/** Longer than a delayed ACK takes (40 ms and a tick); a case of so many steps is still over before a second. */
const PAUSE_MS = 50;
const PAUSED_STEPS = 9;
/** Where TCP servers answer the steps follow at once, and the rest comes behind them. */
const BRISK_STEPS = 30;
const AFTER_MS = 60;

/** Without selective acknowledgements nobody probes for lost segments, which depends on measured times. */
const NO_PROBES = "sysctl -qw net.ipv4.tcp_sack=0";

/** Without a topology one is chosen. */
export function generateCase(seed: number, topology?: string): Case {
  const prng = new Prng(seed, "oracle");
  const name = topology ?? prng.stream("topology").pick(TOPOLOGY_NAMES);
  const network = TOPOLOGIES[name](prng.stream("network"));
  const traffic = new Traffic(prng.stream("traffic"), network);
  const servers = network.listeners.filter(({ protocol }) => protocol === "tcp");
  const brisk = servers.some(({ does }) => does !== undefined);
  const limit = brisk ? BRISK_STEPS : servers.length > 0 ? PAUSED_STEPS : MAX_STEPS;
  const size = 5 + prng.stream("size").below(limit - 5);
  while (traffic.steps.length < size) traffic.more();
  const firewall = prng.stream("firewall");
  return {
    name: `${name}-${seed}`,
    namespaces: network.namespaces,
    setup: brisk ? [...network.setup, ...servers.map(({ ns }) => ({ ns, run: NO_PROBES }))] : network.setup,
    rules: firewall.below(4) === 0 ? network.rules : randomRules(firewall, network),
    stations: network.stations,
    listeners: network.listeners,
    ...(brisk ? { afterMs: AFTER_MS } : servers.length > 0 ? { pauseMs: PAUSE_MS } : {}),
    steps: traffic.steps.slice(0, size).map(withRest),
  };
}

function withRest(step: Step, index: number): Step {
  return index > 0 && index % STEPS_AT_ONCE === 0 ? { ...step, restMs: REST_MS } : step;
}

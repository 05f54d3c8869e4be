/** Three machines on one segment with Docker, as most of these tests need them, and a way to type commands. */

import type { Co } from "../../src/host/process.ts";
import { Lab } from "../../src/lab.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import type { Pins } from "../../src/swarm/pins.ts";
import { dockerTool } from "../../src/tools/docker/docker.ts";
import { runTool } from "../../src/tools/run-tool.ts";
import type { Tool, ToolContext, ToolOutput } from "../../src/tools/tool.ts";
import { parseIp4 } from "../../src/wire/address.ts";

export const SEC = 1_000_000_000;
const NODES = { client: 1, "swarm-manager": 10, "swarm-worker1": 11, "swarm-worker2": 12 } as const;

export function swarmLab(pins: Pins = {}, seed = 1): Lab {
  return new Lab({
    seed,
    segments: [
      {
        name: "lan",
        network: parseIp4("192.168.200.0")!,
        prefixLen: 24,
        gateway: parseIp4("192.168.200.1")!,
        options: {},
      },
    ],
    machines: Object.entries(NODES).map(([name, last]) => ({
      name,
      nics: [{ segment: "lan", address: parseIp4(`192.168.200.${last}`)!, mac: null }],
      docker: name !== "client",
      forward: false,
      nameservers: [],
      gateway: undefined,
      sysctl: [],
      ports: [],
    })),
    images: {},
    pins,
  });
}

/** Runs a command of one tool in a namespace (the host's when absent) to its end. */
export function runIn(
  lab: Lab,
  machineName: string,
  tool: Tool<never, never>,
  argv: readonly string[],
  ns?: NetNs,
): ToolOutput {
  const machine = lab.machine(machineName);
  const where = ns ?? machine.hostNs;
  let output: ToolOutput | null = null;
  let failure: unknown = null;
  const process = machine.spawn("sh", where, function* (self): Co<number> {
    const context: ToolContext = {
      print: () => {},
      machine,
      ns: where,
      process: self,
      stdin: "",
      files: new Map(),
      // biome-ignore lint/correctness/useYield: a command of these tests never runs another one
      *exec() {
        throw new Error("no shell here");
      },
    };
    try {
      output = yield* runTool(tool as Tool, argv, context);
    } catch (error) {
      failure = error;
    }
    return 0;
  });
  lab.runProcess(process, 3600 * SEC);
  if (failure !== null) throw failure;
  return output!;
}

/** `docker WORDS` on a machine; words in one string are separated by one space. */
export function docker(lab: Lab, machine: string, words: string | readonly string[]): ToolOutput {
  return runIn(
    lab,
    machine,
    dockerTool as unknown as Tool<never, never>,
    typeof words === "string" ? words.split(" ") : words,
  );
}

/** A swarm of the three machines. */
export function formSwarm(lab: Lab): void {
  docker(lab, "swarm-manager", "swarm init --advertise-addr 192.168.200.10");
  const token = docker(lab, "swarm-manager", "swarm join-token -q worker").stdout.trim();
  lab.wait(SEC);
  for (const worker of ["swarm-worker1", "swarm-worker2"]) {
    docker(lab, worker, `swarm join --token ${token} 192.168.200.10:2377`);
    lab.wait(SEC);
  }
}

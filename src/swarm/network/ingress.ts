/**
 * Published ports of the routing mesh on one host (libnetwork service_linux.go programIngress, filterPortConfigs,
 * plumbProxy): rules, and a socket on each port that only keeps it from others.
 */
import type { Machine } from "../../host/machine.ts";
import { type Process, waitFor } from "../../host/process.ts";
import { listenTcp, openUdp } from "../../host/socket.ts";
import { WaitQueue } from "../../sim/wait-queue.ts";
import { SysError } from "../../util/errors.ts";
import type { PortConfig } from "../manager/objects.ts";
import { iptablesInit, programIngressPort, setupIngressChains } from "./iptables-setup.ts";

const BACKLOG = 4096;
const GW_BRIDGE = "docker_gwbridge";

export class IngressPorts {
  private readonly machine: Machine;
  private readonly uses = new Map<string, number>();
  private readonly holders = new Map<string, Process>();

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** Opens or closes ports towards the ingress sandbox at `gateway`; each counts its users. */
  program(gateway: number, ports: readonly PortConfig[], add: boolean): void {
    const ns = this.machine.hostNs;
    iptablesInit(ns);
    if (add) setupIngressChains(ns, GW_BRIDGE);
    for (const port of ports) {
      const key = `${port.protocol}/${port.publishedPort}/${port.targetPort}`;
      const uses = (this.uses.get(key) ?? 0) + (add ? 1 : -1);
      this.uses.set(key, Math.max(0, uses));
      if (add ? uses > 1 : uses !== 0) continue;
      programIngressPort(ns, gateway, port, add);
      if (add) this.hold(key, port);
      else this.release(key);
    }
  }

  private hold(key: string, port: PortConfig): void {
    if (port.protocol === "sctp") return;
    const forever = new WaitQueue();
    const process = this.machine.spawn("dockerd", this.machine.hostNs, function* () {
      for (;;) yield* waitFor(forever);
    });
    this.holders.set(key, process);
    try {
      const sk =
        port.protocol === "tcp"
          ? listenTcp(process, 0, port.publishedPort, BACKLOG)
          : openUdp(process, 0, port.publishedPort);
      sk.dualStack = true;
    } catch (error) {
      // Somebody else has the port: Docker only writes a line to its log.
      if (!(error instanceof SysError)) throw error;
    }
  }

  private release(key: string): void {
    this.holders.get(key)?.kill(9);
    this.holders.delete(key);
  }
}

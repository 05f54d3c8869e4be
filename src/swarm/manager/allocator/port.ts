/**
 * Published ports of the routing mesh (swarmkit cnmallocator/portallocator.go): one space a protocol, with a serial
 * search through 30000-32767 for ports that the user leaves open.
 */
import type { PortConfig, Protocol } from "../objects.ts";
import { OrdinalSet } from "./ipam.ts";

const DYNAMIC_FIRST = 30000;
const DYNAMIC_LAST = 32767;

interface PortSpace {
  readonly master: OrdinalSet;
  readonly dynamic: OrdinalSet;
}

export class PortAllocator {
  private readonly spaces = new Map<Protocol, PortSpace>(
    (["tcp", "udp", "sctp"] as const).map((protocol) => [
      protocol,
      { master: new OrdinalSet(1, 65535), dynamic: new OrdinalSet(DYNAMIC_FIRST, DYNAMIC_LAST) },
    ]),
  );

  /**
   * Allocates the mesh ports of `wanted`, keeping those of `previous` that are still asked for. Returns the full list in
   * the order of `wanted`; null when a port is taken by another service (nothing is changed then).
   */
  allocate(previous: readonly PortConfig[], wanted: readonly PortConfig[]): PortConfig[] | null {
    for (const port of previous) this.release(port);
    const taken: PortConfig[] = [];
    const result: PortConfig[] = [];
    for (const port of wanted) {
      if (port.mode === "host") {
        result.push(port);
        continue;
      }
      const kept = port.publishedPort === 0 ? previous.find((old) => sameTarget(old, port)) : undefined;
      const allocated = this.takeOne(kept ?? port);
      if (allocated === null) {
        for (const done of taken) this.release(done);
        for (const old of previous) if (old.mode === "ingress") this.takeOne(old);
        return null;
      }
      taken.push(allocated);
      result.push(allocated);
    }
    return result;
  }

  release(port: PortConfig): void {
    if (port.mode === "host" || port.publishedPort === 0) return;
    const space = this.spaces.get(port.protocol)!;
    space.master.release(port.publishedPort);
    space.dynamic.release(port.publishedPort);
  }

  private takeOne(port: PortConfig): PortConfig | null {
    const space = this.spaces.get(port.protocol)!;
    if (port.publishedPort !== 0) {
      if (!space.master.takeThis(port.publishedPort)) return null;
      space.dynamic.takeThis(port.publishedPort);
      return port;
    }
    const publishedPort = space.dynamic.take(true);
    if (publishedPort < 0 || !space.master.takeThis(publishedPort)) return null;
    return { ...port, publishedPort };
  }
}

function sameTarget(a: PortConfig, b: PortConfig): boolean {
  return a.mode === b.mode && a.protocol === b.protocol && a.targetPort === b.targetPort;
}

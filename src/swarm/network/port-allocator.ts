/**
 * Which ports of the host the engine has given out (libnetwork portallocator): for each address by itself, so that a port of
 * one address and the same of all are told apart by the kernel only.
 */
import { formatIp4 } from "../../wire/address.ts";
import type { PortConfig } from "../manager/objects.ts";

const PORT_FIRST = 49153;
const PORT_LAST = 65535;

export class PortAllocator {
  private readonly taken = new Set<string>();
  /** The port of each range that was given out last: the next one is looked for behind it. */
  private readonly last = new Map<string, number>();

  /** Takes the port that is wanted, or a free one of its range; or why there is none. */
  request(port: PortConfig): number | string {
    const { protocol, publishedPort, publishedLast = publishedPort, hostIp = 0 } = port;
    if (publishedPort !== 0 && publishedPort === publishedLast) {
      if (this.take(port, publishedPort)) return publishedPort;
      return `Bind for ${formatIp4(hostIp)}:${publishedPort} failed: port is already allocated`;
    }
    const [first, last] = publishedPort === 0 ? [PORT_FIRST, PORT_LAST] : [publishedPort, publishedLast];
    const range = `${protocol}/${hostIp}/${first}-${last}`;
    let candidate = this.last.get(range) ?? last;
    for (let i = first; i <= last; i++) {
      candidate = candidate === last ? first : candidate + 1;
      if (!this.take(port, candidate)) continue;
      this.last.set(range, candidate);
      return candidate;
    }
    return "all ports are allocated";
  }

  release({ protocol, publishedPort, hostIp = 0 }: PortConfig): void {
    this.taken.delete(`${protocol}/${hostIp}/${publishedPort}`);
  }

  private take({ protocol, hostIp = 0 }: PortConfig, number: number): boolean {
    const key = `${protocol}/${hostIp}/${number}`;
    if (this.taken.has(key)) return false;
    this.taken.add(key);
    return true;
  }
}

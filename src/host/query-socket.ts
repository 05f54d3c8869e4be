/** Sockets for questions to name servers: their source port is one that a lab page pins, if there is one and it is free. */
import type { UdpSock } from "../net/ipv4/udp-sock.ts";
import { SysError } from "../util/errors.ts";
import type { Process } from "./process.ts";
import { openUdp } from "./socket.ts";

export function openQuerySocket(process: Process): UdpSock {
  const { pins, kernel } = process.machine;
  const port = pins.queryPorts.take(kernel.sim.now);
  try {
    if (port !== undefined) return openUdp(process, 0, port);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
  const sk = openUdp(process);
  sk.usesPins = false;
  return sk;
}

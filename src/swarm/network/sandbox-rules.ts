/**
 * Rules in the namespaces of sandboxes (libnetwork service_linux.go fwMarker and redirector, resolver_unix.go). Each of
 * these steps is a process of its own in Docker, which looks at the filter table before anything else.
 */
import type { NetNs } from "../../net/core/net-ns.ts";
import { iptAppend, iptDelete, iptFlush, iptHas, iptInsert, iptNewChain } from "../../net/ctl/iptables.ts";
import { formatCidr, formatIp4, prefixToMask } from "../../wire/address.ts";
import type { PortConfig } from "../manager/objects.ts";
import { chainExists, iptablesInit } from "./iptables-setup.ts";

const OUTPUT_CHAIN = "DOCKER_OUTPUT";
const POSTROUTING_CHAIN = "DOCKER_POSTROUTING";
const RESOLVER = "127.0.0.11";

/** Sends questions for 127.0.0.11:53 to the resolver's sockets, and its answers back. */
export function setupResolverRules(ns: NetNs, udpPort: number, tcpPort: number): void {
  iptablesInit(ns);
  jumpChain(ns, "OUTPUT", OUTPUT_CHAIN);
  jumpChain(ns, "POSTROUTING", POSTROUTING_CHAIN);
  for (const [protocol, port] of [
    ["udp", udpPort],
    ["tcp", tcpPort],
  ] as const) {
    iptInsert(
      ns,
      "nat",
      OUTPUT_CHAIN,
      `-d ${RESOLVER} -p ${protocol} --dport 53 -j DNAT --to-destination ${RESOLVER}:${port}`,
    );
    iptInsert(
      ns,
      "nat",
      POSTROUTING_CHAIN,
      `-s ${RESOLVER} -p ${protocol} --sport ${port} -j SNAT --to-source :53`,
    );
  }
}

function jumpChain(ns: NetNs, from: string, chain: string): void {
  const jump = `-d ${RESOLVER} -j ${chain}`;
  if (chainExists(ns, "nat", chain) && iptHas(ns, "nat", from, jump)) {
    iptFlush(ns, "nat", chain);
    return;
  }
  iptNewChain(ns, "nat", chain);
  iptInsert(ns, "nat", from, jump);
}

export interface FwMark {
  readonly vip: number;
  readonly mark: number;
  readonly ports: readonly PortConfig[];
  /** Address of the load-balancer endpoint with its prefix. */
  readonly addr: number;
  readonly prefixLen: number;
}

/** Marks for one virtual address, and the source address of everything that is balanced. */
export function programFwMark(ns: NetNs, { vip, mark, ports, addr, prefixLen }: FwMark, add: boolean): void {
  iptablesInit(ns);
  const change = add ? iptAppend : iptDelete;
  for (const port of ports)
    change(
      ns,
      "mangle",
      "PREROUTING",
      `-p ${port.protocol} --dport ${port.publishedPort} -j MARK --set-mark ${mark}`,
    );
  if (add) {
    const subnet = formatCidr(addr & prefixToMask(prefixLen), prefixLen);
    const rule = `-d ${subnet} -m ipvs --ipvs -j SNAT --to-source ${formatIp4(addr)}`;
    if (!iptHas(ns, "nat", "POSTROUTING", rule)) {
      iptAppend(ns, "nat", "POSTROUTING", rule);
      ns.sysctl.set("net.ipv4.vs.conntrack", "1");
    }
  }
  change(ns, "mangle", "INPUT", `-d ${formatIp4(vip)} -j MARK --set-mark ${mark}`);
}

/** In a container on the ingress network: published port to target port, and nothing else in or out. */
export function addRedirectRules(ns: NetNs, addr: number, ports: readonly PortConfig[]): void {
  if (ports.length === 0) return;
  iptablesInit(ns);
  const ip = formatIp4(addr);
  for (const { protocol, publishedPort, targetPort } of ports) {
    iptAppend(
      ns,
      "nat",
      "PREROUTING",
      `-d ${ip} -p ${protocol} --dport ${publishedPort} -j REDIRECT --to-port ${targetPort}`,
    );
    iptInsert(
      ns,
      "filter",
      "INPUT",
      `-d ${ip} -p ${protocol} --dport ${targetPort} -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT`,
    );
    iptInsert(
      ns,
      "filter",
      "OUTPUT",
      `-s ${ip} -p ${protocol} --sport ${targetPort} -m conntrack --ctstate ESTABLISHED -j ACCEPT`,
    );
  }
  for (const protocol of ["sctp", "udp", "tcp"]) {
    iptAppend(ns, "filter", "INPUT", `-d ${ip} -p ${protocol} -j DROP`);
    iptAppend(ns, "filter", "OUTPUT", `-s ${ip} -p ${protocol} -j DROP`);
  }
}

/**
 * Docker's own rules in the host namespace (libnetwork iptables/iptables.go, drivers/bridge/setup_ip_tables.go,
 * firewall_linux.go, service_linux.go programIngress), made by the same steps in the same order, so that they stand in
 * the same places.
 */
import type { NetNs } from "../../net/core/net-ns.ts";
import {
  iptAppend,
  iptChains,
  iptDelete,
  iptHas,
  iptInsert,
  iptNewChain,
  iptPolicy,
  iptTableNames,
} from "../../net/ctl/iptables.ts";
import { formatCidr, formatIp4 } from "../../wire/address.ts";
import type { PortConfig } from "../manager/objects.ts";

type Table = "nat" | "filter" | "mangle";

const DOCKER = "DOCKER";
const INGRESS = "DOCKER-INGRESS";
const ISOLATION_1 = "DOCKER-ISOLATION-STAGE-1";
const ISOLATION_2 = "DOCKER-ISOLATION-STAGE-2";
const USER = "DOCKER-USER";

/** The first thing that every iptables process of Docker does in a namespace: `iptables -L -n` makes the filter table. */
export function iptablesInit(ns: NetNs): void {
  iptChains(ns, "filter");
}

/** True when the chain exists. */
export function chainExists(ns: NetNs, table: Table, name: string): boolean {
  return iptTableNames(ns).includes(table) && iptChains(ns, table).some((chain) => chain.name === name);
}

/** Inserts unless the rule is there (ProgramRule with Insert). */
function insertOnce(ns: NetNs, table: Table, chain: string, rule: string): void {
  if (!iptHas(ns, table, chain, rule)) iptInsert(ns, table, chain, rule);
}

function appendOnce(ns: NetNs, table: Table, chain: string, rule: string): void {
  if (!iptHas(ns, table, chain, rule)) iptAppend(ns, table, chain, rule);
}

function deleteIfThere(ns: NetNs, table: Table, chain: string, rule: string): void {
  if (iptHas(ns, table, chain, rule)) iptDelete(ns, table, chain, rule);
}

function ensureChain(ns: NetNs, table: Table, name: string): void {
  if (!chainExists(ns, table, name)) iptNewChain(ns, table, name);
}

/** Puts the jump to `chain` at the top of `from` (EnsureJumpRule). */
function ensureJumpRule(ns: NetNs, from: string, chain: string): void {
  deleteIfThere(ns, "filter", from, `-j ${chain}`);
  iptInsert(ns, "filter", from, `-j ${chain}`);
}

/** Chains of the bridge driver, at daemon start; FORWARD drops what nobody accepts. */
export function setupChains(ns: NetNs): void {
  iptablesInit(ns);
  ensureChain(ns, "nat", DOCKER);
  ensureChain(ns, "filter", DOCKER);
  ensureChain(ns, "filter", ISOLATION_1);
  ensureChain(ns, "filter", ISOLATION_2);
  appendOnce(ns, "filter", ISOLATION_1, "-j RETURN");
  appendOnce(ns, "filter", ISOLATION_2, "-j RETURN");
  iptPolicy(ns, "filter", "FORWARD", "DROP");
}

/** DOCKER-USER first, DOCKER-INGRESS second: restored after every change (arrangeUserFilterRule). */
export function arrangeUserFilterRule(ns: NetNs): void {
  if (chainExists(ns, "filter", INGRESS)) ensureJumpRule(ns, "FORWARD", INGRESS);
  ensureChain(ns, "filter", USER);
  appendOnce(ns, "filter", USER, "-j RETURN");
  ensureJumpRule(ns, "FORWARD", USER);
}

export interface BridgeRules {
  readonly bridge: string;
  /** Network address of the bridge. */
  readonly subnet: number;
  readonly prefixLen: number;
  /** Containers of the bridge may talk to one another. */
  readonly icc: boolean;
  readonly masquerade: boolean;
}

/** Rules of one bridge network (setupIPTables). */
export function setupBridgeRules(ns: NetNs, rules: BridgeRules): void {
  const { bridge, icc } = rules;
  const subnet = formatCidr(rules.subnet, rules.prefixLen);
  if (rules.masquerade) {
    insertOnce(ns, "nat", "POSTROUTING", `-s ${subnet} ! -o ${bridge} -j MASQUERADE`);
    insertOnce(ns, "nat", DOCKER, `-i ${bridge} -j RETURN`);
  }
  if (icc) insertOnce(ns, "filter", "FORWARD", `-i ${bridge} -o ${bridge} -j ACCEPT`);
  else appendOnce(ns, "filter", "FORWARD", `-i ${bridge} -o ${bridge} -j DROP`);
  insertOnce(ns, "filter", "FORWARD", `-i ${bridge} ! -o ${bridge} -j ACCEPT`);
  appendOnce(ns, "nat", "PREROUTING", `-m addrtype --dst-type LOCAL -j ${DOCKER}`);
  appendOnce(ns, "nat", "OUTPUT", `! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j ${DOCKER}`);
  insertOnce(ns, "filter", "FORWARD", `-o ${bridge} -j ${DOCKER}`);
  insertOnce(ns, "filter", "FORWARD", `-o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`);
  ensureJumpRule(ns, "FORWARD", ISOLATION_1);
  insertOnce(ns, "filter", ISOLATION_1, `-i ${bridge} ! -o ${bridge} -j ${ISOLATION_2}`);
  insertOnce(ns, "filter", ISOLATION_2, `-o ${bridge} -j DROP`);
  arrangeUserFilterRule(ns);
}

/** Takes the rules of a bridge network away again. */
export function removeBridgeRules(ns: NetNs, rules: BridgeRules): void {
  const { bridge, icc } = rules;
  const subnet = formatCidr(rules.subnet, rules.prefixLen);
  deleteIfThere(ns, "nat", "POSTROUTING", `-s ${subnet} ! -o ${bridge} -j MASQUERADE`);
  deleteIfThere(ns, "nat", DOCKER, `-i ${bridge} -j RETURN`);
  deleteIfThere(ns, "filter", "FORWARD", `-i ${bridge} -o ${bridge} -j ${icc ? "ACCEPT" : "DROP"}`);
  deleteIfThere(ns, "filter", "FORWARD", `-i ${bridge} ! -o ${bridge} -j ACCEPT`);
  deleteIfThere(ns, "filter", "FORWARD", `-o ${bridge} -j ${DOCKER}`);
  deleteIfThere(ns, "filter", "FORWARD", `-o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`);
  deleteIfThere(ns, "filter", ISOLATION_1, `-i ${bridge} ! -o ${bridge} -j ${ISOLATION_2}`);
  deleteIfThere(ns, "filter", ISOLATION_2, `-o ${bridge} -j DROP`);
}

/** A port of a container published on the host (iptables.Forward); `add` false takes it away. */
export function programPortMapping(
  ns: NetNs,
  bridge: string,
  port: PortConfig,
  containerIp: number,
  add: boolean,
): void {
  const { protocol, publishedPort, targetPort, hostIp = 0 } = port;
  const ip = formatIp4(containerIp);
  const to = hostIp === 0 ? "" : `-d ${formatIp4(hostIp)} `;
  const change = add ? iptAppend : iptDelete;
  change(
    ns,
    "nat",
    DOCKER,
    `${to}! -i ${bridge} -p ${protocol} --dport ${publishedPort} -j DNAT --to-destination ${ip}:${targetPort}`,
  );
  change(
    ns,
    "filter",
    DOCKER,
    `-d ${ip} ! -i ${bridge} -o ${bridge} -p ${protocol} --dport ${targetPort} -j ACCEPT`,
  );
  change(ns, "nat", "POSTROUTING", `-p ${protocol} -s ${ip} -d ${ip} --dport ${targetPort} -j MASQUERADE`);
}

/** Chains and jumps of the routing mesh, when the first port is published on this node. */
export function setupIngressChains(ns: NetNs, bridge: string): void {
  ensureChain(ns, "nat", INGRESS);
  ensureChain(ns, "filter", INGRESS);
  appendOnce(ns, "nat", INGRESS, "-j RETURN");
  appendOnce(ns, "filter", INGRESS, "-j RETURN");
  for (const chain of ["OUTPUT", "PREROUTING"])
    insertOnce(ns, "nat", chain, `-m addrtype --dst-type LOCAL -j ${INGRESS}`);
  if (!iptHas(ns, "filter", "FORWARD", `-j ${INGRESS}`)) {
    iptInsert(ns, "filter", "FORWARD", `-j ${INGRESS}`);
    arrangeUserFilterRule(ns);
  }
  ns.sysctl.set(`net.ipv4.conf.${bridge}.route_localnet`, "1");
  insertOnce(ns, "nat", "POSTROUTING", `-m addrtype --src-type LOCAL -o ${bridge} -j MASQUERADE`);
}

/** One published port of the routing mesh: towards `gateway`, the ingress sandbox on docker_gwbridge. */
export function programIngressPort(ns: NetNs, gateway: number, port: PortConfig, add: boolean): void {
  const { protocol, publishedPort } = port;
  const change = add ? iptInsert : iptDelete;
  const to = `${formatIp4(gateway)}:${publishedPort}`;
  change(ns, "nat", INGRESS, `-p ${protocol} --dport ${publishedPort} -j DNAT --to-destination ${to}`);
  change(
    ns,
    "filter",
    INGRESS,
    `-p ${protocol} -m state --state RELATED,ESTABLISHED -m ${protocol} --sport ${publishedPort} -j ACCEPT`,
  );
  change(ns, "filter", INGRESS, `-p ${protocol} --dport ${publishedPort} -j ACCEPT`);
}

/**
 * Encrypted overlays: mark what is to be encrypted, refuse what came in the clear (overlay/encryption.go). What is there
 * already, or gone already, stays so; to look makes the tables.
 */
export function programEncryption(ns: NetNs, vni: number, port: number, add: boolean): void {
  const match = `-p udp --dport ${port} -m u32 --u32 0>>22&0x3C@12&0xFFFFFF00=${vni * 256}`;
  const append = add ? appendOnce : deleteIfThere;
  const insert = add ? insertOnce : deleteIfThere;
  append(ns, "mangle", "OUTPUT", `${match} -j MARK --set-mark 13681891`);
  insert(ns, "filter", "INPUT", `-m policy --dir in --pol none ${match} -j DROP`);
  append(ns, "filter", "INPUT", `-m policy --dir in --pol ipsec ${match} -j ACCEPT`);
}

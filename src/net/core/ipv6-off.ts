/**
 * The parameters of net.ipv6 on a machine whose IPv6 is off (disable_ipv6 = 1 everywhere): they exist and keep what is
 * written, and nothing looks at them (Documentation/networking/ip-sysctl.rst). `sysctl -a` does not list them.
 */
import { SysError } from "../../util/errors.ts";
import type { NetNs } from "./net-ns.ts";
import type { SysctlProvider } from "./sysctl.ts";

const PREFIX = "net.ipv6.";
const CONF = /^conf\.(.+)\.([a-z0-9_]+)$/;

/** Of every device, `all` and `default`, with the values at start. */
const DEVCONF: Record<string, string> = {
  accept_dad: "1",
  accept_ra: "1",
  accept_redirects: "1",
  accept_source_route: "0",
  accept_untracked_na: "0",
  addr_gen_mode: "0",
  autoconf: "1",
  dad_transmits: "1",
  disable_ipv6: "1",
  disable_policy: "0",
  drop_unsolicited_na: "0",
  forwarding: "0",
  hop_limit: "64",
  keep_addr_on_down: "0",
  mtu: "1280",
  ndisc_evict_nocarrier: "1",
  ndisc_notify: "0",
  proxy_ndp: "0",
  router_solicitations: "-1",
  use_tempaddr: "0",
};
const OTHERS: Record<string, string> = {
  bindv6only: "0",
  "icmp.ratelimit": "1000",
  ip_nonlocal_bind: "0",
  "route.mtu_expires": "600",
  "route.min_adv_mss": "1220",
};

export class Ipv6OffSysctls implements SysctlProvider {
  private readonly ns: NetNs;
  private readonly written = new Map<string, string>();

  constructor(ns: NetNs) {
    this.ns = ns;
  }

  names(): string[] {
    return [];
  }

  get(name: string): string | undefined {
    const start = this.atStart(name);
    return start === undefined ? undefined : (this.written.get(name) ?? start);
  }

  /** EINVAL for what is no number, EOPNOTSUPP for switching IPv6 on. */
  set(name: string, value: string): boolean {
    if (this.atStart(name) === undefined) return false;
    const text = value.trim();
    if (!/^-?\d+$/.test(text)) throw new SysError("EINVAL", `${name} = ${value}`);
    if (name.endsWith(".disable_ipv6") && text === "0")
      throw new SysError("EOPNOTSUPP", `${name} = ${value}`);
    this.written.set(name, text);
    return true;
  }

  /** The value of a parameter that nobody wrote; undefined when there is none of that name. */
  private atStart(name: string): string | undefined {
    if (!name.startsWith(PREFIX)) return undefined;
    const rest = name.slice(PREFIX.length);
    const conf = CONF.exec(rest);
    if (conf === null || conf[1] === "") return OTHERS[rest];
    const device = conf[1] === "all" || conf[1] === "default" || this.ns.device(conf[1]) !== undefined;
    return device ? DEVCONF[conf[2]] : undefined;
  }
}

/** The words of the conntrack match; the same for reading back and, without the dashes, for people. */
import type { ConntrackMatch } from "../rule-spec.ts";
import {
  CT_ADDR_OPTIONS,
  CT_PORT_OPTIONS,
  CT_STATE_NAMES,
  CT_STATUS_NAMES,
  XT_CONNTRACK_DIRECTION,
  XT_CONNTRACK_EXPIRES,
  XT_CONNTRACK_PROTO,
  XT_CONNTRACK_STATE,
  XT_CONNTRACK_STATUS,
} from "./ct-matches.ts";
import { bitNames } from "./extension.ts";

/** `prefix` stands before each option's name: `--`, or nothing; `host` writes an address with its mask. */
export function saveConntrack(
  match: ConntrackMatch,
  prefix: string,
  host: (addr: number, mask: number) => string,
): string {
  const option = (bit: number, name: string, value: () => string): string =>
    (match.flags & bit) === 0 ? "" : `${(match.invert & bit) !== 0 ? " !" : ""} ${prefix}${name} ${value()}`;
  const range = (pair: readonly [number, number]): string =>
    pair[0] === pair[1] ? String(pair[0]) : `${pair[0]}:${pair[1]}`;
  const direction = (match.invert & XT_CONNTRACK_DIRECTION) !== 0 ? "REPLY" : "ORIGINAL";
  return [
    option(XT_CONNTRACK_STATE, "ctstate", () => bitNames(match.states, CT_STATE_NAMES)),
    option(XT_CONNTRACK_PROTO, "ctproto", () => String(match.proto)),
    ...CT_ADDR_OPTIONS.map(([name, bit], i) => option(bit, name, () => host(...match.addrs[i]))),
    ...CT_PORT_OPTIONS.map(([name, bit], i) => option(bit, name, () => range(match.ports[i]))),
    option(XT_CONNTRACK_STATUS, "ctstatus", () =>
      match.status === 0 ? "NONE" : bitNames(match.status, CT_STATUS_NAMES),
    ),
    option(XT_CONNTRACK_EXPIRES, "ctexpire", () => range(match.expires)),
    (match.flags & XT_CONNTRACK_DIRECTION) === 0 ? "" : ` ${prefix}ctdir ${direction}`,
  ].join("");
}

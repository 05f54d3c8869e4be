/** The words of a target. */
import { formatIp4 } from "../../../wire/address.ts";
import {
  NF_NAT_RANGE_MAP_IPS,
  NF_NAT_RANGE_PERSISTENT,
  NF_NAT_RANGE_PROTO_OFFSET,
  NF_NAT_RANGE_PROTO_RANDOM,
  NF_NAT_RANGE_PROTO_RANDOM_FULLY,
  NF_NAT_RANGE_PROTO_SPECIFIED,
} from "../nat/nat-range.ts";
import type { NatTarget, TargetSpec } from "../rule-spec.ts";
import { zoneWords } from "./ct-target.ts";
import { hex, maskSuffix, quoteWord } from "./extension.ts";
import { LOG_FLAGS } from "./targets.ts";

/** ` -j NAME ...`, ` -g NAME`. */
export function saveTarget(target: TargetSpec): string {
  if (target.name === "chain") return ` -${target.goto ? "g" : "j"} ${target.chain}`;
  return ` -j ${target.name}${saveOptions(target)}`;
}

function saveOptions(target: Exclude<TargetSpec, { name: "chain" }>): string {
  switch (target.name) {
    case "REJECT":
      return ` --reject-with ${target.with}`;
    case "LOG": {
      const flags = LOG_FLAGS.filter(([, bit]) => (target.flags & bit) !== 0).map(([name]) => ` --${name}`);
      const prefix = target.prefix === "" ? "" : ` --log-prefix ${quoteWord(target.prefix)}`;
      return prefix + (target.level === 4 ? "" : ` --log-level ${target.level}`) + flags.join("");
    }
    case "MARK":
      return ` --set-xmark ${hex(target.mark)}/${hex(target.mask)}`;
    case "CONNMARK":
      return target.mode === "set"
        ? ` --set-xmark ${hex(target.mark)}/${hex(target.ctMask)}`
        : ` --${target.mode}-mark --nfmask ${hex(target.nfMask)} --ctmask ${hex(target.ctMask)}`;
    case "CT": {
      const zone = zoneWords(target);
      return (target.notrack ? " --notrack" : "") + (zone === "" ? "" : ` --${zone}`);
    }
    case "TCPMSS":
      return target.mss === 0xffff ? " --clamp-mss-to-pmtu" : ` --set-mss ${target.mss}`;
    case "TTL":
      return ` --ttl-${target.mode} ${target.ttl}`;
    case "DNAT":
    case "SNAT":
    case "MASQUERADE":
    case "REDIRECT":
    case "NETMAP":
      return saveNat(target);
    default:
      return "";
  }
}

/** `80`, `80-90`, `80-90/70`; "" without ports. */
export function natPorts(target: NatTarget): string {
  if ((target.flags & NF_NAT_RANGE_PROTO_SPECIFIED) === 0) return "";
  const high = target.maxPort === target.minPort ? "" : `-${target.maxPort}`;
  const base = (target.flags & NF_NAT_RANGE_PROTO_OFFSET) === 0 ? "" : `/${target.basePort}`;
  return `${target.minPort}${high}${base}`;
}

/** `1.2.3.4-1.2.3.9:80-90`. */
export function natAddress(target: NatTarget): string {
  const { minAddr, maxAddr } = target;
  if (target.name === "NETMAP") return formatIp4(minAddr) + maskSuffix(~(minAddr ^ maxAddr), false);
  const high = maxAddr === minAddr ? "" : `-${formatIp4(maxAddr)}`;
  const addr = (target.flags & NF_NAT_RANGE_MAP_IPS) === 0 ? "" : formatIp4(minAddr) + high;
  const ports = natPorts(target);
  return ports === "" ? addr : `${addr}:${ports}`;
}

/** Names of the flags, each behind `prefix`. */
export function natFlags(target: NatTarget, prefix: string): string {
  return [
    (target.flags & NF_NAT_RANGE_PROTO_RANDOM) !== 0 ? `${prefix}random` : "",
    (target.flags & NF_NAT_RANGE_PROTO_RANDOM_FULLY) !== 0 ? `${prefix}random-fully` : "",
    (target.flags & NF_NAT_RANGE_PERSISTENT) !== 0 ? `${prefix}persistent` : "",
  ].join("");
}

function saveNat(target: NatTarget): string {
  const flags = natFlags(target, " --");
  if (target.name === "NETMAP") return ` --to ${natAddress(target)}`;
  if (target.name === "DNAT") return ` --to-destination ${natAddress(target)}${flags}`;
  if (target.name === "SNAT") return ` --to-source ${natAddress(target)}${flags}`;
  const ports = natPorts(target);
  return `${ports === "" ? "" : ` --to-ports ${ports}`}${flags}`;
}

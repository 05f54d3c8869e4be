/** DNAT, SNAT, MASQUERADE, REDIRECT, NETMAP (libxt_NAT.c, libipt_NETMAP.c). */
import { parseIp4 } from "../../../wire/address.ts";
import {
  NF_NAT_RANGE_MAP_IPS,
  NF_NAT_RANGE_PERSISTENT,
  NF_NAT_RANGE_PROTO_OFFSET,
  NF_NAT_RANGE_PROTO_RANDOM,
  NF_NAT_RANGE_PROTO_RANDOM_FULLY,
  NF_NAT_RANGE_PROTO_SPECIFIED,
} from "../nat/nat-range.ts";
import type { NatTarget } from "../rule-spec.ts";
import { type Extension, type Given, hostMaskOption, problem } from "./extension.ts";
import { leadingNumber, parseNumber } from "./names.ts";
import { servicePort } from "./services.ts";

const PORT_PROTOS: ReadonlySet<number> = new Set([1, 6, 17, 33, 132]);

function notAPort(text: string): never {
  return problem(`Port \`${text}' not valid`);
}

/** `PORT`, `LOW-HIGH`, `LOW-HIGH/BASE`; a service may stand for the first and the last, not for the end of a range. */
function withPorts(spec: NatTarget, text: string, given: Given): NatTarget {
  if (!PORT_PROTOS.has(given.proto)) problem("Need TCP, UDP, SCTP or DCCP with port specification");
  const flags = spec.flags | NF_NAT_RANGE_PROTO_SPECIFIED;
  const low = leadingNumber(text);
  if (low === null || low.value > 0xffff || low.rest === "") {
    const port = (low === null || low.value > 0xffff ? servicePort(text, "") : low.value) ?? notAPort(text);
    return { ...spec, flags, minPort: port, maxPort: port };
  }
  if (low.rest.startsWith(":")) problem("Invalid port:port syntax - use dash");
  if (!low.rest.startsWith("-")) problem(`Garbage after port value: \`${low.rest}'`);
  const highText = low.rest.slice(1);
  const high = leadingNumber(highText);
  if (high === null || high.value > 0xffff) notAPort(highText);
  if (high.value < low.value) problem(`Port range \`${highText}' funky`);
  const ports = { ...spec, flags, minPort: low.value, maxPort: high.value };
  if (high.rest === "") return ports;
  if (!high.rest.startsWith("/")) problem(`Garbage after port range: \`${high.rest}'`);
  return { ...ports, flags: flags | NF_NAT_RANGE_PROTO_OFFSET, basePort: basePort(high.rest.slice(1)) };
}

function basePort(text: string): number {
  const number = parseNumber(text);
  return number !== null && number >= 1 && number <= 0xffff
    ? number
    : (servicePort(text, "") ?? notAPort(text));
}

function natAddress(text: string): number {
  const addr = parseIp4(text);
  if (addr === null) problem(`Bad IP address "${text}"`);
  return addr;
}

/** `ADDR[-ADDR][:PORTS]`; the address may be missing. With more than one colon it is no port but a bad address. */
function withAddress(spec: NatTarget, text: string, given: Given): NatTarget {
  if (text.includes("[")) problem("Invalid address format");
  const first = text.indexOf(":");
  const colon = text.includes(":", first + 1) ? -1 : first;
  const addrText = colon < 0 ? text : text.slice(0, colon);
  const withPort = colon < 0 ? spec : withPorts(spec, text.slice(colon + 1), given);
  if (addrText === "" && colon >= 0) return withPort;
  const dash = addrText.indexOf("-");
  const minAddr = natAddress(dash < 0 ? addrText : addrText.slice(0, dash));
  const maxAddr = dash < 0 ? minAddr : natAddress(addrText.slice(dash + 1));
  return { ...withPort, flags: withPort.flags | NF_NAT_RANGE_MAP_IPS, minAddr, maxAddr };
}

const FLAG_OPTIONS: Readonly<Record<string, number>> = {
  random: NF_NAT_RANGE_PROTO_RANDOM,
  "random-fully": NF_NAT_RANGE_PROTO_RANDOM_FULLY,
  persistent: NF_NAT_RANGE_PERSISTENT,
};

function emptyNat(name: NatTarget["name"]): NatTarget {
  return { name, flags: 0, minAddr: 0, maxAddr: 0, minPort: 0, maxPort: 0, basePort: 0 };
}

function natExtension(
  name: NatTarget["name"],
  main: string,
  flagNames: readonly string[],
): Extension<NatTarget> {
  const takesAddress = name === "DNAT" || name === "SNAT";
  return {
    name,
    options: [
      { name: main, arg: true, mandatory: takesAddress },
      ...flagNames.map((flag) => ({ name: flag, arg: false })),
    ],
    open: () => {
      let spec = emptyNat(name);
      return {
        take: (given) => {
          const flag = FLAG_OPTIONS[given.name];
          if (flag !== undefined) spec = { ...spec, flags: spec.flags | flag };
          else if (takesAddress) spec = withAddress(spec, given.value, given);
          else spec = withPorts(spec, given.value, given);
        },
        finish: () =>
          name !== "DNAT" && (spec.flags & NF_NAT_RANGE_PROTO_OFFSET) !== 0
            ? problem("Shifted portmap ranges not supported with this kernel")
            : spec,
      };
    },
  };
}

const NETMAP: Extension<NatTarget> = {
  name: "NETMAP",
  options: [{ name: "to", arg: true, mandatory: true }],
  open: () => {
    let spec = emptyNat("NETMAP");
    return {
      take: (given) => {
        const [addr, mask] = hostMaskOption("NETMAP", given);
        const minAddr = addr & mask;
        spec = { ...spec, flags: NF_NAT_RANGE_MAP_IPS, minAddr, maxAddr: minAddr | ~mask };
      },
      finish: () => spec,
    };
  },
};

export const NAT_TARGETS: readonly Extension<NatTarget>[] = [
  natExtension("DNAT", "to-destination", ["random", "persistent"]),
  natExtension("SNAT", "to-source", ["random", "random-fully", "persistent"]),
  natExtension("MASQUERADE", "to-ports", ["random", "random-fully"]),
  natExtension("REDIRECT", "to-ports", ["random"]),
  NETMAP,
];

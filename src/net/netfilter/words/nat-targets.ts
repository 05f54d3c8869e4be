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
import { type Extension, type Given, hostMask, problem } from "./extension.ts";
import { parseNumber, servicePort } from "./names.ts";

const PORT_PROTOS: ReadonlySet<number> = new Set([6, 17, 33, 132]);

function natPort(text: string): number {
  const number = parseNumber(text);
  const port = number !== null && number >= 1 && number <= 0xffff ? number : servicePort(text, "");
  if (port === null) problem(`Port \`${text}' not valid`);
  return port;
}

/** `PORT`, `LOW-HIGH`, `LOW-HIGH/BASE`. */
function withPorts(spec: NatTarget, text: string, given: Given): NatTarget {
  if (given.protoInverted || !PORT_PROTOS.has(given.proto))
    problem("Need TCP, UDP, SCTP or DCCP with port specification");
  if (text.includes(":")) problem("Invalid port:port syntax - use dash");
  const dash = text.search(/(?<=^[0-9]+)-/);
  const flags = spec.flags | NF_NAT_RANGE_PROTO_SPECIFIED;
  if (dash < 0) {
    const port = natPort(text);
    return { ...spec, flags, minPort: port, maxPort: port };
  }
  const minPort = natPort(text.slice(0, dash));
  const [highText, baseText] = text.slice(dash + 1).split("/");
  const maxPort = highText === "0" ? 0 : natPort(highText);
  if (maxPort < minPort) problem(`Port range \`${highText}' funky`);
  if (baseText === undefined) return { ...spec, flags, minPort, maxPort };
  if (spec.name !== "DNAT") problem(`Garbage after port value: \`/${baseText}'`);
  return { ...spec, flags: flags | NF_NAT_RANGE_PROTO_OFFSET, minPort, maxPort, basePort: natPort(baseText) };
}

function natAddress(text: string): number {
  const addr = parseIp4(text);
  if (addr === null) problem(`Bad IP address "${text}"`);
  return addr;
}

/** `ADDR[-ADDR][:PORTS]`; the address may be missing. */
function withAddress(spec: NatTarget, text: string, given: Given): NatTarget {
  const colon = text.indexOf(":");
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
        finish: () => spec,
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
      take: ({ value }) => {
        const [addr, mask] = hostMask(value);
        spec = { ...spec, flags: NF_NAT_RANGE_MAP_IPS, minAddr: addr, maxAddr: addr | ~mask };
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

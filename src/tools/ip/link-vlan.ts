/** Settings of VLAN devices, read and shown (iproute2 6.1 ip/iplink_vlan.c). */
import type { VlanParms, vlanDevOf } from "../../net/drivers/vlan-dev.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { ETH_P_8021AD, ETH_P_8021Q } from "../../wire/ethernet.ts";
import type { Field } from "./link-detail.ts";
import { invarg } from "./words.ts";

const PROTOCOLS: Readonly<Record<string, number>> = { "802.1q": ETH_P_8021Q, "802.1ad": ETH_P_8021AD };
/** Flags and what they are at first. */
const FLAGS: Readonly<Record<string, string>> = {
  reorder_hdr: "on",
  gvrp: "off",
  mvrp: "off",
  bridge_binding: "off",
};

/** The words of a command, one after the other. */
interface WordSource {
  readonly done: boolean;
  next(): string;
}

/** `id N [protocol P] [FLAG on|off]...` */
export function vlanWords(words: WordSource): VlanParms {
  const draft: { -readonly [K in keyof VlanParms]: VlanParms[K] } = {};
  while (!words.done) {
    const word = words.next();
    if (word === "id") draft.id = vlanId(words.next());
    else if (word === "protocol") draft.protocol = protocolWord(words.next());
    else if (word === "loose_binding") draft.looseBinding = onOff(word, words.next());
    else if (FLAGS[word] === undefined || words.next() !== FLAGS[word])
      throw new NotModelledError(`ip link add type vlan ${word}`);
  }
  return draft;
}

function vlanId(text: string): number {
  const id = Number(text);
  if (text === "" || !Number.isInteger(id) || id < 0 || id > 0xffff) throw invarg("id is invalid", text);
  return id;
}

function protocolWord(text: string): number {
  const protocol = PROTOCOLS[text.toLowerCase()];
  if (protocol === undefined) throw invarg("protocol is invalid", text);
  return protocol;
}

function onOff(name: string, text: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw new UsageError(`Error: argument of "${name}" must be "on" or "off", not "${text}"\n`, 255);
}

export function vlanFields(vlan: NonNullable<ReturnType<typeof vlanDevOf>>): Field[] {
  const flags = vlan.looseBinding ? ["REORDER_HDR", "LOOSE_BINDING"] : ["REORDER_HDR"];
  return [
    { text: "protocol", json: "protocol", value: vlan.protocol === ETH_P_8021AD ? "802.1ad" : "802.1Q" },
    { text: "id", json: "id", value: vlan.id },
    { text: `<${flags.join(",")}>`, json: "flags", value: flags, show: "" },
  ];
}

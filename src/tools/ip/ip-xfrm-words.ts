/** Words of `ip xfrm` command lines: IDs, selectors, marks, templates (iproute2 6.1 ip/ipxfrm.c). */
import type { NetNs } from "../../net/core/net-ns.ts";
import type { XfrmTmpl } from "../../net/xfrm/xfrm-policy.ts";
import { ANY_SELECTOR, type XfrmMark, type XfrmSelector } from "../../net/xfrm/xfrm-selector.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.ts";
import { UPPER_PROTOCOLS } from "./ip-xfrm-format.ts";
import { invarg, isCommand, numberWord, prefixWord, type Words } from "./words.ts";

/** `src ADDR dst ADDR proto esp spi SPI`, each at most once and none needed; undefined: not said. */
export interface IdWords {
  saddr?: number;
  daddr?: number;
  spi?: number;
}

const ID_WORDS = ["src", "dst", "proto", "spi"];

/** Takes the words of an ID as far as they go. */
export function takeId(words: Words): IdWords {
  const id: IdWords = {};
  while (ID_WORDS.includes(words.peek())) {
    const word = words.next();
    const value = words.next();
    if (word === "src") id.saddr = prefixWord(value).addr;
    else if (word === "dst") id.daddr = prefixWord(value).addr;
    else if (word === "spi") id.spi = numberWord(value, "SPI value is invalid") | 0;
    else takeProto(value);
  }
  return id;
}

export function isId(word: string): boolean {
  return ID_WORDS.includes(word);
}

function takeProto(word: string): void {
  if (["ah", "comp", "route2", "hao", "ipsec-any"].includes(word))
    throw new NotModelledError(`xfrm proto ${word}`);
  if (word !== "esp") throw invarg('"XFRM-PROTO" is invalid', word);
}

/** The value of `mode`. */
export function takeMode(word: string): void {
  if (isCommand(word, "transport")) return;
  if (isCommand(word, "tunnel", "ro", "in_trigger", "beet")) throw new NotModelledError(`xfrm mode ${word}`);
  throw invarg("MODE value is invalid", word);
}

/** The value of `mark`, with its mask. */
export function takeMark(words: Words): XfrmMark {
  const value = numberWord(words.next(), 'Illegal "mark" value') | 0;
  if (words.peek() !== "mask") return { value, mask: -1 };
  words.next();
  return { value, mask: numberWord(words.next(), 'Illegal "mark" mask') | 0 };
}

const SELECTOR_WORDS = ["src", "dst", "dev", "proto", "sport", "dport", "type", "code"];

export function isSelector(word: string): boolean {
  return SELECTOR_WORDS.includes(word);
}

type SelectorDraft = { -readonly [K in keyof XfrmSelector]: XfrmSelector[K] };

/** Takes the words of a selector as far as they go. */
export function takeSelector(words: Words, ns: NetNs): XfrmSelector {
  const sel: SelectorDraft = { ...ANY_SELECTOR };
  let ports = false;
  let types = false;
  while (isSelector(words.peek())) {
    const word = words.next();
    const value = words.next();
    if (word === "src" || word === "dst") takePrefix(sel, word, value);
    else if (word === "dev") sel.ifindex = takeDevice(value, ns);
    else if (word === "proto") sel.proto = value === "any" ? 0 : UPPER_PROTOCOLS.parse(value);
    else {
      const isType = word === "type" || word === "code";
      types ||= isType;
      ports ||= !isType;
      takePort(sel, word === "sport" || word === "type", value, isType);
    }
  }
  checkUpper(sel.proto, ports, types);
  return sel;
}

function takePrefix(sel: SelectorDraft, word: string, value: string): void {
  const { addr, len } = prefixWord(value);
  if (word === "src") [sel.saddr, sel.prefixLenS] = [addr, len];
  else [sel.daddr, sel.prefixLenD] = [addr, len];
}

function takeDevice(name: string, ns: NetNs): number {
  if (name === "none") return 0;
  const dev = ns.device(name);
  if (dev === undefined) throw invarg('"DEV" is invalid', name);
  return dev.ifindex;
}

/** A port of 0 is any port; a type or code of 0 is just that. */
function takePort(sel: SelectorDraft, source: boolean, text: string, isType: boolean): void {
  const port = numberWord(text, isType ? "value is invalid" : '"PORT" is invalid');
  const mask = port !== 0 || isType ? 0xffff : 0;
  if (source) [sel.sport, sel.sportMask] = [port, mask];
  else [sel.dport, sel.dportMask] = [port, mask];
}

function checkUpper(proto: number, ports: boolean, types: boolean): void {
  const name = UPPER_PROTOCOLS.text(proto);
  if (ports && proto !== IPPROTO_TCP && proto !== IPPROTO_UDP && proto !== IPPROTO_SCTP)
    throw new UsageError(`"sport" and "dport" are invalid with proto=${proto === 0 ? "ip" : name}`, 1);
  if (types && proto !== IPPROTO_ICMP)
    throw new UsageError(`"type" and "code" are invalid with proto=${proto === 0 ? "ip" : name}`, 1);
}

/** The words behind `tmpl`. */
export function takeTmpl(words: Words): XfrmTmpl {
  let id: IdWords | null = null;
  let reqid = 0;
  let optional = false;
  while (!words.done) {
    const word = words.peek();
    if (isId(word)) {
      if (id !== null) break;
      id = takeId(words);
      continue;
    }
    if (word !== "mode" && word !== "reqid" && word !== "level") break;
    words.next();
    const value = words.next();
    if (word === "mode") takeMode(value);
    else if (word === "reqid") reqid = numberWord(value, "REQID value is invalid") | 0;
    else if (value === "required" || value === "use") optional = value === "use";
    else throw invarg("LEVEL value is invalid", value);
  }
  return { saddr: id?.saddr ?? 0, daddr: id?.daddr ?? 0, spi: id?.spi ?? 0, reqid, optional };
}

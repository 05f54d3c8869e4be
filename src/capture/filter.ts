/**
 * tcpdump's filter expressions (pcap-filter(7)), compiled to a predicate: protocols, host, net, port, portrange, ether,
 * less, greater, broadcast, multicast, `proto[off:size]` arithmetic, and, or, not, parentheses.
 */
import { maskToPrefix, parseCidr, parseIp4, parseMac, prefixToMask } from "../wire/address.ts";
import { ETH_HLEN, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from "../wire/ethernet.ts";
import { ArithmeticParser, RELATIONS } from "./filter-arith.ts";
import {
  type Direction,
  etherType,
  type FilterFrame,
  hasTransport,
  load,
  matchAddress,
  matchMac,
  matchPort,
} from "./filter-fields.ts";
import { FilterError, type FilterToken, lexFilter } from "./filter-lex.ts";
import { LINKTYPE_RAW } from "./frame.ts";
import type { FramePredicate } from "./recorder.ts";

export { FilterError } from "./filter-lex.ts";

type Test = (frame: FilterFrame) => boolean;

/** What stands before an id: `tcp dst port`. Kept for the next id of a list (`port 80 or 443`). */
interface Qualifiers {
  readonly proto: string;
  readonly direction: Direction;
  readonly type: string;
}

const PORT_NAMES: ReadonlyMap<string, number> = new Map([
  ["ssh", 22],
  ["domain", 53],
  ["http", 80],
  ["https", 443],
  ["http-alt", 8080],
]);

const TRANSPORTS: ReadonlyMap<string, number> = new Map([
  ["icmp", 1],
  ["igmp", 2],
  ["tcp", 6],
  ["udp", 17],
  ["esp", 50],
  ["ah", 51],
  ["icmp6", 58],
  ["sctp", 132],
]);

const ETHER_TYPES: ReadonlyMap<string, number> = new Map([
  ["ip", ETH_P_IP],
  ["arp", ETH_P_ARP],
  ["rarp", 0x8035],
  ["ip6", ETH_P_IPV6],
]);

const TYPES: ReadonlySet<string> = new Set(["host", "net", "port", "portrange", "proto"]);
const NO_QUALIFIERS: Qualifiers = { proto: "", direction: "either", type: "host" };

class FilterParser extends ArithmeticParser {
  private last: Qualifiers = NO_QUALIFIERS;

  parse(): Test {
    const test = this.expression();
    if (this.peek().kind !== "end") this.syntaxError();
    return test;
  }

  /** `and` and `or` bind alike, from left to right, as in libpcap's grammar. */
  private expression(): Test {
    let left = this.term();
    for (;;) {
      const first = left;
      if (this.accept("and") || this.accept("&&")) {
        const right = this.term();
        left = (f) => first(f) && right(f);
      } else if (this.accept("or") || this.accept("||")) {
        const right = this.term();
        left = (f) => first(f) || right(f);
      } else return left;
    }
  }

  private term(): Test {
    if (this.accept("not") || this.accept("!")) {
      const inner = this.term();
      return (f) => !inner(f);
    }
    const start = this.at;
    const relation = this.relation();
    if (relation !== null) return relation;
    this.at = start;
    if (!this.accept("(")) return this.primitive();
    const inner = this.expression();
    if (!this.accept(")")) this.syntaxError();
    return inner;
  }

  /** `arith relop arith`, null when what stands here is not that. */
  private relation(): Test | null {
    const left = this.sum();
    if (left === null) return null;
    const operator = RELATIONS.get(this.peek().text);
    if (operator === undefined) return null;
    this.at++;
    const right = this.sum();
    if (right === null) this.syntaxError();
    return (f) => operator(left(f), right(f));
  }

  private primitive(): Test {
    const token = this.peek();
    if (token.kind !== "word") this.syntaxError();
    const word = token.text;
    if (word === "less" || word === "greater") {
      this.at++;
      const limit = this.number();
      return word === "less" ? (f) => f.lenBytes <= limit : (f) => f.lenBytes >= limit;
    }
    const proto = this.protoWord();
    if (proto !== "" && this.accept("broadcast")) return (f) => matchMac(f, 0xffff, -1, "dst");
    if (proto !== "" && this.accept("multicast")) return multicast(proto);
    const direction = this.direction();
    const type = TYPES.has(this.peek().text) ? this.next().text : "";
    if (proto === "" && direction === null && type === "") {
      if (this.peek().text === "broadcast" || this.peek().text === "multicast") {
        return this.next().text === "broadcast" ? (f) => matchMac(f, 0xffff, -1, "dst") : multicast("ether");
      }
      return this.bareId();
    }
    if (proto !== "" && direction === null && type === "" && !this.startsId()) return this.protocol(proto);
    this.last = { proto, direction: direction ?? "either", type: type === "" ? "host" : type };
    return this.id(this.last, this.next());
  }

  /** An id alone takes the qualifiers of the one before (`port 80 or 443`). */
  private bareId(): Test {
    const token = this.next();
    const { kind, text } = this.peek();
    if (token.text === "len" || (kind === "word" && text !== "and" && text !== "or")) this.syntaxError();
    return this.id(this.last, token);
  }

  private startsId(): boolean {
    const token = this.peek();
    return token.kind === "word" && !["and", "or", "not"].includes(token.text);
  }

  private protoWord(): string {
    const word = this.peek().text;
    const known = word === "ether" || word === "link" || TRANSPORTS.has(word) || ETHER_TYPES.has(word);
    return known ? this.next().text : "";
  }

  private direction(): Direction | null {
    const word = this.peek().text;
    if (word !== "src" && word !== "dst") return null;
    this.at++;
    const other = word === "src" ? "dst" : "src";
    const joint = this.peek().text;
    if ((joint === "or" || joint === "and") && this.peek(1).text === other) {
      this.at += 2;
      return joint === "or" ? "either" : "both";
    }
    return word;
  }

  private protocol(proto: string): Test {
    const type = ETHER_TYPES.get(proto);
    if (type !== undefined) return (f) => etherType(f) === type;
    const number = TRANSPORTS.get(proto);
    if (number === undefined) this.syntaxError();
    const family = proto === "icmp" || proto === "igmp" ? ETH_P_IP : proto === "icmp6" ? ETH_P_IPV6 : 0;
    return (f) => hasTransport(f, number, family);
  }

  private id(q: Qualifiers, token: FilterToken): Test {
    if (token.kind !== "word" || token.text === "and" || token.text === "or") this.syntaxError(token);
    if (q.type === "port" || q.type === "portrange") return this.portId(q, token);
    if (q.type === "proto") return this.protoId(q, token);
    if (q.proto === "ether" || q.proto === "link") return this.macId(q, token);
    const type = ETHER_TYPES.get(q.proto) ?? 0;
    if (TRANSPORTS.has(q.proto)) {
      throw new FilterError(`'${q.proto}' modifier applied to ${q.type}`, token.column);
    }
    return q.type === "net" ? this.netId(q, type, token) : this.hostId(q, type, token);
  }

  private hostId(q: Qualifiers, type: number, token: FilterToken): Test {
    const addr = parseIp4(token.text);
    if (addr === null) {
      const numeric = /^[0-9.]+$/.test(token.text);
      const what = numeric ? `invalid IPv4 address '${token.text}'` : `unknown host '${token.text}'`;
      throw new FilterError(what, token.column);
    }
    return (f) => matchAddress(f, type, addr, -1, q.direction);
  }

  /** `10.0.0.0/24`, `10.0.0.0 mask 255.255.255.0`, `10.0` (the parts that are there). */
  private netId(q: Qualifiers, type: number, token: FilterToken): Test {
    let mask: number;
    let addr: number | null;
    if (this.accept("/")) {
      const prefixLen = this.number();
      addr = parseCidr(`${token.text}/${prefixLen}`)?.addr ?? null;
      mask = addr === null ? 0 : prefixToMask(prefixLen);
    } else {
      const parts = token.text.split(".");
      addr = parseIp4([...parts, "0", "0", "0"].slice(0, 4).join("."));
      mask = prefixToMask(Math.min(parts.length, 4) * 8);
      if (this.accept("mask")) mask = parseIp4(this.next().text) ?? 0;
    }
    if (addr === null) throw new FilterError(`invalid IPv4 address '${token.text}'`, token.column);
    if ((addr & ~mask) !== 0) {
      const text = `${token.text}/${maskToPrefix(mask)}`;
      throw new FilterError(`non-network bits set in "${text}"`, token.column);
    }
    const network = addr;
    return (f) => matchAddress(f, type, network, mask, q.direction);
  }

  private portId(q: Qualifiers, token: FilterToken): Test {
    const protocol = TRANSPORTS.get(q.proto) ?? -1;
    const type = ETHER_TYPES.get(q.proto) ?? 0;
    if (protocol >= 0 && protocol !== 6 && protocol !== 17 && protocol !== 132) {
      throw new FilterError("illegal qualifier of 'port'", token.column);
    }
    const [from, to] = q.type === "portrange" ? token.text.split("-") : [token.text];
    const low = portNumber(from, token);
    const high = to === undefined ? low : portNumber(to, token);
    return (f) => matchPort(f, type, protocol, low, high, q.direction);
  }

  private macId(q: Qualifiers, token: FilterToken): Test {
    const mac = parseMac(token.text);
    if (mac === null) throw new FilterError(`unknown ether host '${token.text}'`, token.column);
    return (f) => matchMac(f, mac.hi, mac.lo, q.direction);
  }

  /** `ip proto 17`, `ether proto 0x806`, and by name. */
  private protoId(q: Qualifiers, token: FilterToken): Test {
    if (q.proto === "ether" || q.proto === "link") {
      const type = ETHER_TYPES.get(token.text) ?? Number(token.text);
      if (Number.isNaN(type)) throw new FilterError(`unknown ether proto '${token.text}'`, token.column);
      return (f) => etherType(f) === type;
    }
    const number = TRANSPORTS.get(token.text) ?? Number(token.text);
    if (Number.isNaN(number)) throw new FilterError(`unknown ip proto '${token.text}'`, token.column);
    const family = ETHER_TYPES.get(q.proto) ?? 0;
    return (f) => hasTransport(f, number, family);
  }
}

function portNumber(text: string, token: FilterToken): number {
  const port = PORT_NAMES.get(text) ?? (/^[0-9]+$/.test(text) ? Number(text) : Number.NaN);
  if (Number.isNaN(port)) throw new FilterError(`unknown port '${text}'`, token.column);
  if (port > 65535) throw new FilterError(`illegal port number ${port} > 65535`, token.column);
  return port;
}

function multicast(proto: string): Test {
  if (proto === "ip") {
    return (f) => etherType(f) === ETH_P_IP && load(f, 30, 1) >= 224;
  }
  return (f) => (load(f, 0, 1) & 1) === 1;
}

/** Compiles an expression; "" takes every frame. Throws FilterError with tcpdump's words. */
export function compileFilter(text: string): FramePredicate {
  if (text.trim() === "") return () => true;
  const test = new FilterParser(lexFilter(text)).parse();
  const frame: FilterFrame = {
    view: new DataView(new ArrayBuffer(0)),
    off: 0,
    lenBytes: 0,
    first: 0,
    outside: false,
  };
  return (_bytes, view, off, lenBytes, linkType) => {
    const first = linkType === LINKTYPE_RAW ? ETH_HLEN : 0;
    frame.view = view;
    frame.off = off - first;
    frame.lenBytes = lenBytes + first;
    frame.first = first;
    frame.outside = false;
    return test(frame) && !frame.outside;
  };
}

/** The arithmetic of filter expressions: `tcp[tcpflags] & tcp-syn`, `len - 14`, `ip[2:2]` (pcap-filter(7)). */
import { ETH_HLEN, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from "../wire/ethernet.ts";
import { etherType, type FilterFrame, hasTransport, load, transportOff } from "./filter-fields.ts";
import { FilterError, type FilterToken } from "./filter-lex.ts";

/** A number about a frame, unsigned 32 bits; NaN when the frame has no such thing. */
export type Arith = (frame: FilterFrame) => number;

/** Comparisons; with NaN on either side the answer is no. */
export const RELATIONS: ReadonlyMap<string, (a: number, b: number) => boolean> = new Map([
  ["=", (a, b) => a === b],
  ["==", (a, b) => a === b],
  ["!=", (a, b) => a < b || a > b],
  ["<", (a, b) => a < b],
  [">", (a, b) => a > b],
  ["<=", (a, b) => a <= b],
  [">=", (a, b) => a >= b],
]);

const NAMES: ReadonlyMap<string, number> = new Map([
  ["tcpflags", 13],
  ["tcp-fin", 0x01],
  ["tcp-syn", 0x02],
  ["tcp-rst", 0x04],
  ["tcp-push", 0x08],
  ["tcp-ack", 0x10],
  ["tcp-urg", 0x20],
  ["tcp-ece", 0x40],
  ["tcp-cwr", 0x80],
  ["icmptype", 0],
  ["icmpcode", 1],
  ["icmp-echoreply", 0],
  ["icmp-unreach", 3],
  ["icmp-sourcequench", 4],
  ["icmp-redirect", 5],
  ["icmp-echo", 8],
  ["icmp-timxceed", 11],
  ["icmp-paramprob", 12],
]);

const NETWORKS: ReadonlyMap<string, number> = new Map([
  ["ip", ETH_P_IP],
  ["arp", ETH_P_ARP],
  ["ip6", ETH_P_IPV6],
]);

const TRANSPORTS: ReadonlyMap<string, number> = new Map([
  ["icmp", 1],
  ["tcp", 6],
  ["udp", 17],
]);

type Binary = (a: number, b: number) => number;

/** Operators by how tightly they bind, the loosest first. */
const LEVELS: readonly ReadonlyMap<string, Binary>[] = [
  new Map<string, Binary>([
    ["|", (a, b) => (a | b) >>> 0],
    ["&", (a, b) => (a & b) >>> 0],
    ["^", (a, b) => (a ^ b) >>> 0],
  ]),
  new Map<string, Binary>([
    ["<<", (a, b) => (b > 31 ? 0 : (a << b) >>> 0)],
    [">>", (a, b) => (b > 31 ? 0 : a >>> b)],
  ]),
  new Map<string, Binary>([
    ["+", (a, b) => (a + b) >>> 0],
    ["-", (a, b) => (a - b) >>> 0],
  ]),
  new Map<string, Binary>([
    ["*", (a, b) => Math.imul(a, b) >>> 0],
    ["/", (a, b) => (b === 0 ? Number.NaN : Math.floor(a / b))],
    ["%", (a, b) => (b === 0 ? Number.NaN : a % b)],
  ]),
];

/** Applies an operator, unless one side is not there: bit operations would make a number of NaN. */
function apply(operator: Binary, left: Arith, right: Arith): Arith {
  return (f) => {
    const a = left(f);
    const b = right(f);
    return a >= 0 && b >= 0 ? operator(a, b) : Number.NaN;
  };
}

/** Reads tokens; the base of the parser of whole expressions. */
export class ArithmeticParser {
  protected at = 0;
  private readonly tokens: readonly FilterToken[];

  constructor(tokens: readonly FilterToken[]) {
    this.tokens = tokens;
  }

  protected peek(ahead = 0): FilterToken {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)];
  }

  protected next(): FilterToken {
    const token = this.peek();
    this.at++;
    return token;
  }

  protected accept(text: string): boolean {
    if (this.peek().kind === "end" || this.peek().text !== text) return false;
    this.at++;
    return true;
  }

  protected syntaxError(token = this.peek()): never {
    throw new FilterError("can't parse filter expression: syntax error", token.column);
  }

  protected number(): number {
    const token = this.next();
    if (!/^(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(token.text)) this.syntaxError(token);
    return Number(token.text);
  }

  /** An arithmetic expression, null when none begins here or it does not hold together. */
  protected sum(level = 0): Arith | null {
    if (level === LEVELS.length) return this.factor();
    let left = this.sum(level + 1);
    while (left !== null) {
      const operator = LEVELS[level].get(this.peek().text);
      if (operator === undefined) return left;
      this.at++;
      const right = this.sum(level + 1);
      if (right === null) return null;
      left = apply(operator, left, right);
    }
    return null;
  }

  private factor(): Arith | null {
    const token = this.next();
    if (/^(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(token.text)) {
      const value = Number(token.text);
      return () => value;
    }
    const name = NAMES.get(token.text);
    if (name !== undefined) return () => name;
    if (token.text === "len") return (f) => f.lenBytes;
    if (token.text === "(") {
      const inner = this.sum();
      return inner !== null && this.accept(")") ? inner : null;
    }
    if (token.kind !== "word" || !this.accept("[")) return null;
    return this.access(token);
  }

  /** `tcp[13]`, `ip[2:2]`, behind the bracket. */
  private access(proto: FilterToken): Arith {
    const index = this.sum();
    if (index === null) this.syntaxError();
    let size = 1;
    if (this.accept(":")) {
      size = this.number();
      if (size !== 1 && size !== 2 && size !== 4) {
        throw new FilterError("data size must be 1, 2, or 4", proto.column);
      }
    }
    if (!this.accept("]")) this.syntaxError();
    if (proto.text === "ether" || proto.text === "link") return (f) => load(f, index(f), size);
    const network = NETWORKS.get(proto.text);
    if (network !== undefined) {
      return (f) => (etherType(f) === network ? load(f, ETH_HLEN + index(f), size) : Number.NaN);
    }
    const transport = TRANSPORTS.get(proto.text);
    if (transport === undefined) this.syntaxError(proto);
    return (f) => {
      const at = hasTransport(f, transport, ETH_P_IP) ? transportOff(f) : -1;
      return at < 0 ? Number.NaN : load(f, at + index(f), size);
    };
  }
}

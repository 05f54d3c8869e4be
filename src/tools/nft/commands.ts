/** The command language of nft(8) (src/parser_bison.y): text to changes and lists, each with the places it speaks of. */
import type { Hook } from "../../net/core/hooks.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import type { NftRulePlace, NftTableRef } from "../../net/ctl/nft.ts";
import type { NftSetSpec } from "../../net/netfilter/nft/nft-set.ts";
import { type NftBase, type NftFamily, nftOf } from "../../net/netfilter/nft/nft-table.ts";
import { NotModelledError } from "../../util/errors.ts";
import {
  type Given,
  type NftCommand,
  OBJECTS,
  OTHER_FAMILIES,
  OTHER_OBJECTS,
  OTHER_VERBS,
  PLURALS,
  VERBS,
  type Verb,
  type What,
} from "./command.ts";
import { HOOK_NAMES, PRIORITIES } from "./list.ts";
import { type ReadRule, readRule } from "./rule-words.ts";
import { checkUse, withNatFamily } from "./set-use.ts";
import { type ReadSet, readElements, readSetBlock } from "./set-words.ts";
import { Cursor, NftTextError, span, type Token, tokenize } from "./tokens.ts";

const END: NftRulePlace = { before: false, handle: null, index: null };

export class CommandParser {
  private readonly ns: NetNs;
  private readonly cursor: Cursor;
  private readonly commands: NftCommand[] = [];
  /** The sets that the text made so far. */
  private readonly sets = new Map<string, NftSetSpec>();

  constructor(ns: NetNs, text: string) {
    this.ns = ns;
    this.cursor = new Cursor(tokenize(text));
  }

  parse(): readonly NftCommand[] {
    const { cursor } = this;
    for (cursor.skipLines(); cursor.token.kind !== "end"; cursor.skipLines()) {
      this.command();
      if (!cursor.atEnd) cursor.unexpected("end of file or newline or semicolon");
    }
    return this.commands;
  }

  private command(): void {
    const { cursor } = this;
    const first = cursor.token;
    if (OTHER_VERBS.has(first.text)) throw new NotModelledError(`nft ${first.text}`);
    const isVerb = first.kind === "word" && VERBS.has(first.text);
    if (isVerb) cursor.next();
    const verb = isVerb ? (first.text as Verb) : "add";
    const object = cursor.token;
    if (object.kind === "word" && OTHER_OBJECTS.has(object.text))
      throw new NotModelledError(`nft ${verb} ${object.text}`);
    if (object.kind !== "word" || !OBJECTS.has(object.text)) this.noObject(verb, isVerb);
    cursor.next();
    const what = object.text as What;
    if (verb === "list" || what === "ruleset" || what === "counters") this.list(verb, what, first);
    else if (what === "table") this.table(verb, first);
    else if (what === "chain") this.chain(verb, first);
    else if (what === "counter") this.counter(verb, first);
    else if (what === "set" || what === "map") this.set(verb, what, first);
    else if (what === "element") this.element(verb, first);
    else if (what === "rule") this.rule(verb, first);
    else cursor.unexpected();
  }

  private noObject(verb: Verb, isVerb: boolean): never {
    const { cursor } = this;
    if (!isVerb && cursor.token.kind === "word") cursor.next();
    return cursor.unexpected(verb === "list" ? "" : "string");
  }

  private family(): NftFamily | null {
    const { cursor } = this;
    if (OTHER_FAMILIES.has(cursor.token.text))
      throw new NotModelledError(`nft: tables of the family ${cursor.token.text}`);
    if (cursor.take("ip")) return "ip";
    return cursor.take("inet") ? "inet" : null;
  }

  private push(verb: Verb, what: What, first: Token, given: Given): void {
    const { at, ...rest } = given;
    const command = at?.command ?? span(first, this.cursor.token);
    this.commands.push({
      verb,
      what,
      family: null,
      ref: { family: "ip", table: "" },
      name: "",
      places: { table: command, name: command, handle: command, elements: [], ...at, command },
      base: null,
      drops: null,
      rule: null,
      spec: null,
      elements: [],
      rulePlace: END,
      handle: 0,
      packets: 0,
      bytes: 0,
      ...rest,
    });
  }

  private list(verb: Verb, what: What, first: Token): void {
    const { cursor } = this;
    if (verb !== "list" && verb !== "flush" && verb !== "reset") cursor.unexpected();
    if (verb === "flush" && what !== "ruleset") throw new NotModelledError(`nft ${verb} ${what}`);
    if (verb === "reset" && what !== "counters") throw new NotModelledError(`nft ${verb} ${what}`);
    const family = this.family();
    const plural = PLURALS.has(what);
    if (plural && !(what === "counters" && cursor.take("table"))) {
      this.push(verb, what, first, { family });
      return;
    }
    const owner = plural ? this.family() : family;
    const table = cursor.name();
    const ref = { family: owner ?? "ip", table: table.text } as const;
    const name = plural || what === "table" ? table : cursor.name();
    this.push(verb, what, first, { family: owner, ref, name: name.text, at: { table, name } });
  }

  /** The name of a table behind its family. */
  private tableName(): { ref: NftTableRef; table: Token } {
    const family = this.family() ?? "ip";
    const table = this.cursor.name();
    return { ref: { family, table: table.text }, table };
  }

  private table(verb: Verb, first: Token): void {
    const { cursor } = this;
    if (verb === "delete" && cursor.is("handle")) throw new NotModelledError("nft delete table handle");
    const { ref, table } = this.tableName();
    this.push(verb, "table", first, { ref, at: { table } });
    if (verb !== "add" && verb !== "create") return;
    if (!cursor.take("{")) return;
    const rules: (() => void)[] = [];
    const counters: (() => void)[] = [];
    const sets: (() => void)[] = [];
    for (cursor.skipLines(); !cursor.take("}"); cursor.skipLines())
      this.part(ref, table, counters, sets, rules);
    for (const push of [...counters, ...sets, ...rules]) push();
  }

  /** A part of the block of a table. Its chains are made first, then the counters, then the sets, then the rules. */
  private part(
    ref: NftTableRef,
    table: Token,
    counters: (() => void)[],
    sets: (() => void)[],
    rules: (() => void)[],
  ): void {
    const { cursor } = this;
    const first = cursor.token;
    if (first.text === "comment" || first.text === "flags" || OTHER_OBJECTS.has(first.text))
      throw new NotModelledError(`nft: ${first.text} of a table`);
    if (!cursor.is("chain") && !cursor.is("counter") && !cursor.is("set") && !cursor.is("map"))
      cursor.unexpected();
    const { text } = cursor.next();
    const name = cursor.name();
    if (text === "set" || text === "map") {
      const read = this.setBlock(ref, name, text === "map");
      sets.push(() => this.pushSet("add", text, first, { ref, table, name, read }));
      return;
    }
    if (text === "chain") {
      this.chainBlock("add", first, ref, table, name, rules);
      return;
    }
    const counted = this.counted();
    const given = { ref, name: name.text, ...counted, at: { command: span(first, name), table, name } };
    counters.push(() => this.push("add", "counter", first, given));
  }

  private chain(verb: Verb, first: Token): void {
    const { cursor } = this;
    if (verb === "delete" && cursor.is("handle")) throw new NotModelledError("nft delete chain handle");
    const { ref, table } = this.tableName();
    const name = cursor.name();
    const rules: (() => void)[] = [];
    if (verb === "add" || verb === "create") this.chainBlock(verb, first, ref, table, name, rules);
    else if (verb === "delete" || verb === "flush")
      this.push(verb, "chain", first, { ref, name: name.text, at: { table, name } });
    else throw new NotModelledError(`nft ${verb} chain`);
    for (const push of rules) push();
  }

  private chainBlock(
    verb: Verb,
    first: Token,
    ref: NftTableRef,
    table: Token,
    name: Token,
    rules: (() => void)[],
  ): void {
    const { cursor } = this;
    let base: NftBase | null = null;
    let drops: boolean | null = null;
    if (cursor.take("{"))
      for (cursor.skipLines(); !cursor.take("}"); cursor.skipLines()) {
        if (cursor.is("type")) base = this.hook();
        else if (cursor.take("policy")) drops = this.policy();
        else if (cursor.is("comment") || cursor.is("flags"))
          throw new NotModelledError(`nft: ${cursor.token.text} of a chain`);
        else {
          const start = cursor.token;
          const rule = readRule(this.ns, ref.family, cursor);
          const at = { command: rule.place, table, name };
          rules.push(() => this.pushRule("add", start, { ref, name: name.text, rule, at }));
        }
        if (!cursor.atEnd && !cursor.is("}")) cursor.unexpected("end of file or newline or semicolon");
      }
    this.push(verb, "chain", first, { ref, name: name.text, base, drops, at: { table, name } });
  }

  private policy(): boolean {
    const { cursor } = this;
    if (cursor.take("accept")) return false;
    cursor.expect("drop");
    return true;
  }

  /** `type filter hook input priority 0` */
  private hook(): NftBase {
    const { cursor } = this;
    cursor.expect("type");
    const type = cursor.name();
    if (type.text === "route") throw new NotModelledError("nft: chains of the type route");
    if (type.text !== "filter" && type.text !== "nat") throw new NftTextError("unknown chain type", type);
    cursor.expect("hook");
    const hook = cursor.name();
    if (hook.text === "ingress" || hook.text === "egress")
      throw new NotModelledError(`nft: hook ${hook.text}`);
    const number = HOOK_NAMES.indexOf(hook.text);
    if (number < 0) throw new NftTextError("unknown chain hook", hook);
    if (cursor.is("device") || cursor.is("devices")) throw new NotModelledError("nft: chains of devices");
    const start = cursor.expect("priority");
    return { type: type.text, hook: number as Hook, priority: this.priority(number, start) };
  }

  /** A number, a name, or a name with a number that is added. */
  private priority(hook: number, start: Token): number {
    const { cursor } = this;
    if (cursor.take("-")) return -cursor.number();
    if (cursor.token.kind === "number") return cursor.number();
    const name = cursor.name();
    const found = PRIORITIES.find(([word, , hooks]) => word === name.text && hooks.includes(hook));
    const all = span(start, name);
    if (found === undefined)
      throw new NftTextError("invalid priority expression value in this context.", all);
    if (cursor.take("+")) return found[1] + cursor.number();
    return cursor.take("-") ? found[1] - cursor.number() : found[1];
  }

  private counter(verb: Verb, first: Token): void {
    if (verb === "insert" || verb === "flush") this.cursor.unexpected();
    if (verb === "delete" && this.cursor.is("handle"))
      throw new NotModelledError("nft delete counter handle");
    const { ref, table } = this.tableName();
    const name = this.cursor.name();
    const counted = verb === "add" || verb === "create" ? this.counted() : {};
    this.push(verb, "counter", first, { ref, name: name.text, ...counted, at: { table, name } });
  }

  /** `{ packets 5 bytes 70 }` */
  private counted(): { packets: number; bytes: number } {
    const { cursor } = this;
    const braces = cursor.take("{");
    if (braces) cursor.skipLines();
    if (cursor.is("comment")) throw new NotModelledError("nft: comment of a counter");
    const packets = cursor.take("packets") ? cursor.number() : 0;
    const bytes = cursor.take("bytes") ? cursor.number() : 0;
    if (braces) cursor.skipLines();
    if (braces) cursor.expect("}");
    return { packets, bytes };
  }

  private rule(verb: Verb, first: Token): void {
    const { cursor } = this;
    if (verb !== "add" && verb !== "insert" && verb !== "delete")
      throw new NotModelledError(`nft ${verb} rule`);
    const { ref, table } = this.tableName();
    const name = cursor.name();
    if (verb === "delete" && !cursor.is("handle")) cursor.unexpected("handle");
    const word = ["handle", "position", "index"].find((one) => cursor.take(one)) ?? null;
    const handle = cursor.token;
    const number = word === null ? null : cursor.number();
    const at = { table, name, handle };
    if (verb === "delete") {
      this.push(verb, "rule", first, { ref, name: name.text, handle: number!, at });
      return;
    }
    const byIndex = word === "index";
    const rulePlace = {
      before: verb === "insert",
      handle: byIndex ? null : number,
      index: byIndex ? number : null,
    };
    const rule = readRule(this.ns, ref.family, cursor);
    // nft looks for a comment behind the rule: what stands there instead belongs to the place of the command.
    const command = span(first, cursor.token);
    this.pushRule(verb, first, { ref, name: name.text, rule, rulePlace, at: { ...at, command } });
  }

  private pushRule(verb: Verb, first: Token, given: Given & { ref: NftTableRef; rule: ReadRule }): void {
    const specOf = (name: string) => this.specOf(given.ref, name);
    for (const use of given.rule.uses) checkUse(use, specOf(use.name));
    const statements = given.rule.statements.map((one) => withNatFamily(one, specOf));
    this.push(verb, "rule", first, { ...given, rule: { ...given.rule, statements } });
  }

  /** Of a set that this text makes, or that is there. */
  private specOf(ref: NftTableRef, name: string): NftSetSpec | undefined {
    const made = this.sets.get(`${ref.family} ${ref.table} ${name}`);
    return made ?? nftOf(this.ns).find(ref.family, ref.table)?.set(name)?.spec;
  }

  /** A table that this text makes, or that is there. */
  private isThere({ family, table }: NftTableRef): boolean {
    const isIt = ({ what, ref }: NftCommand) =>
      what === "table" && ref.family === family && ref.table === table;
    return nftOf(this.ns).find(family, table) !== undefined || this.commands.some(isIt);
  }

  private setBlock(ref: NftTableRef, name: Token, isMap: boolean): ReadSet {
    const read = readSetBlock(this.ns, this.cursor, isMap);
    this.sets.set(`${ref.family} ${ref.table} ${name.text}`, read.spec);
    return read;
  }

  private set(verb: Verb, what: "set" | "map", first: Token): void {
    if (verb === "insert" || verb === "reset") this.cursor.unexpected();
    if (verb === "delete" && this.cursor.is("handle"))
      throw new NotModelledError(`nft delete ${what} handle`);
    const { ref, table } = this.tableName();
    const name = this.cursor.name();
    if (verb === "add" || verb === "create") {
      const read = this.setBlock(ref, name, what === "map");
      this.pushSet(verb, what, first, { ref, table, name, read });
    } else this.push(verb, what, first, { ref, name: name.text, at: { table, name } });
  }

  private pushSet(
    verb: Verb,
    what: "set" | "map",
    first: Token,
    { ref, table, name, read }: { ref: NftTableRef; table: Token; name: Token; read: ReadSet },
  ): void {
    const { spec, elements, places } = read;
    this.push(verb, what, first, {
      ref,
      name: name.text,
      spec,
      elements,
      at: { table, name, elements: places },
    });
  }

  private element(verb: Verb, first: Token): void {
    if (verb !== "add" && verb !== "create" && verb !== "delete") this.cursor.unexpected();
    const { ref, table } = this.tableName();
    const name = this.cursor.name();
    const spec = this.specOf(ref, name.text);
    if (spec === undefined)
      throw new NftTextError("No such file or directory", this.isThere(ref) ? name : table);
    if (!this.cursor.is("{")) this.cursor.unexpected("'{' or '$'");
    const { elements, places } = readElements(this.ns, this.cursor, spec);
    this.push(verb, "element", first, {
      ref,
      name: name.text,
      elements,
      at: { table, name, elements: places },
    });
  }
}

/** What a shell keeps from one command line to the next: variables, functions, options, traps, jobs. */
import type { Process } from "../../host/process.ts";
import { UsageError } from "../../util/errors.ts";
import { arithmetic } from "./arithmetic.ts";
import type { Command } from "./ast.ts";

/** A variable's value: text, or texts by index (numbers in order, or any key of an associative array). */
export type Value = string | Map<string, string>;

interface Saved {
  readonly value: Value | undefined;
  readonly exported: boolean;
  readonly integer: boolean;
  readonly associative: boolean;
}

export class ShellState {
  readonly variables = new Map<string, Value>();
  /** Names of the variables that go into the environment of other programs. */
  readonly exported = new Set<string>();
  readonly readonly = new Set<string>();
  readonly integers = new Set<string>();
  readonly associative = new Set<string>();
  readonly functions = new Map<string, Command>();
  /** Letters of `set` that are on, and `pipefail`. */
  readonly options = new Set<string>();
  /** Text that runs when the shell ends (EXIT) or fails (ERR), by name. */
  readonly traps = new Map<string, string>();
  /** `$0`, `$1`, … */
  positional: readonly string[] = ["bash"];
  /** `$?` */
  status = 0;
  /** Jobs started with `&` that `wait` waits for. */
  readonly jobs: Process[] = [];
  /** `$!` */
  lastJob = 0;
  /** The pid that `$$` tells: that of the shell, also in its subshells. */
  pid = 0;
  /** Calls of functions and sourced files that have not returned. */
  depth = 0;
  /** What is not modelled is told and goes on, as a missing command would: in a script. */
  lenient = false;
  line = 0;
  /** What `getopts` has read of a cluster of letters. */
  optionAt = 0;
  /** What the variables were before the functions that are running made them local. */
  private readonly frames: Map<string, Saved>[] = [];
  private random = 1;

  /** `variables` are all exported. */
  constructor(variables: Iterable<readonly [string, Value]> = []) {
    this.variables.set("OPTIND", "1");
    for (const [name, value] of variables) {
      this.variables.set(name, value);
      this.exported.add(name);
    }
  }

  /** A shell of its own, as `sh -c` starts one: it knows only what is exported. */
  program(): ShellState {
    const state = new ShellState([...this.variables].filter(([name]) => this.exported.has(name)));
    state.lenient = this.lenient;
    return state;
  }

  /** A copy for a subshell: it sees everything, nothing comes back. */
  fork(): ShellState {
    const copy = new ShellState();
    for (const [name, value] of this.variables)
      copy.variables.set(name, typeof value === "string" ? value : new Map(value));
    for (const set of ["exported", "readonly", "integers", "associative", "options"] as const)
      for (const name of this[set]) copy[set].add(name);
    for (const [name, body] of this.functions) copy.functions.set(name, body);
    copy.positional = this.positional;
    copy.status = this.status;
    copy.lastJob = this.lastJob;
    copy.pid = this.pid;
    copy.depth = this.depth;
    copy.lenient = this.lenient;
    copy.line = this.line;
    if (this.frames.length > 0) copy.frames.push(new Map());
    return copy;
  }

  /** The text of a variable, or of one element; undefined when there is none. */
  get(name: string, index: string | null = null): string | undefined {
    const value = this.variables.get(name);
    if (typeof value !== "object") return index === null || index === "0" ? value : undefined;
    return value.get(this.key(name, index ?? "0", value));
  }

  /** Throws UsageError for a variable that may not change. */
  set(name: string, text: string, index: string | null = null, append = false): void {
    if (this.readonly.has(name)) throw new UsageError(`bash: ${name}: readonly variable`, 1);
    if (name === "OPTIND") this.optionAt = 0;
    let value = text;
    if (this.integers.has(name))
      value = String(this.number(append ? `(${this.get(name, index) || 0})+(${text})` : text));
    else if (append) value = (this.get(name, index) ?? "") + text;
    const old = this.variables.get(name);
    if (index === null && typeof old !== "object") this.variables.set(name, value);
    else {
      const elements = typeof old === "object" ? old : new Map(old === undefined ? [] : [["0", old]]);
      elements.set(this.key(name, index ?? "0", elements), value);
      this.variables.set(name, elements);
    }
    if (this.options.has("a")) this.exported.add(name);
  }

  setArray(name: string, elements: Map<string, string>): void {
    if (this.readonly.has(name)) throw new UsageError(`bash: ${name}: readonly variable`, 1);
    this.variables.set(name, elements);
  }

  /** Removes a variable, or one element. */
  unset(name: string, index: string | null = null): void {
    if (this.readonly.has(name))
      throw new UsageError(`bash: unset: ${name}: cannot unset: readonly variable`, 1);
    const value = this.variables.get(name);
    if (index !== null && typeof value === "object") value.delete(this.key(name, index, value));
    else {
      this.variables.delete(name);
      this.exported.delete(name);
      this.integers.delete(name);
      this.associative.delete(name);
    }
  }

  /** The values of an array in the order of their indices. */
  elements(name: string): [string, string][] {
    const value = this.variables.get(name);
    if (value === undefined) return [];
    if (typeof value === "string") return [["0", value]];
    const all = [...value];
    return this.associative.has(name) ? all : all.sort(([a], [b]) => Number(a) - Number(b));
  }

  number(text: string): bigint {
    return arithmetic(text, {
      get: (name, index) => this.get(name, index) ?? this.special(name) ?? "",
      set: (name, index, value) => this.set(name, value, index),
    });
  }

  /** `$RANDOM`: the generator of bash (lib/sh/random.c), from a fixed start. */
  nextRandom(): number {
    this.random = (16807 * this.random) % 0x7fffffff;
    return (this.random ^ (this.random >>> 16)) & 0x7fff;
  }

  enterFunction(): void {
    this.frames.push(new Map());
  }

  leaveFunction(): void {
    for (const [name, saved] of this.frames.pop()!) {
      this.readonly.delete(name);
      if (saved.value === undefined) this.variables.delete(name);
      else this.variables.set(name, saved.value);
      if (saved.exported) this.exported.add(name);
      else this.exported.delete(name);
      if (saved.integer) this.integers.add(name);
      else this.integers.delete(name);
      if (saved.associative) this.associative.add(name);
      else this.associative.delete(name);
    }
  }

  get inFunction(): boolean {
    return this.frames.length > 0;
  }

  /** Makes a variable local to the running function: unset until it is set. */
  makeLocal(name: string): void {
    const frame = this.frames.at(-1);
    if (frame === undefined || frame.has(name)) return;
    frame.set(name, {
      value: this.variables.get(name),
      exported: this.exported.has(name),
      integer: this.integers.has(name),
      associative: this.associative.has(name),
    });
    this.variables.delete(name);
    this.integers.delete(name);
    this.associative.delete(name);
  }

  private special(name: string): string | undefined {
    return name === "RANDOM" ? String(this.nextRandom()) : undefined;
  }

  /** The key of an index: text for an associative array, a number else; negative ones count from the end. */
  private key(name: string, index: string, elements: ReadonlyMap<string, string>): string {
    if (this.associative.has(name)) return index;
    let number = Number(/^\d+$/.test(index) ? index : this.number(index));
    if (number < 0) number += Math.max(-1, ...[...elements.keys()].map(Number)) + 1;
    return String(number);
  }
}

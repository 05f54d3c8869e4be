/**
 * Values that a lab page fixes in place of draws (`pins:`), taken one by one in the order of the page. A part that begins
 * at a later moment ends the one before, whatever is left of it.
 */

export interface PinnedPart<T> {
  /** Virtual time from which these values are taken. */
  readonly fromNs: number;
  readonly values: readonly T[];
}

export class Pinned<T> {
  private readonly parts: readonly PinnedPart<T>[];
  private part = -1;
  private taken = 0;
  private used = false;

  /** `parts` in the order of their moments. */
  constructor(parts: readonly PinnedPart<T>[] = []) {
    this.parts = parts;
  }

  /** The next value, which stays; undefined: none is pinned. */
  peek(nowNs: number): T | undefined {
    while (this.part + 1 < this.parts.length && this.parts[this.part + 1].fromNs <= nowNs) {
      this.part++;
      this.taken = 0;
    }
    return this.parts[this.part]?.values[this.taken];
  }

  /** Takes the next value; undefined: none is pinned. */
  take(nowNs: number): T | undefined {
    const value = this.peek(nowNs);
    if (value !== undefined) {
      this.taken++;
      this.used = true;
    }
    return value;
  }

  /** There are values, and nobody has taken one. */
  get untouched(): boolean {
    return !this.used && this.parts.some(({ values }) => values.length > 0);
  }
}

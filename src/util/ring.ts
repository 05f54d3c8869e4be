/** A growing FIFO ring: amortised no allocation per element once it has reached its working size. */
export class Ring<T> {
  private items: (T | undefined)[];
  private head = 0;
  private count = 0;

  /** `capacity` is rounded up to a power of two. */
  constructor(capacity = 16) {
    let size = 1;
    while (size < capacity) size <<= 1;
    this.items = new Array<T | undefined>(size).fill(undefined);
  }

  get length(): number {
    return this.count;
  }

  push(item: T): void {
    if (this.count === this.items.length) this.grow();
    this.items[(this.head + this.count) & (this.items.length - 1)] = item;
    this.count++;
  }

  /** The oldest element, taken out; undefined when empty. */
  shift(): T | undefined {
    if (this.count === 0) return undefined;
    const item = this.items[this.head];
    this.items[this.head] = undefined;
    this.head = (this.head + 1) & (this.items.length - 1);
    this.count--;
    return item;
  }

  /** The element at `index` from the oldest, left in place. */
  at(index: number): T | undefined {
    return index < this.count ? this.items[(this.head + index) & (this.items.length - 1)] : undefined;
  }

  private grow(): void {
    const old = this.items;
    const size = old.length;
    this.items = new Array<T | undefined>(size * 2).fill(undefined);
    for (let i = 0; i < this.count; i++) this.items[i] = old[(this.head + i) & (size - 1)];
    this.head = 0;
  }
}

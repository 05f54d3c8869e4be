/**
 * Where processes wait (include/linux/wait.h). The stack calls `wake` from inside packet processing; a waiter must only
 * note it and go on later, in an event of its own.
 */
export interface Waiter {
  onWake(): void;
}

export class WaitQueue {
  private waiters: Waiter[] = [];

  add(waiter: Waiter): void {
    if (!this.waiters.includes(waiter)) this.waiters.push(waiter);
  }

  remove(waiter: Waiter): void {
    const i = this.waiters.indexOf(waiter);
    if (i >= 0) this.waiters.splice(i, 1);
  }

  /** Wakes everybody who waits now. */
  wake(): void {
    if (this.waiters.length === 0) return;
    const woken = this.waiters;
    this.waiters = [];
    for (const waiter of woken) waiter.onWake();
  }
}

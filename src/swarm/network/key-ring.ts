/**
 * What an engine does with the cluster's keys (libnetwork agent.go getKeys, handleKeyChange): the second oldest is the
 * one to send with, so that everybody has a key before anybody sends with it.
 */
import type { EncryptionKey } from "../manager/key-manager.ts";

/** A key as the overlay driver takes it. */
export interface DriverKey {
  readonly key: Uint8Array;
  readonly tag: number;
}

/** Who is told. */
export interface KeyedDriver {
  /** All keys, the one to send with first. */
  setKeys(keys: readonly DriverKey[]): void;
  /** A new key, the tag of the one to send with, the tag of a key that is no longer good; null: none. */
  updateKeys(added: DriverKey | null, primary: number, pruned: number | null): void;
}

export class KeyRing {
  private keys: readonly EncryptionKey[] = [];

  /** Takes the keys of one subsystem as the manager has them now. */
  update(keys: readonly EncryptionKey[], driver: KeyedDriver): void {
    const old = this.keys;
    this.keys = [...keys].sort((a, b) => a.lamportTime - b.lamportTime);
    const [oldest, primary, ...others] = this.keys;
    if (old.length === 0) {
      driver.setKeys([primary, oldest, ...others].map(driverKey));
      return;
    }
    const added = this.keys.find((key) => !has(old, key));
    const pruned = old.find((key) => !has(this.keys, key));
    if (added === undefined && pruned === undefined) return;
    driver.updateKeys(
      added === undefined ? null : driverKey(added),
      primary.lamportTime,
      pruned?.lamportTime ?? null,
    );
  }
}

function has(keys: readonly EncryptionKey[], { lamportTime }: EncryptionKey): boolean {
  return keys.some((key) => key.lamportTime === lamportTime);
}

function driverKey({ key, lamportTime }: EncryptionKey): DriverKey {
  return { key, tag: lamportTime };
}

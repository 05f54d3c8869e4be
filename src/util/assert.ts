/** Assertions: they stay on, and a failing one is a bug of meshwire. */
import { InvariantError } from "./errors.ts";

/** Throws {@link InvariantError} unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** For the `default` branch of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable value ${String(value)}`);
}

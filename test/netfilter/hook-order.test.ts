/**
 * The order of a hook's entries. Asked of Linux: three nf_tables chains of one priority on the output hook set the mark to 1,
 * 2 and 3 in the order in which they were made; a chain behind them counts mark 1.
 */
import { expect, test } from "vitest";
import { HookTable, NF_ACCEPT, NF_INET_LOCAL_OUT, type Verdict } from "../../src/net/core/hooks.ts";

const entry = (name: string, priority: number) =>
  ({ name, hook: NF_INET_LOCAL_OUT, priority, fn: (): Verdict => NF_ACCEPT }) as const;

const names = (table: HookTable) => table.list(NF_INET_LOCAL_OUT).map(({ name }) => name);

test("entries run by priority, of equal ones the last that was registered first", () => {
  const table = new HookTable();
  const second = entry("second", 0);
  for (const one of [entry("first", 0), second, entry("behind", 1), entry("third", 0), entry("before", -1)])
    table.register(one);
  expect(names(table)).toEqual(["before", "third", "second", "first", "behind"]);
  expect(table.slots(NF_INET_LOCAL_OUT).map(({ priority }) => priority)).toEqual([-1, 0, 0, 0, 1]);
  table.unregister(second);
  expect(names(table)).toEqual(["before", "third", "first", "behind"]);
});

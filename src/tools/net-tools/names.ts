/** Names of addresses as the tools of net-tools show them: `-n` shows numbers, and a name that nobody knows is a number too. */
import type { Co, Process } from "../../host/process.ts";
import { reverseName } from "../../host/reverse-name.ts";
import { formatIp4 } from "../../wire/address.ts";

/** The texts of `addrs`, asked one after the other, each once. */
export function* addressTexts(
  addrs: readonly number[],
  numeric: boolean,
  process: Process,
): Co<Map<number, string>> {
  const texts = new Map<number, string>();
  for (const addr of addrs) {
    if (texts.has(addr)) continue;
    const name = numeric ? null : yield* reverseName(process, addr);
    texts.set(addr, name ?? formatIp4(addr));
  }
  return texts;
}

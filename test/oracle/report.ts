/** A difference as text: what to type to see it again, where it is, and the whole smallest case. */
import type { Case } from "./case.ts";
import type { Difference } from "./compare.ts";
import type { Wish } from "./worker.ts";

export function reportText(seed: number, wish: Wish, one: Case, difference: Difference): string {
  const setup = wish.brief ? one.setup.filter(({ run }) => run.startsWith("sysctl")) : one.setup;
  return [
    `seed ${seed}, case ${one.name}: ${difference.where}`,
    difference.text,
    ...[...setup, ...one.rules].map(({ ns, run }) => `  ${ns}# ${run}`),
    ...one.listeners.map(
      ({ ns, protocol, port, does = "nothing" }) => `  ${ns}: listens on ${protocol} ${port}, does ${does}`,
    ),
    ...one.steps.map(
      ({ at, frame, answer, note }, i) =>
        `  ${i + 1}. ${at ?? "answer"} ${note} ${frame ?? JSON.stringify(answer)}`,
    ),
    `again: ${commandOf(seed, wish)}`,
  ].join("\n");
}

function commandOf(seed: number, { topology }: Wish): string {
  const words = [`npm run oracle -- --seed ${seed} --count 1`];
  if (topology !== undefined) words.push(`--topology ${topology}`);
  return words.join(" ");
}

/** Makes differing cases small. A boot of the real kernel takes many candidates: each round tries all of one size of gap. */
import type { Case } from "./case.ts";
import { differenceIn, realAnswers } from "./run-case.ts";

/** The case without ranges of steps, rules or services, for as long as a difference stays. */
export function shrink(one: Case): Case {
  let small = one;
  for (let gap = Math.ceil(one.steps.length / 2); gap >= 1; ) {
    const candidates = [...withoutSteps(small, gap), ...(gap === 1 ? withoutRest(small) : [])];
    const next = firstDiffering(candidates);
    if (next !== null) small = next;
    else gap = gap === 1 ? 0 : Math.ceil(gap / 2);
    gap = Math.min(gap, small.steps.length);
  }
  return small;
}

function withoutSteps(one: Case, gap: number): Case[] {
  const out: Case[] = [];
  for (let end = one.steps.length; end > 0; end -= gap) {
    const from = Math.max(0, end - gap);
    out.push({ ...one, steps: [...one.steps.slice(0, from), ...one.steps.slice(end)] });
  }
  return out;
}

function withoutRest(one: Case): Case[] {
  const out: Case[] = one.services.map((_, i) => ({
    ...one,
    services: one.services.filter((_line, j) => j !== i),
  }));
  const rules = one.restore.split("\n");
  for (const [i, rule] of rules.entries())
    if (rule.startsWith("-A")) out.push({ ...one, restore: rules.filter((_line, j) => j !== i).join("\n") });
  return out;
}

function firstDiffering(candidates: readonly Case[]): Case | null {
  const real = realAnswers(candidates);
  for (const [i, candidate] of candidates.entries())
    if (i < real.length && differs(candidate, real[i])) return candidate;
  return null;
}

/** A case that one side refuses shows no difference. */
function differs(one: Case, real: Parameters<typeof differenceIn>[1]): boolean {
  try {
    return differenceIn(one, real) !== null;
  } catch {
    return false;
  }
}

/** Makes a differing case small: leaves out frames, then rules, then listeners, while some difference stays. */
import type { Case } from "./case.ts";

/** `differs` says whether a case still shows a difference. */
export function shrink(one: Case, differs: (candidate: Case) => boolean): Case {
  let small = one;
  for (let before = -1; before !== size(small); ) {
    before = size(small);
    small = { ...small, steps: shrinkList(small.steps, (steps) => differs({ ...small, steps })) };
    small = { ...small, rules: shrinkList(small.rules, (rules) => differs({ ...small, rules })) };
    small = {
      ...small,
      listeners: shrinkList(small.listeners, (listeners) => differs({ ...small, listeners })),
    };
  }
  return small;
}

function size(one: Case): number {
  return one.steps.length + one.rules.length + one.listeners.length;
}

/** Drops ranges, from half of the list down to single entries. */
function shrinkList<T>(list: readonly T[], keeps: (shorter: readonly T[]) => boolean): readonly T[] {
  let kept = list;
  for (let chunk = Math.ceil(list.length / 2); chunk >= 1; chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2)) {
    for (let from = kept.length - chunk; from > -chunk; from -= chunk) {
      const start = Math.max(0, from);
      const shorter = [...kept.slice(0, start), ...kept.slice(from + chunk)];
      if (shorter.length < kept.length && keeps(shorter)) kept = shorter;
    }
  }
  return kept;
}

/**
 * Expected output against real output. `<word>` stands for one word, the same name for the same text on the whole page;
 * `...` alone on a line stands for any lines. White space at line ends does not count.
 */

/** Texts that the names in `<…>` got so far. */
export type Bindings = ReadonlyMap<string, string>;

export const NO_BINDINGS: Bindings = new Map();

const WILDCARD = /<([A-Za-z][A-Za-z0-9_-]*)>/g;
export const ANY_LINES = "...";

const escapeRegex = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** Names of the wildcards in a line. */
export function wildcardNames(line: string): string[] {
  return [...line.matchAll(WILDCARD)].map((found) => found[1]);
}

/** The bindings after `expected` matched `actual`; null when it does not. */
export function matchLine(expected: string, actual: string, bindings: Bindings): Bindings | null {
  const [wanted, found] = [expected.trimEnd(), actual.trimEnd()];
  if (wanted === found) return bindings;
  if (!wanted.includes("<")) return null;
  const names: string[] = [];
  let pattern = "";
  let at = 0;
  for (const wildcard of wanted.matchAll(WILDCARD)) {
    pattern += escapeRegex(wanted.slice(at, wildcard.index));
    at = wildcard.index + wildcard[0].length;
    const name = wildcard[1];
    const bound = bindings.get(name);
    if (bound !== undefined) pattern += escapeRegex(bound);
    else if (names.includes(name)) pattern += `\\${names.indexOf(name) + 1}`;
    else {
      names.push(name);
      pattern += "(\\S+)";
    }
  }
  const match = new RegExp(`^${pattern}${escapeRegex(wanted.slice(at))}$`).exec(found);
  if (match === null) return null;
  const next = new Map(bindings);
  for (let i = 0; i < names.length; i++) next.set(names[i], match[i + 1]);
  return next;
}

/** The bindings after all lines matched; null when they do not. */
export function matchLines(
  expected: readonly string[],
  actual: readonly string[],
  bindings: Bindings,
): Bindings | null {
  return matchFrom(expected, 0, actual, 0, bindings);
}

function matchFrom(
  expected: readonly string[],
  i: number,
  actual: readonly string[],
  j: number,
  bindings: Bindings,
): Bindings | null {
  let known = bindings;
  let [e, a] = [i, j];
  for (; e < expected.length; e++, a++) {
    if (isAnyLines(expected[e])) {
      if (e === expected.length - 1) return known;
      for (let skip = a; skip <= actual.length; skip++) {
        const found = matchFrom(expected, e + 1, actual, skip, known);
        if (found !== null) return found;
      }
      return null;
    }
    const next = a < actual.length ? matchLine(expected[e], actual[a], known) : null;
    if (next === null) return null;
    known = next;
  }
  return a === actual.length ? known : null;
}

/** One step of an alignment: a line on both sides, or on one; `...` covers actual lines. */
export type Step =
  | { readonly kind: "same"; readonly expected: string; readonly actual: string }
  | { readonly kind: "missing"; readonly expected: string }
  | { readonly kind: "extra"; readonly actual: string }
  | { readonly kind: "any"; readonly actual: readonly string[] };

/** Costs of an alignment: a line that changed, came or went; a line that `...` covers. */
const EDIT = 1_000_000;
const COVER = 1;

/** The cheapest alignment of both sides: what `--update` keeps, and what a diff shows. */
export function align(expected: readonly string[], actual: readonly string[], bindings: Bindings): Step[] {
  const columns = actual.length + 1;
  const cost = alignmentCosts(expected, actual, bindings);
  const steps: Step[] = [];
  let [i, j] = [0, 0];
  while (i < expected.length || j < actual.length) {
    const here = cost[i * columns + j];
    const down = i < expected.length ? cost[(i + 1) * columns + j] : Number.POSITIVE_INFINITY;
    const both =
      i < expected.length && j < actual.length ? cost[(i + 1) * columns + j + 1] : Number.POSITIVE_INFINITY;
    if (i < expected.length && isAnyLines(expected[i])) {
      const from = j;
      while (cost[(i + 1) * columns + j] !== cost[i * columns + j]) j++;
      steps.push({ kind: "any", actual: actual.slice(from, j) });
      i++;
    } else if (both === here && matchLine(expected[i], actual[j], bindings) !== null)
      steps.push({ kind: "same", expected: expected[i++], actual: actual[j++] });
    else if (both + EDIT === here)
      steps.push({ kind: "missing", expected: expected[i++] }, { kind: "extra", actual: actual[j++] });
    else if (down + EDIT === here) steps.push({ kind: "missing", expected: expected[i++] });
    else steps.push({ kind: "extra", actual: actual[j++] });
  }
  return steps;
}

const isAnyLines = (line: string) => line.trim() === ANY_LINES;

/** Least cost from (i, j) to the end of both sides, at i * (actual.length + 1) + j. */
function alignmentCosts(
  expected: readonly string[],
  actual: readonly string[],
  bindings: Bindings,
): Float64Array {
  const columns = actual.length + 1;
  const cost = new Float64Array((expected.length + 1) * columns);
  for (let i = expected.length; i >= 0; i--)
    for (let j = actual.length; j >= 0; j--) {
      const at = i * columns + j;
      const right = j < actual.length ? cost[at + 1] : Number.POSITIVE_INFINITY;
      if (i === expected.length) cost[at] = (actual.length - j) * EDIT;
      else if (isAnyLines(expected[i])) cost[at] = Math.min(cost[at + columns], right + COVER);
      else {
        const both = j < actual.length ? cost[at + columns + 1] : Number.POSITIVE_INFINITY;
        const same = j < actual.length && matchLine(expected[i], actual[j], bindings) !== null;
        cost[at] = Math.min(cost[at + columns] + EDIT, right + EDIT, both + (same ? 0 : EDIT));
      }
    }
  return cost;
}

/** What the lines that do match tell of the wildcards, when not all of them match. */
export function partialBindings(
  expected: readonly string[],
  actual: readonly string[],
  bindings: Bindings,
): Bindings {
  let known = bindings;
  for (const step of align(expected, actual, bindings))
    if (step.kind === "same") known = matchLine(step.expected, step.actual, known) ?? known;
  return known;
}

/** Lines of a diff: `-` expected, `+` actual. */
export function diffLines(
  expected: readonly string[],
  actual: readonly string[],
  bindings: Bindings,
): string[] {
  return align(expected, actual, bindings).flatMap((step) => {
    if (step.kind === "same") return [`  ${step.actual}`];
    if (step.kind === "missing") return [`- ${step.expected}`];
    return step.kind === "extra" ? [`+ ${step.actual}`] : [`  ${ANY_LINES}`];
  });
}

/** The real output with the wildcards of the expected one where they still fit. */
export function updatedLines(
  expected: readonly string[],
  actual: readonly string[],
  bindings: Bindings,
): string[] {
  return align(expected, actual, bindings).flatMap((step) => {
    if (step.kind === "same") return [step.expected];
    if (step.kind === "missing") return [];
    return step.kind === "extra" ? [step.actual.trimEnd()] : [ANY_LINES];
  });
}

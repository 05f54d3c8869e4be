/** Assignments (POSIX XCU 2.9.1, arrays of bash): of plain variables, of elements and of whole arrays. */
import type { Co } from "../../host/process.ts";
import type { Assignment } from "./ast.ts";
import type { Expander } from "./expand.ts";
import type { ShellState } from "./state.ts";

export interface AssignmentHost {
  readonly state: ShellState;
  readonly expander: Expander;
}

export function* assign(assignment: Assignment, { state, expander }: AssignmentHost): Co<void> {
  const { name, index, append, value, elements } = assignment;
  if (elements === null) {
    const key = index === null ? null : yield* expander.text(index);
    state.set(name, yield* expander.text(value), key, append);
    return;
  }
  const old = append ? state.elements(name) : [];
  const array = new Map(old);
  let next = old.length === 0 ? 0 : Math.max(...old.map(([key]) => Number(key) || 0)) + 1;
  for (const element of elements) {
    if (element.index !== null) {
      const key = yield* expander.text(element.index);
      const text = yield* expander.text(element.value);
      if (state.associative.has(name)) array.set(key, text);
      else {
        next = Number(state.number(key));
        array.set(String(next++), text);
      }
    } else for (const text of yield* expander.words([element.value])) array.set(String(next++), text);
  }
  state.setArray(name, array);
}

/**
 * An argument of `local` and the like, behind `words`: arrays are set at once, what is left to the builtin is
 * `NAME=VALUE`.
 */
export function* assignmentWord(
  assignment: Assignment,
  words: readonly string[],
  host: AssignmentHost,
): Co<string> {
  const { name, index, append, value, elements } = assignment;
  if (elements !== null) {
    if (words[0] !== "export" && words[0] !== "readonly") host.state.makeLocal(name);
    if (words.some((word) => /^-[a-z]*A/.test(word))) host.state.associative.add(name);
    yield* assign(assignment, host);
    return name;
  }
  const key = index === null ? "" : `[${yield* host.expander.text(index)}]`;
  return `${name}${key}${append ? "+=" : "="}${yield* host.expander.text(value)}`;
}

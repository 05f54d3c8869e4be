/** What a wrong name was perhaps meant to be. */
import { nearest } from "./shell/command-names.ts";

/** `; did you mean `x`?`, or what there is. */
export function suggestion(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near === null ? `; there is: ${known.join(", ")}` : `; did you mean \`${near}\`?`;
}

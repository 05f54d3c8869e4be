/** What `${NAME%PATTERN}`, `${NAME/PATTERN/TEXT}` and `${NAME:OFFSET:LENGTH}` make of a value. */
import { patternSource } from "./pattern.ts";

const whole = (pattern: string) => new RegExp(`^(?:${patternSource(pattern)})$`);

export function cutPrefix(text: string, pattern: string, longest: boolean): string {
  const regex = whole(pattern);
  for (let i = 0; i <= text.length; i++) {
    const length = longest ? text.length - i : i;
    if (regex.test(text.slice(0, length))) return text.slice(length);
  }
  return text;
}

export function cutSuffix(text: string, pattern: string, longest: boolean): string {
  const regex = whole(pattern);
  for (let i = 0; i <= text.length; i++) {
    const from = longest ? i : text.length - i;
    if (regex.test(text.slice(from))) return text.slice(0, from);
  }
  return text;
}

/** `op`: `/` the first place, `//` all, `/#` at the begin, `/%` at the end. */
export function replacePattern(text: string, op: string, pattern: string, replacement: string): string {
  if (pattern === "") return text;
  const source = patternSource(pattern);
  const anchored = op === "/#" ? `^(?:${source})` : op === "/%" ? `(?:${source})$` : source;
  const regex = new RegExp(anchored, op === "//" ? "g" : "");
  return text.replace(regex, (found) => (found === "" && op === "//" ? "" : replacement));
}

export function substring(text: string, from: number, length: number | null): string {
  const start = from < 0 ? text.length + from : from;
  if (start < 0) return "";
  if (length === null) return text.slice(start);
  return text.slice(start, length < 0 ? text.length + length : start + length);
}

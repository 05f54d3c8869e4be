/** Tables as the docker command prints them (text/tabwriter with minimal width 10 and padding 3; cli formatter). */
import { renderTemplate } from "./go-template.ts";

const MIN_WIDTH = 10;
const PADDING = 3;

/** Rows of cells; every cell but the last of a row is padded to its column. */
export function tabwriter(
  rows: readonly (readonly string[])[],
  minWidth = MIN_WIDTH,
  padding = PADDING,
): string {
  const widths: number[] = [];
  for (const row of rows)
    for (let i = 0; i < row.length - 1; i++)
      widths[i] = Math.max(widths[i] ?? minWidth, [...row[i]].length + padding);
  let text = "";
  for (const row of rows) {
    row.forEach((cell, i) => {
      text += i < row.length - 1 ? cell + " ".repeat(widths[i] - [...cell].length) : cell;
    });
    text += "\n";
  }
  return text;
}

/** One column: the name that `--format` uses, the heading, the cell. */
export interface Column<T> {
  readonly field: string;
  readonly heading: string;
  cell(row: T): string;
}

/**
 * The table of `rows`; with `quiet` only the first column; with `format` each row by a Go template (`table ` in front
 * prints the headings of its fields first, `json` prints objects).
 */
export function renderTable<T>(
  columns: readonly Column<T>[],
  shown: readonly string[],
  rows: readonly T[],
  format: string,
  quiet: boolean,
): string {
  const visible = shown.map((field) => columns.find((column) => column.field === field)!);
  if (quiet && format === "") return rows.map((row) => `${visible[0].cell(row)}\n`).join("");
  if (format === "" || format === "table")
    return tabwriter([
      visible.map((column) => column.heading),
      ...rows.map((row) => visible.map((c) => c.cell(row))),
    ]);
  const record = (row: T): Record<string, string> =>
    Object.fromEntries(columns.map((column) => [column.field, column.cell(row)]));
  if (format === "json") return rows.map((row) => `${JSON.stringify(record(row))}\n`).join("");
  const source = format.replaceAll("\\n", "\n").replaceAll("\\t", "\t");
  if (!source.startsWith("table "))
    return rows.map((row) => `${renderTemplate(source, record(row))}\n`).join("");
  const template = source.slice("table ".length);
  const headings = Object.fromEntries(columns.map((column) => [column.field, column.heading]));
  const lines = [headings, ...rows.map(record)].map((row) => renderTemplate(template, row).split("\t"));
  return tabwriter(lines);
}

/** Splits names into text and numbers, so that `web.2` comes before `web.10` (fvbommel/sortorder). */
export function naturalCompare(a: string, b: string): number {
  const partsA = a.match(/\d+|\D+/g) ?? [];
  const partsB = b.match(/\d+|\D+/g) ?? [];
  for (let i = 0; i < partsA.length && i < partsB.length; i++) {
    if (partsA[i] === partsB[i]) continue;
    const numbers = /^\d/.test(partsA[i]) && /^\d/.test(partsB[i]);
    if (numbers && Number(partsA[i]) !== Number(partsB[i])) return Number(partsA[i]) - Number(partsB[i]);
    return partsA[i] < partsB[i] ? -1 : 1;
  }
  return partsA.length - partsB.length;
}

/** Cuts to `length` characters with an ellipsis. */
export function ellipsis(text: string, length: number): string {
  const chars = [...text];
  return chars.length <= length ? text : `${chars.slice(0, length - 1).join("")}…`;
}

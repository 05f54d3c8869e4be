/** A lab page's text with its name: turns offsets into the line and column of an error. */
import { ScenarioError } from "../util/errors.ts";

export class SourceText {
  readonly file: string;
  readonly text: string;
  readonly lines: readonly string[];
  private readonly starts: number[] = [0];

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    this.lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
    for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) this.starts.push(i + 1);
  }

  /** An error at a line and column, both from 1. */
  error(line: number, col: number, message: string): ScenarioError {
    return new ScenarioError(this.file, line, col, message);
  }

  errorAt(offset: number, message: string): ScenarioError {
    let line = this.starts.length;
    while (line > 1 && this.starts[line - 1] > offset) line--;
    return this.error(line, offset - this.starts[line - 1] + 1, message);
  }
}

/** Bad shell syntax: bash's words and where in the command text. */
import { UsageError } from "../../util/errors.ts";

export class ShellSyntaxError extends UsageError {
  /** Characters from the start of the command text. */
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(`bash: ${message}`, 2);
    this.name = "ShellSyntaxError";
    this.offset = offset;
  }
}

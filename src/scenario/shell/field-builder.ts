/** Fields of a command line as its words are expanded (POSIX XCU 2.6.5 field splitting, 2.6.6 patterns). */
import { escapePattern } from "./pattern.ts";

export interface Field {
  readonly text: string;
  /** The same with what was quoted made to mean itself; null without a pattern character. */
  readonly pattern: string | null;
}

export class FieldBuilder {
  readonly fields: Field[] = [];
  private open = false;
  private text = "";
  private pattern = "";
  private isPattern = false;
  private readonly ifs: string;

  constructor(ifs: string) {
    this.ifs = ifs;
  }

  /** Whether a field has begun. */
  get isOpen(): boolean {
    return this.open;
  }

  /** Adds text that is not split. */
  add(text: string, quoted: boolean): void {
    if (text === "" && !quoted) return;
    this.open = true;
    this.text += text;
    this.pattern += quoted ? escapePattern(text) : text;
    if (!quoted && /[*?[]/.test(text)) this.isPattern = true;
  }

  /** Adds the result of an expansion outside of quotes: split at the characters of IFS. */
  split(text: string): void {
    let i = 0;
    while (i < text.length) {
      let end = i;
      while (end < text.length && !this.ifs.includes(text[end])) end++;
      if (end > i) this.add(text.slice(i, end), false);
      if (end === text.length) return;
      i = end;
      const blanks = (): void => {
        while (i < text.length && " \t\n".includes(text[i]) && this.ifs.includes(text[i])) i++;
      };
      blanks();
      const hard = i < text.length && this.ifs.includes(text[i]);
      if (hard) i++;
      blanks();
      if (this.open || hard) this.end();
    }
  }

  /** Ends the field; the next text begins another. */
  end(): void {
    this.fields.push({ text: this.text, pattern: this.isPattern ? this.pattern : null });
    this.open = false;
    this.text = "";
    this.pattern = "";
    this.isPattern = false;
  }

  finish(): Field[] {
    if (this.open) this.end();
    return this.fields;
  }
}

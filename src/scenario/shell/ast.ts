/**
 * The syntax tree of the shell language: POSIX sh (XCU chapter 2) and what scripts commonly use of bash: arrays, `[[ ]]`,
 * `(( ))`, here-strings, process substitution. Offsets count characters of the command text from 0.
 */

/** What `${NAME…}` does with the value; `:` takes a part, `/` replaces, `keys` is `${!NAME[@]}`. */
export type ParameterOp =
  | ""
  | "-"
  | ":-"
  | "="
  | ":="
  | "+"
  | ":+"
  | "?"
  | ":?"
  | "%"
  | "%%"
  | "#"
  | "##"
  | "/"
  | "//"
  | "/#"
  | "/%"
  | ":"
  | "^"
  | "^^"
  | ","
  | ",,"
  | "length"
  | "keys";

export interface ParameterPart {
  readonly kind: "parameter";
  readonly name: string;
  /** `[INDEX]`: null without one; `@` and `*` as texts. */
  readonly index: Word | null;
  readonly op: ParameterOp;
  /** Default, pattern, or offset. */
  readonly operand: Word | null;
  /** Replacement, or length. */
  readonly second: Word | null;
  /** `${!NAME}`: the value names the parameter that is meant. */
  readonly indirect: boolean;
  readonly quoted: boolean;
}

/** `<(…)`, `>(…)`: the name of a file from which its output can be read, or that it reads. */
export interface ProcessPart {
  readonly kind: "process";
  readonly reads: boolean;
  readonly script: Script;
  readonly quoted: boolean;
}

export type WordPart =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  | ParameterPart
  | { readonly kind: "command"; readonly script: Script; readonly quoted: boolean }
  | { readonly kind: "arithmetic"; readonly text: Word; readonly quoted: boolean }
  | ProcessPart;

export interface Word {
  readonly parts: readonly WordPart[];
  readonly offset: number;
}

export interface Redirect {
  readonly fd: number;
  readonly kind: "read" | "write" | "append" | "dup" | "close" | "here" | "both" | "bothAppend";
  /** File name, text of a here-document or here-string, or the descriptor that `dup` copies; null for `close`. */
  target: Word | null;
}

export interface Assignment {
  readonly name: string;
  /** `NAME[INDEX]=` */
  readonly index: Word | null;
  /** `+=` */
  readonly append: boolean;
  readonly value: Word;
  /** `NAME=(…)`; null for a plain value. */
  readonly elements: readonly ArrayElement[] | null;
}

export interface ArrayElement {
  readonly index: Word | null;
  readonly value: Word;
}

/** An argument of a command: a word, or an assignment of `local`, `declare`, `export` and `readonly`. */
export interface Argument {
  readonly word: Word;
  readonly assignment: Assignment | null;
}

export interface SimpleCommand {
  readonly kind: "simple";
  readonly assignments: readonly Assignment[];
  readonly words: readonly Argument[];
  readonly redirects: readonly Redirect[];
  /** From 1. */
  readonly line: number;
}

export interface CaseBranch {
  readonly patterns: readonly Word[];
  readonly body: Script;
  /** `;;`, `;&` goes on into the next body, `;;&` goes on testing. */
  readonly end: ";;" | ";&" | ";;&";
}

/** The inside of `[[ ]]`. */
export type Condition =
  | { readonly kind: "not"; readonly operand: Condition }
  | { readonly kind: "and" | "or"; readonly left: Condition; readonly right: Condition }
  | { readonly kind: "unary"; readonly op: string; readonly operand: Word }
  | { readonly kind: "binary"; readonly op: string; readonly left: Word; readonly right: Word };

interface Redirected {
  readonly redirects: readonly Redirect[];
}

export type Command =
  | SimpleCommand
  | (Redirected & {
      readonly kind: "for";
      readonly name: string;
      /** null: the positional parameters. */
      readonly words: readonly Word[] | null;
      readonly body: Script;
    })
  | (Redirected & {
      readonly kind: "cfor";
      readonly start: Word;
      readonly test: Word;
      readonly step: Word;
      readonly body: Script;
    })
  | (Redirected & {
      readonly kind: "while";
      readonly until: boolean;
      readonly condition: Script;
      readonly body: Script;
    })
  | (Redirected & {
      readonly kind: "if";
      readonly branches: readonly { readonly condition: Script; readonly body: Script }[];
      readonly otherwise: Script | null;
    })
  | (Redirected & { readonly kind: "case"; readonly word: Word; readonly branches: readonly CaseBranch[] })
  /** In parentheses: variables do not come out. */
  | (Redirected & { readonly kind: "group"; readonly subshell: boolean; readonly body: Script })
  | (Redirected & { readonly kind: "function"; readonly name: string; readonly body: Command })
  | (Redirected & { readonly kind: "condition"; readonly test: Condition })
  | (Redirected & { readonly kind: "arithmetic"; readonly text: Word });

export interface Pipeline {
  readonly commands: readonly Command[];
  readonly negated: boolean;
}

/** Pipelines joined by `&&` and `||`: `when` says on which status of the one before it runs. */
export interface AndOr {
  readonly items: readonly { readonly when: "always" | "success" | "failure"; readonly pipeline: Pipeline }[];
  readonly background: boolean;
}

export interface Script {
  readonly lists: readonly AndOr[];
  /** More than one command on lines of their own: a script, not a typed line. */
  readonly lines: boolean;
}

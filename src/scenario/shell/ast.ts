/**
 * The syntax tree of the shell language: what of POSIX sh (XCU chapter 2) people type into a terminal of a lab. Offsets
 * count characters of the command text from 0.
 */

export type WordPart =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  /** `$NAME`, `${NAME}`, `${NAME:-WORD}`, `${#NAME}`; `op` is "" for a plain one. */
  | {
      readonly kind: "variable";
      readonly name: string;
      readonly op: "" | ":-" | "-" | ":=" | ":+" | "%" | "%%" | "#" | "##" | "length";
      readonly operand: string;
      readonly quoted: boolean;
    }
  | { readonly kind: "command"; readonly script: Script; readonly quoted: boolean }
  | { readonly kind: "arithmetic"; readonly text: string };

export interface Word {
  readonly parts: readonly WordPart[];
  readonly offset: number;
}

export interface Redirect {
  readonly fd: 0 | 1 | 2;
  readonly kind: "read" | "write" | "append" | "dup" | "here";
  /** File name or text; empty for `dup`. */
  readonly target: Word | null;
  /** The descriptor that `dup` copies. */
  readonly from: 0 | 1 | 2;
}

export interface Assignment {
  readonly name: string;
  readonly value: Word;
}

export type Command =
  | {
      readonly kind: "simple";
      readonly assignments: readonly Assignment[];
      readonly words: readonly Word[];
      readonly redirects: readonly Redirect[];
    }
  | {
      readonly kind: "for";
      readonly name: string;
      readonly words: readonly Word[];
      readonly body: Script;
      readonly redirects: readonly Redirect[];
    }
  | {
      readonly kind: "while";
      readonly until: boolean;
      readonly condition: Script;
      readonly body: Script;
      readonly redirects: readonly Redirect[];
    }
  | {
      readonly kind: "if";
      readonly branches: readonly { readonly condition: Script; readonly body: Script }[];
      readonly otherwise: Script | null;
      readonly redirects: readonly Redirect[];
    }
  | {
      readonly kind: "group";
      /** In parentheses: variables do not come out. */
      readonly subshell: boolean;
      readonly body: Script;
      readonly redirects: readonly Redirect[];
    };

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
}

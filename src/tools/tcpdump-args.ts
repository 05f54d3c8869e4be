/** The command line of tcpdump 4.99.3 (getopt: flags may be joined, a value may follow at once). */
import { NotModelledError, UsageError } from "../util/errors.ts";

export interface TcpdumpArgs {
  /** null: the default device. */
  readonly device: string | null;
  readonly count: number | null;
  readonly link: boolean;
  readonly verbose: number;
  readonly quiet: boolean;
  readonly absoluteSeq: boolean;
  readonly noTime: boolean;
  readonly promiscuous: boolean;
  /** Each line is written when it is there. */
  readonly lineBuffered: boolean;
  readonly writeFile: string | null;
  readonly readFile: string | null;
  readonly filter: string;
}

type Draft = { -readonly [K in keyof TcpdumpArgs]: TcpdumpArgs[K] };

const WITH_VALUE = "BcCEFGijMQrsTVwWyzZ";
const FLAGS = "AbdDefhHIJKlLnNOpqStuUvxX#";

function flag(draft: Draft, letter: string): void {
  switch (letter) {
    case "e":
      draft.link = true;
      return;
    case "v":
      draft.verbose++;
      return;
    case "q":
      draft.quiet = true;
      return;
    case "S":
      draft.absoluteSeq = true;
      return;
    case "t":
      if (draft.noTime) throw new NotModelledError("tcpdump -tt");
      draft.noTime = true;
      return;
    case "p":
      draft.promiscuous = false;
      return;
    case "l":
    case "U":
      draft.lineBuffered = true;
      return;
    case "n":
    case "K":
      return;
    default:
      if (FLAGS.includes(letter)) throw new NotModelledError(`tcpdump -${letter}`);
      throw new UsageError(`tcpdump: invalid option -- '${letter}'`, 1);
  }
}

function value(draft: Draft, letter: string, text: string): void {
  switch (letter) {
    case "i":
      draft.device = text;
      return;
    case "c":
      if (!/^[0-9]+$/.test(text) || Number(text) === 0) {
        throw new UsageError(`tcpdump: invalid packet count ${text}`, 1);
      }
      draft.count = Number(text);
      return;
    case "w":
      if (text === "-") throw new NotModelledError("tcpdump -w - (text passes here, not bytes)");
      draft.writeFile = text;
      return;
    case "r":
      if (text === "-") throw new NotModelledError("tcpdump -r -");
      draft.readFile = text;
      return;
    case "s":
      if (text !== "0" && text !== "262144") throw new NotModelledError("tcpdump -s with another length");
      return;
    default:
      throw new NotModelledError(`tcpdump -${letter}`);
  }
}

/** Reads the words behind the command's name. Throws UsageError with tcpdump's text. */
export function parseTcpdumpArgs(argv: readonly string[]): TcpdumpArgs {
  const draft: Draft = {
    device: null,
    count: null,
    link: false,
    verbose: 0,
    quiet: false,
    absoluteSeq: false,
    noTime: false,
    promiscuous: true,
    lineBuffered: false,
    writeFile: null,
    readFile: null,
    filter: "",
  };
  const rest: string[] = [];
  let optionsEnded = false;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (optionsEnded || !word.startsWith("-") || word === "-") rest.push(word);
    else if (word === "--") optionsEnded = true;
    else if (word.startsWith("--")) throw new NotModelledError(`tcpdump ${word}`);
    else i += readOption(draft, word, argv[i + 1]);
  }
  draft.filter = rest.join(" ");
  return draft;
}

/** Reads one word of joined flags; returns how many further words it took. */
function readOption(draft: Draft, word: string, following: string | undefined): number {
  for (let k = 1; k < word.length; k++) {
    const letter = word[k];
    if (!WITH_VALUE.includes(letter)) {
      flag(draft, letter);
      continue;
    }
    const joined = word.slice(k + 1);
    if (joined === "" && following === undefined) {
      throw new UsageError(`tcpdump: option requires an argument -- '${letter}'`, 1);
    }
    value(draft, letter, joined === "" ? following! : joined);
    return joined === "" ? 1 : 0;
  }
  return 0;
}

/** `ip xfrm state` (iproute2 6.1 ip/xfrm_state.c). */
import {
  xfrmStateAdd,
  xfrmStateDel,
  xfrmStateDump,
  xfrmStateFlush,
  xfrmStateGet,
  xfrmStateUpdate,
} from "../../net/ctl/xfrm.ts";
import { ANY_MARK, ANY_SELECTOR } from "../../net/xfrm/xfrm-selector.ts";
import { NO_LIMITS, type XfrmLimits, type XfrmState, type XfrmStateSpec } from "../../net/xfrm/xfrm-state.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { STATE_FLAGS, stateText } from "./ip-xfrm-format.ts";
import { type IdWords, isId, takeId, takeMark, takeMode, takeSelector } from "./ip-xfrm-words.ts";
import { invarg, isCommand, numberWord, Words } from "./words.ts";

type Draft = { -readonly [K in keyof XfrmStateSpec]?: XfrmStateSpec[K] };

const ALGO_TYPES = ["enc", "auth", "comp", "auth-trunc"];
const LIMITS: Readonly<Record<string, keyof XfrmLimits>> = {
  "byte-soft": "softBytes",
  "byte-hard": "hardBytes",
  "packet-soft": "softPackets",
  "packet-hard": "hardPackets",
};

/** `ip xfrm state COMMAND ARGV`. */
export function xfrmState(argv: readonly string[], options: IpOptions, context: ToolContext): ToolOutput {
  const [command = "list", ...rest] = argv;
  const { ns } = context;
  const words = new Words(rest);
  if (isCommand(command, "add")) xfrmStateAdd(ns, parseState(words, context));
  else if (isCommand(command, "update")) xfrmStateUpdate(ns, parseState(words, context));
  else if (isCommand(command, "delete")) xfrmStateDel(ns, parseId(words));
  else if (isCommand(command, "deleteall")) {
    for (const { spec } of xfrmStateDump(ns).filter(parseFilter(words)))
      xfrmStateDel(ns, { ...spec, mark: spec.mark.value });
  } else if (isCommand(command, "list", "show", "lst")) {
    const found = xfrmStateDump(ns).filter(parseFilter(words));
    return ipOutput(found.map((x) => stateText(x, ns, options.stats)).join(""));
  } else if (isCommand(command, "get")) {
    return ipOutput(stateText(xfrmStateGet(ns, parseId(words)), ns, options.stats));
  } else if (isCommand(command, "flush")) flush(words, context);
  else if (isCommand(command, "count")) return count(xfrmStateDump(ns).length, options);
  else if (isCommand(command, "allocspi", "help")) throw new NotModelledError(`ip xfrm state ${command}`);
  else throw new UsageError(`Command "${command}" is unknown, try "ip xfrm state help".`, 255);
  return ipOutput("");
}

/** Buckets of the table at its smallest, and the most it may grow to. */
function count(states: number, options: IpOptions): ToolOutput {
  return ipOutput(`\t SAD count ${states}${options.stats ? " (buckets count 8 Max 1048576)" : ""}\n`);
}

function flush(words: Words, context: ToolContext): void {
  takeId(words);
  if (!words.done) throw invarg("unknown", words.peek());
  xfrmStateFlush(context.ns);
}

function parseState(words: Words, context: ToolContext): XfrmStateSpec {
  const draft: Draft = {};
  let id: IdWords | null = null;
  while (!words.done) {
    if (isId(words.peek())) {
      if (id !== null) throw invarg("unknown", words.peek());
      id = takeId(words);
    } else takeStateWord(draft, words.next(), words, context);
  }
  if (id === null) throw new UsageError('Error: argument "ID" is required', 255);
  if (draft.key === undefined) {
    const need = 'ALGO-TYPE value "enc" or "aead" is required with XFRM-PROTO value "esp"';
    throw new UsageError(need, 1);
  }
  const { saddr = 0, daddr = 0, spi = 0 } = id;
  const { algorithm = "", key, icvBits = 0, reqid = 0, mark = ANY_MARK, sel = ANY_SELECTOR } = draft;
  const { flags = 0, seq = 0, replayWindow = 0, limits = NO_LIMITS } = draft;
  return { saddr, daddr, spi, reqid, mark, sel, flags, seq, replayWindow, algorithm, key, icvBits, limits };
}

function takeStateWord(draft: Draft, word: string, words: Words, context: ToolContext): void {
  if (word === "mode") takeMode(words.next());
  else if (word === "mark") draft.mark = takeMark(words);
  else if (word === "reqid") draft.reqid = numberWord(words.next(), "REQID value is invalid") | 0;
  else if (word === "seq") draft.seq = numberWord(words.next(), "SEQ value is invalid");
  else if (word === "replay-window") {
    draft.replayWindow = numberWord(words.next(), 'value after "replay-window" is invalid');
  } else if (word === "flag") draft.flags = takeFlags(words);
  else if (word === "sel") draft.sel = takeSelector(words, context.ns);
  else if (word === "limit") draft.limits = takeLimit(draft.limits ?? NO_LIMITS, words);
  else if (word === "aead") takeAead(draft, words);
  else if (ALGO_TYPES.includes(word)) throw new NotModelledError(`ip xfrm state: ${word}`);
  else if (/^(replay-|extra-flag|encap|coa|ctx|offload|output-mark|if_id|tfcpad)/.test(word))
    throw new NotModelledError(`ip xfrm state: ${word}`);
  else throw invarg("unknown", word);
}

function takeFlags(words: Words): number {
  let flags = 0;
  for (;;) {
    const found = STATE_FLAGS.find(([name]) => name === words.peek());
    if (found === undefined) break;
    words.next();
    flags |= found[1];
  }
  if (words.peek() === "esn") throw new NotModelledError("xfrm flag esn");
  return flags;
}

function takeLimit(limits: XfrmLimits, words: Words): XfrmLimits {
  const word = words.next();
  const name = LIMITS[word];
  if (name === undefined) {
    if (word.startsWith("time-")) throw new NotModelledError(`xfrm limit ${word}`);
    throw invarg('"LIMIT" is invalid', word);
  }
  return { ...limits, [name]: numberWord(words.next(), `"${word}" value is invalid`) };
}

/** `aead NAME KEY ICV-BITS`; a key is hexadecimal behind 0x, else the characters themselves. */
function takeAead(draft: Draft, words: Words): void {
  draft.algorithm = words.next();
  const text = words.next();
  draft.key = text.startsWith("0x") && text.length > 2 ? hexKey(text) : ascii(text);
  draft.icvBits = numberWord(words.next(), "ALGO-ICV-LEN value is invalid");
}

function hexKey(text: string): Uint8Array {
  const digits = text.length % 2 === 0 ? text.slice(2) : `0${text.slice(2)}`;
  if (!/^[0-9a-fA-F]*$/.test(digits)) throw invarg("ALGO-KEYMAT value is invalid", text);
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

function parseId(words: Words): { daddr: number; spi: number; mark: number } {
  const { daddr = 0, spi = 0 } = takeId(words);
  let mark = 0;
  if (words.peek() === "mark") {
    words.next();
    const given = takeMark(words);
    mark = given.value & given.mask;
  }
  if (!words.done) throw invarg("unknown", words.peek());
  return { daddr, spi, mark };
}

/** What `list` and `deleteall` are asked for. */
function parseFilter(words: Words): (x: XfrmState) => boolean {
  let id: IdWords = {};
  let reqid: number | null = null;
  while (!words.done) {
    if (isId(words.peek())) {
      id = takeId(words);
      continue;
    }
    const word = words.next();
    if (word === "mode") takeMode(words.next());
    else if (word === "reqid") reqid = numberWord(words.next(), "REQID value is invalid") | 0;
    else throw new NotModelledError(`ip xfrm state list ${word}`);
  }
  return ({ spec }) =>
    (id.saddr === undefined || id.saddr === spec.saddr) &&
    (id.daddr === undefined || id.daddr === spec.daddr) &&
    (id.spi === undefined || id.spi === spec.spi) &&
    (reqid === null || reqid === spec.reqid);
}

/** `ip xfrm policy` (iproute2 6.1 ip/xfrm_policy.c). */
import {
  type XfrmPolicyId,
  xfrmPolicyAdd,
  xfrmPolicyDel,
  xfrmPolicyDump,
  xfrmPolicyFlush,
  xfrmPolicyGet,
} from "../../net/ctl/xfrm.ts";
import type { XfrmDir, XfrmPolicySpec } from "../../net/xfrm/xfrm-policy.ts";
import { ANY_MARK, ANY_SELECTOR } from "../../net/xfrm/xfrm-selector.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { DIRECTIONS, policyText } from "./ip-xfrm-format.ts";
import { isSelector, takeMark, takeSelector, takeTmpl } from "./ip-xfrm-words.ts";
import { invarg, isCommand, numberWord, Words } from "./words.ts";

type Draft = { -readonly [K in keyof XfrmPolicySpec]?: XfrmPolicySpec[K] };

/** `ip xfrm policy COMMAND ARGV`. */
export function xfrmPolicy(argv: readonly string[], options: IpOptions, context: ToolContext): ToolOutput {
  const [command = "list", ...rest] = argv;
  const { ns } = context;
  const words = new Words(rest);
  if (isCommand(command, "add")) xfrmPolicyAdd(ns, parsePolicy(words, context), false);
  else if (isCommand(command, "update")) xfrmPolicyAdd(ns, parsePolicy(words, context), true);
  else if (isCommand(command, "delete")) xfrmPolicyDel(ns, parsePolicyId(words, context));
  else if (isCommand(command, "get")) {
    return ipOutput(policyText(xfrmPolicyGet(ns, parsePolicyId(words, context)), ns, options.stats));
  } else if (isCommand(command, "list", "show", "lst")) return list(words, options, context);
  else if (isCommand(command, "flush")) {
    if (!words.done) throw new NotModelledError(`ip xfrm policy flush ${words.peek()}`);
    xfrmPolicyFlush(ns);
  } else if (isCommand(command, "count")) return count(options, context);
  else if (isCommand(command, "deleteall", "set", "setdefault", "getdefault", "help"))
    throw new NotModelledError(`ip xfrm policy ${command}`);
  else throw new UsageError(`Command "${command}" is unknown, try "ip xfrm policy help".`, 255);
  return ipOutput("");
}

function list(words: Words, options: IpOptions, { ns }: ToolContext): ToolOutput {
  let dir: XfrmDir | null = null;
  while (!words.done) {
    const word = words.next();
    if (word !== "dir") throw new NotModelledError(`ip xfrm policy list ${word}`);
    dir = takeDir(words.next());
  }
  const found = xfrmPolicyDump(ns).filter(({ spec }) => dir === null || spec.dir === dir);
  return ipOutput(found.map((policy) => policyText(policy, ns, options.stats)).join(""));
}

function count(options: IpOptions, { ns }: ToolContext): ToolOutput {
  const counts = DIRECTIONS.map(
    ([, dir]) => xfrmPolicyDump(ns).filter(({ spec }) => spec.dir === dir).length,
  );
  const text = `\t SPD IN  ${counts[0]} OUT ${counts[1]} FWD ${counts[2]}`;
  return ipOutput(`${text}${options.stats ? " (Sock: IN 0 OUT 0 FWD 0)" : ""}\n`);
}

function takeDir(word: string): XfrmDir {
  const found = DIRECTIONS.find(([name]) => name === word);
  if (found === undefined) throw invarg('"DIR" is invalid', word);
  return found[1];
}

function parsePolicy(words: Words, context: ToolContext): XfrmPolicySpec {
  const draft: Draft = {};
  while (!words.done) {
    if (isSelector(words.peek())) {
      if (draft.sel !== undefined) throw invarg("unknown", words.peek());
      draft.sel = takeSelector(words, context.ns);
    } else takePolicyWord(draft, words.next(), words);
  }
  const { dir, sel = ANY_SELECTOR, action = "allow", priority = 0, mark = ANY_MARK, tmpl = null } = draft;
  if (dir === undefined) throw new UsageError("Not enough information: DIR is required.", 1);
  return { sel, dir, action, priority, mark, tmpl };
}

function takePolicyWord(draft: Draft, word: string, words: Words): void {
  if (word === "dir") draft.dir = takeDir(words.next());
  else if (word === "mark") draft.mark = takeMark(words);
  else if (word === "priority") draft.priority = numberWord(words.next(), "PRIORITY value is invalid");
  else if (word === "action") {
    const action = words.next();
    if (action !== "allow" && action !== "block") throw invarg('"action" value is invalid', action);
    draft.action = action;
  } else if (word === "ptype") {
    const type = words.next();
    if (type !== "main") throw new NotModelledError(`xfrm ptype ${type}`);
  } else if (word === "tmpl") {
    if (draft.tmpl !== undefined) throw new NotModelledError("more than one xfrm template");
    draft.tmpl = takeTmpl(words);
  } else if (["ctx", "index", "flag", "limit", "if_id", "offload"].includes(word))
    throw new NotModelledError(`ip xfrm policy: ${word}`);
  else throw invarg("unknown", word);
}

function parsePolicyId(words: Words, context: ToolContext): XfrmPolicyId {
  const { sel, dir, mark } = parsePolicy(words, context);
  return { sel, dir, mark };
}

/**
 * Joins the three parts of a command: its words are parsed, it runs (a routine may wait), its text is made. What the
 * kernel or the parser refuses becomes the real command's text and exit status.
 */
import type { Co } from "../host/process.ts";
import { SysError, strerror, UsageError } from "../util/errors.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

function isRoutine(value: unknown): value is Co<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { next?: unknown }).next === "function"
  );
}

/** `argv` is without the command's name. Throws NotModelledError, KilledError and what is a bug. */
export function* runTool(tool: Tool, argv: readonly string[], context: ToolContext): Co<ToolOutput> {
  let args: unknown = null;
  try {
    args = tool.parse(argv, context);
    const started = tool.run(args, context);
    const result = isRoutine(started) ? yield* started : started;
    return tool.render(result, args, context);
  } catch (error) {
    const refusal = error instanceof SysError || error instanceof UsageError;
    if (!refusal) throw error;
    const output = tool.failure?.(error, args) ?? defaultFailure(tool.name, error);
    return error instanceof UsageError ? { ...output, misuse: error.message } : output;
  }
}

function defaultFailure(name: string, error: SysError | UsageError): ToolOutput {
  if (error instanceof SysError)
    return { stdout: "", stderr: `${name}: ${strerror(error.code)}\n`, status: 1 };
  return usageOutput(error);
}

/** What a refused command line says. */
export function usageOutput({ message, status }: UsageError): ToolOutput {
  return { stdout: "", stderr: message === "" || message.endsWith("\n") ? message : `${message}\n`, status };
}

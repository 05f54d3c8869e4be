/** What applets of busybox share: numbers, names (libbb/xatonum.c, xconnect.c). */
import type { Co, Process } from "../../host/process.ts";
import { ResolveError, resolveHost } from "../../host/resolver.ts";
import { UsageError } from "../../util/errors.ts";

/** A whole number without sign; the applet's complaint otherwise. */
export function busyboxNumber(applet: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`${applet}: invalid number '${text}'`, 1);
  return Number(text);
}

/** The first IPv4 address of a host. */
export function* busyboxAddress(applet: string, host: string, process: Process): Co<number> {
  try {
    return (yield* resolveHost(process, host))[0];
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    throw new UsageError(`${applet}: bad address '${host}'`, 1);
  }
}

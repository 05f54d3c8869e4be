/** Times as the docker command prints them (docker/go-units duration.go, RFC 3339 with nanoseconds). */
import { daysFromCivil, EPOCH_SECONDS, wallTimeAt } from "../../sim/wall-clock.ts";

const SEC = 1_000_000_000;

/** `5 minutes`, `About an hour`, `Less than a second`. */
export function humanDuration(ns: number): string {
  const seconds = Math.floor(ns / SEC);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(seconds / 3600 / 24 / 365)} years`;
}

const two = (n: number): string => String(n).padStart(2, "0");

/** `2026-11-21T04:04:04.500864728Z`; zeros at the end of the fraction are left out. */
export function rfc3339(atNs: number): string {
  const t = wallTimeAt(atNs);
  const fraction = String(atNs % SEC)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const date = `${t.year}-${two(t.month)}-${two(t.day)}`;
  return `${date}T${two(t.hour)}:${two(t.minute)}:${two(t.second)}${fraction === "" ? "" : `.${fraction}`}Z`;
}

/** `2026-11-21 04:04:04 +0000 UTC`, as the columns with times show them. */
export function goTime(atNs: number): string {
  const t = wallTimeAt(atNs);
  return `${t.year}-${two(t.month)}-${two(t.day)} ${two(t.hour)}:${two(t.minute)}:${two(t.second)} +0000 UTC`;
}

/** The same with all nine digits, as log lines have it. */
export function rfc3339Fixed(atNs: number): string {
  const [seconds, fraction = ""] = rfc3339(atNs).slice(0, -1).split(".");
  return `${seconds}.${fraction.padEnd(9, "0")}Z`;
}

/** `10m` ago, a date with or without a time, seconds since 1970: as virtual time; null when it is none of them. */
export function parseMoment(text: string, nowNs: number): number | null {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const units: Readonly<Record<string, number>> = { ms: 1e6, s: SEC, m: 60 * SEC, h: 3600 * SEC };
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text)
    return nowNs - parts.reduce((sum, [, value, unit]) => sum + Number(value) * units[unit], 0);
  if (/^\d+(\.\d+)?$/.test(text)) return (Number(text) - EPOCH_SECONDS) * SEC;
  const found = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(\.\d+)?)?)?Z?)?$/.exec(text);
  if (found === null) return null;
  const [year, month, day, hour, minute, second, fraction] = found.slice(1).map((part) => Number(part ?? 0));
  const seconds = daysFromCivil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
  return (seconds - EPOCH_SECONDS) * SEC + Math.round(fraction * SEC);
}

/** The time of day of a lab: virtual time 0 is 2026-11-21 04:00:00 UTC (asctime of ctime(3) for the text). */
import { SEC, type Sim } from "./sim.ts";

/** A moment, broken down as struct tm: UTC. */
export interface WallTime {
  readonly year: number;
  /** 1 to 12 */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly nanosecond: number;
  /** 0 is Sunday. */
  readonly weekday: number;
}

/** Virtual time 0 in seconds since 1970-01-01 00:00:00 UTC. */
export const EPOCH_SECONDS = 1_795_233_600;

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Seconds since 1970 of the present moment. */
export function unixSeconds(sim: Sim): number {
  return EPOCH_SECONDS + Math.floor(sim.now / SEC);
}

/** The present moment. */
export function wallTime(sim: Sim): WallTime {
  return wallTimeAt(sim.now);
}

/** The moment `atNs` of virtual time. Days to civil date: proleptic Gregorian, years that begin in March. */
export function wallTimeAt(atNs: number): WallTime {
  const seconds = EPOCH_SECONDS + Math.floor(atNs / SEC);
  const days = Math.floor(seconds / 86400);
  const rest = seconds - days * 86400;
  const shifted = days + 719468;
  const era = Math.floor(shifted / 146097);
  const dayOfEra = shifted - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
    hour: Math.floor(rest / 3600),
    minute: Math.floor(rest / 60) % 60,
    second: rest % 60,
    nanosecond: atNs - Math.floor(atNs / SEC) * SEC,
    weekday: (days + 4) % 7,
  };
}

/** Days since 1970-01-01 of a date of the Gregorian calendar. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return (
    era * 146097 +
    yearOfEra * 365 +
    Math.floor(yearOfEra / 4) -
    Math.floor(yearOfEra / 100) +
    dayOfYear -
    719468
  );
}

/** `Sat Nov 21 04:09:59 2026`, as ctime(3) without the line end. */
export function formatCtime(time: WallTime): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  const day = String(time.day).padStart(2, " ");
  const clock = `${two(time.hour)}:${two(time.minute)}:${two(time.second)}`;
  return `${DAYS[time.weekday]} ${MONTHS[time.month - 1]} ${day} ${clock} ${time.year}`;
}

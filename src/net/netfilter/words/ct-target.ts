/** The words of CT (libxt_CT.c): `--notrack`, `--zone`, `--zone-orig`, `--zone-reply`. */
import { NotModelledError } from "../../../util/errors.ts";
import {
  NF_CT_DEFAULT_ZONE_DIR,
  NF_CT_FLAG_MARK,
  NF_CT_ZONE_DIR_ORIG,
  NF_CT_ZONE_DIR_REPL,
} from "../conntrack/conn.ts";
import type { CtTarget } from "../rule-spec.ts";
import { type Extension, problem } from "./extension.ts";
import { parseNumber } from "./names.ts";

/** Directions by option. */
const ZONES: Readonly<Record<string, number>> = {
  zone: 0,
  "zone-orig": NF_CT_ZONE_DIR_ORIG,
  "zone-reply": NF_CT_ZONE_DIR_REPL,
};
const MAX_ZONE = 0xffff;

function zoneId(text: string): number {
  const id = parseNumber(text);
  return id === null || id < 0 || id > MAX_ZONE ? problem(`Cannot parse ${text} as a zone ID`) : id;
}

export const CT: Extension<CtTarget> = {
  name: "CT",
  options: [
    { name: "notrack", arg: false },
    ...["helper", "timeout", "ctevents", "expevents", ...Object.keys(ZONES)].map((name) => ({
      name,
      arg: true,
    })),
  ],
  open: () => {
    let notrack = false;
    let zone = 0;
    let zoneFlags = 0;
    return {
      take: ({ name, value }) => {
        if (name === "notrack") notrack = true;
        else if (!Object.hasOwn(ZONES, name)) throw new NotModelledError(`-j CT --${name}`);
        else {
          zoneFlags |= ZONES[name];
          zone = 0;
          if (value.toLowerCase() === "mark") zoneFlags |= NF_CT_FLAG_MARK;
          else zone = zoneId(value);
        }
      },
      finish: () => ({ name: "CT", notrack, zone, zoneFlags }),
    };
  },
};

/** `zone 5`, `zone-orig mark`; of two directions the last number is that of both. "" for zone 0. */
export function zoneWords({ zone, zoneFlags }: CtTarget): string {
  const value = (zoneFlags & NF_CT_FLAG_MARK) !== 0 ? "mark" : String(zone);
  if (value === "0") return "";
  const dirs = zoneFlags & NF_CT_DEFAULT_ZONE_DIR;
  if (dirs === NF_CT_ZONE_DIR_ORIG) return `zone-orig ${value}`;
  return dirs === NF_CT_ZONE_DIR_REPL ? `zone-reply ${value}` : `zone ${value}`;
}

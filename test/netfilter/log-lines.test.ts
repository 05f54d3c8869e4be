/** Lines of LOG and TRACE as a 6.1 kernel wrote them about the same packets (dmesg, recorded). */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { MeshSide } from "../oracle/mesh-side.ts";
import { fromHex } from "../oracle/packet.ts";
import { LOG_CASE, LOG_PAUSE_MS, logLine } from "./firewalls/log-case.ts";

const EXPECTED = readFileSync(new URL("./firewalls/log-lines.txt", import.meta.url), "utf8")
  .split(/^# /m)
  .slice(1)
  .map((block) => block.split("\n").filter((line) => line !== ""))
  .map(([note, ...lines]) => ({ note, lines }));

test("every kind of packet, with every option of LOG", () => {
  const side = new MeshSide(LOG_CASE.one, 1);
  const seen = LOG_CASE.one.steps.map(({ at = "", frame = "", note }) => {
    side.ask("host", ["dmesg -C"]);
    side.inject(at, fromHex(frame));
    const text = side.ask("host", ["dmesg -t"])[0];
    side.rest(LOG_PAUSE_MS);
    return {
      note,
      lines: text
        .split("\n")
        .filter((line) => line.includes("IN="))
        .map(logLine),
    };
  });
  side.close();
  expect(seen).toEqual(EXPECTED);
});

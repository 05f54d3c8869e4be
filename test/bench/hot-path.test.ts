import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const PROGRAM = fileURLToPath(new URL("allocation.ts", import.meta.url));

/** A boxed number is 16 bytes: one such a packet is too much, the lab's own timers are far less. */
const MOST_BYTES_PER_PACKET = 12;

describe("packets of known flows on the ingress path", () => {
  const result = JSON.parse(
    execFileSync(process.execPath, ["--expose-gc", PROGRAM], { encoding: "utf8" }),
  ) as {
    bytesPerPacket: number;
    sent: number;
    delivered: number;
    outstanding: number;
  };

  it("all arrive", () => expect(result.delivered).toBe(result.sent));
  it("allocate nothing", () => expect(result.bytesPerPacket).toBeLessThan(MOST_BYTES_PER_PACKET));
  it("give every buffer back", () => expect(result.outstanding).toBe(0));
});

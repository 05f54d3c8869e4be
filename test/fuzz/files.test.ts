/** Damaged files: a page or a capture is read, or refused in one line that says where; nothing else. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CaptureError } from "../../src/capture/capture-error.ts";
import { pcapText } from "../../src/capture/dissect.ts";
import { createLab, ScenarioError } from "../../src/index.ts";
import { Prng } from "../../src/util/prng.ts";

const shipped = (name: string) => readFileSync(new URL(`../../captures/${name}`, import.meta.url));

/** What `read` throws that it should not, with what it read. */
function surprises(
  count: number,
  kind: typeof ScenarioError | typeof CaptureError,
  read: () => () => void,
): string[] {
  const found: string[] = [];
  for (let i = 0; i < count; i++) {
    const attempt = read();
    try {
      attempt();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      if (!(error instanceof kind) || error.message.includes("\n")) found.push(text);
    }
  }
  return found;
}

test("front matter with characters lost, put in and exchanged", () => {
  const prng = new Prng(12, "pages");
  const page = shipped("ingress.md").toString();
  const front = page.slice(0, page.indexOf("\n---\n", 4) + 5);
  const damaged = (): string => {
    const chars = front.split("");
    for (let changes = 1 + prng.below(3); changes > 0; changes--) {
      const at = prng.below(front.length);
      const kind = prng.below(3);
      if (kind === 0) chars.splice(at, 1 + prng.below(6));
      else if (kind === 1) chars[at] = prng.pick([..."{}[]:,-#&*!|>'\"% 0a\n\t~"]);
      else chars.splice(at, 0, ...front.slice(prng.below(front.length)).slice(0, prng.below(12)));
    }
    return `${chars.join("")}# x\n\`\`\`console\nclient$ true\n\`\`\`\n`;
  };
  const read = () => {
    const source = damaged();
    return () => void createLab({ source });
  };
  expect(surprises(400, ScenarioError, read)).toEqual([]);
});

test("captures with bytes changed and the end cut off", () => {
  const prng = new Prng(13, "captures");
  const files = ["firewall-reject.pcapng", "udp-refused.pcapng"].map(shipped);
  const read = () => {
    const bytes = Uint8Array.from(prng.pick(files));
    for (let changes = 1 + prng.below(5); changes > 0; changes--)
      bytes[prng.below(prng.below(3) === 0 ? 200 : bytes.length)] = prng.below(256);
    const file = prng.below(3) === 0 ? bytes.subarray(0, prng.below(bytes.length)) : bytes;
    return () => void pcapText(file, "x.pcapng");
  };
  expect(surprises(600, CaptureError, read)).toEqual([]);
});

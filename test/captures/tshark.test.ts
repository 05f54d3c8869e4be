/** What tshark and tcpdump say about the files that labs write. Skipped, loudly, where they are not installed. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { pcapText } from "../../src/capture/dissect.ts";
import { FOLDER, PAGES, runShipped, shippedFiles } from "./shipped.ts";

const installed = (tool: string) => spawnSync(tool, ["--version"]).status === 0;
const TSHARK = installed("tshark");
const TCPDUMP = installed("tcpdump");
if (!TSHARK) console.warn("SKIPPED: no tshark here, nothing but our own reader has judged the captures");
if (!TCPDUMP) console.warn("SKIPPED: no tcpdump here, nothing but our own reader has judged the captures");

const folder = mkdtempSync(join(tmpdir(), "meshwire-tshark-"));
afterAll(() => rmSync(folder, { recursive: true }));

const CHECKS = ["ip", "tcp", "udp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`]);
/** One file with every interface shows each packet many times. */
const MERGED = ["-o", "tcp.analyze_sequence_numbers:FALSE"];
const WRONG = ["_ws.malformed", ...["ip", "tcp", "udp", "icmp"].map((p) => `${p}.checksum.status == "Bad"`)];

function tool(name: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(name, args, {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env: { ...process.env, TZ: "UTC" },
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

/** What tshark warns of and a real network does too when it is asked to. */
const REFUSED = /Connection reset \(RST\)$/;

/** Lines of tshark's expert report at the level of warnings and above, without the counts. */
function warnings(file: string, more: readonly string[]): string[] {
  return tool("tshark", ["-r", file, ...CHECKS, ...more, "-q", "-z", "expert,warn"])
    .split("\n")
    .filter((line) => /^\s+\d+\s+\S/.test(line) && !REFUSED.test(line))
    .map((line) => line.trim().replace(/^\d+\s+/, ""));
}

describe.skipIf(!TSHARK)("tshark", () => {
  describe.each(shippedFiles())("of %s", (name) => {
    const file = fileURLToPath(new URL(name, FOLDER));

    test("finds nothing malformed, no bad checksum and nothing to warn about", () => {
      expect(tool("tshark", ["-r", file, ...CHECKS, ...MERGED, "-Y", WRONG.join(" || ")])).toBe("");
      expect(warnings(file, MERGED)).toEqual([]);
    });

    test("shows the interfaces by name and what happened to each packet", () => {
      const fields = ["-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment"];
      const lines = tool("tshark", ["-r", file, ...fields])
        .trimEnd()
        .split("\n");
      expect(lines.filter((line) => !/^[\w-]+\/[\w.-]+\/[\w-]+\t/.test(line))).toEqual([]);
      expect(
        lines.filter((line) => /\t(route|conntrack|nat|bridge|fdb|forward|filter|mangle)/.test(line)),
      ).not.toEqual([]);
    });
  });
});

describe.each(PAGES)("one file an interface of captures/%s.md", (page) => {
  const { windows } = runShipped(page).live;
  const write = (window: (typeof windows)[number], name: string): string => {
    const path = join(folder, `${page}-${window.name}-${name}`);
    writeFileSync(path, window.pcap(name));
    return path;
  };

  test.skipIf(!TSHARK)("is what tshark knows of a real client: TCP in order", () => {
    for (const window of windows)
      for (const { name } of window.files().filter((file) => file.name.startsWith("client__")))
        expect(warnings(write(window, name), []), name).toEqual([]);
  });

  test.skipIf(!TCPDUMP)("prints with tcpdump as with us, and tcpdump has nothing against it", () => {
    for (const window of windows)
      for (const { name } of window.files()) {
        const file = write(window, name);
        const text = tool("tcpdump", ["-nn", "-e", "-r", file]);
        expect(text, name).toBe(
          pcapText(window.pcap(name), file)
            .map((line) => `${line}\n`)
            .join(""),
        );
        expect(text, name).not.toMatch(/bad.cksum|\[\||invalid|truncated/);
      }
  });
});

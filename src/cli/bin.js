#!/usr/bin/env node
/**
 * Starts meshwire under a Node.js that runs TypeScript sources as they are (22.18, or 23.6 and later). An older one hands
 * over to the copy that `npm install` puts into node_modules. Plain JavaScript, so that any Node.js can read it.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
const self = fileURLToPath(import.meta.url);

/** The Node.js of the nearest node_modules, null when there is none. */
function installedNode() {
  for (let folder = dirname(self); dirname(folder) !== folder; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", "node", "bin", "node");
    if (existsSync(candidate) && candidate !== process.execPath) return candidate;
  }
  return null;
}

if (major > 23 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18)) {
  const { main } = await import("./main.ts");
  process.exitCode = await main(process.argv.slice(2));
} else {
  const node = installedNode();
  if (node === null || process.env.MESHWIRE_HANDED_OVER === "1") {
    process.stderr.write(
      `meshwire needs Node.js 22.18 or later, this is ${process.versions.node}: run \`npm install\` in ${join(dirname(self), "../..")}, or install a newer Node.js\n`,
    );
    process.exitCode = 2;
  } else {
    const env = { ...process.env, MESHWIRE_HANDED_OVER: "1" };
    const { status, signal } = spawnSync(node, [self, ...process.argv.slice(2)], { stdio: "inherit", env });
    process.exitCode = status ?? (signal === "SIGINT" ? 130 : 1);
  }
}

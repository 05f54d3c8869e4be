/** `npm run bench [-- --json FILE]`: prints the table, writes the numbers. What each row is: README.md beside this file. */
import { writeFileSync } from "node:fs";
import { IngressLab } from "./ingress-lab.ts";
import { labRows } from "./labs.ts";
import { calibrate, type Row } from "./measure.ts";
import { scaleRows } from "./scale.ts";
import { stageRows } from "./stages.ts";
import { streamRows } from "./streams.ts";

/** Groups whose unit is a packet. */
const PACKET_GROUPS = new Set(["end to end", "leg"]);

function duration(ns: number): string {
  return ns < 1e6 ? `${ns.toFixed(ns < 100 ? 1 : 0)} ns` : `${(ns / 1e6).toFixed(1)} ms`;
}

/** Columns: name, CPU time, thousands of packets a second, multiples of the calibration step, note; 80 wide. */
function columns(name: string, time: string, rate: string, steps: string, note: string): string {
  const line = `${name.padEnd(40)}${time.padStart(10)}${rate.padStart(9)}${steps.padStart(7)}  ${note}`;
  return `${line.trimEnd()}\n`;
}

function line({ group, name, ns, note }: Row, stepNs: number): string {
  const rate = PACKET_GROUPS.has(group) ? `${(1e6 / ns).toFixed(0)} k/s` : "";
  return columns(name, duration(ns), rate, ns < 1e6 ? (ns / stepNs).toFixed(0) : "", note);
}

function jsonPath(argv: readonly string[]): string | null {
  if (argv.length === 0) return null;
  if (argv.length === 2 && argv[0] === "--json") return argv[1];
  process.stderr.write("usage: npm run bench [-- --json FILE]\n");
  process.exit(2);
}

function print(rows: readonly Row[], stepNs: number): void {
  let group = "";
  for (const row of rows) {
    if (row.group !== group) process.stdout.write(`\n${row.group}\n`);
    group = row.group;
    process.stdout.write(line(row, stepNs));
  }
}

function main(): void {
  const file = jsonPath(process.argv.slice(2));
  const stepNs = calibrate();
  process.stdout.write(`node ${process.versions.node}, calibration step ${stepNs.toFixed(2)} ns\n`);
  process.stdout.write(columns("", "CPU", "rate", "steps", ""));
  const all: Row[] = [];
  const lab = new IngressLab();
  for (const part of [() => streamRows(lab), () => stageRows(lab), () => scaleRows(lab), labRows]) {
    const rows = part();
    print(rows, stepNs);
    all.push(...rows);
  }
  const lost = lab.settle();
  if (lost !== 0) throw new Error(`${lost} packet buffers were not given back`);
  if (file !== null)
    writeFileSync(file, `${JSON.stringify({ node: process.versions.node, stepNs, rows: all }, null, 1)}\n`);
}

main();

/** `meshwire trace`: runs a page, then one more command, and tells every hop of its packets. */
import { Dissector, PLAIN } from "../capture/dissect.ts";
import { frameComments, interfaceLabel } from "../capture/merge.ts";
import { PageRun } from "../scenario/run-page.ts";
import { SEC } from "../sim/sim.ts";
import { UsageError } from "../util/errors.ts";
import { OK } from "./failure.ts";
import { readPage } from "./files.ts";
import type { Terminal } from "./terminal.ts";

const WINDOW = "trace";
/** Time for what comes after the command has ended, such as the last ACK. */
const AFTER_NS = SEC / 10;

/** `from` is `MACHINE` or `MACHINE/NETNS`. Returns the exit status. */
export function tracePage(
  file: string,
  from: string,
  command: string,
  seed: number | null,
  terminal: Terminal,
): number {
  const loaded = readPage(file, seed);
  const [machine, netns] = from.split("/");
  if (!loaded.spec.machines.some(({ name }) => name === machine))
    throw new UsageError(
      `unknown machine ${machine}; there is: ${loaded.spec.machines.map(({ name }) => name).join(", ")}`,
      2,
    );
  const run = new PageRun(loaded, { traces: true, recordRun: false });
  run.run(({ command: done }) => terminal.progress(`${done.machine}$ ${done.text}`));
  const { live } = run;
  live.lab.wait(AFTER_NS);
  const window = live.startCapture(WINDOW);
  const result = live.shell(machine, command, netns ?? "host");
  live.lab.wait(AFTER_NS);
  window.stop();
  terminal.out(
    `${machine}$ ${command}\n${result.text}${result.text === "" || result.text.endsWith("\n") ? "" : "\n"}`,
  );
  if (result.status !== 0) terminal.out(`[${result.status}]\n`);
  const { recorder } = window;
  const dissector = new Dissector({ ...PLAIN, noTime: true });
  const comments = frameComments(recorder);
  for (let i = 0; i < recorder.frameCount; i++) {
    const micros = ((recorder.frameTimeNs(i) - window.startedNs) / 1000).toFixed(3).padStart(12);
    const label = interfaceLabel(recorder.interfaces[recorder.frameInterface(i)]);
    const way = recorder.frameOutgoing(i) ? "out" : "in ";
    terminal.out(
      `${micros} us  ${way} ${label}  ${dissector.text(recorder.frameAt(i), recorder.frameLinkType(i))}\n`,
    );
    for (const line of comments[i].split("\n").filter((text) => text !== ""))
      terminal.out(`${" ".repeat(21)}${terminal.dim(line)}\n`);
  }
  return OK;
}

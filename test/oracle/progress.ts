/** How far a run is: on a terminal one line that changes, in a pipe a line every so many frames. */

const LINE_EVERY_FRAMES = 5000;
const CLEAR_LINE = "\r\x1b[K";

export class Progress {
  frames = 0;
  cases = 0;
  differing = 0;
  private readonly wanted: number;
  private readonly terminal = process.stdout.isTTY === true;
  private readonly started = performance.now();
  private said = 0;

  constructor(wanted: number) {
    this.wanted = wanted;
  }

  add(frames: number, differs: boolean): void {
    this.frames += frames;
    this.cases++;
    if (differs) this.differing++;
    if (this.terminal) process.stdout.write(`${CLEAR_LINE}${this.line()}`);
    else if (this.frames - this.said >= LINE_EVERY_FRAMES) {
      this.said = this.frames;
      process.stdout.write(`${this.line()}\n`);
    }
  }

  /** A text of its own. */
  say(text: string): void {
    process.stdout.write(`${this.terminal ? CLEAR_LINE : ""}${text}\n`);
  }

  end(lastSeed: number): void {
    const seconds = ((performance.now() - this.started) / 1000).toFixed(0);
    this.say(`${this.line()}; ${seconds} s, up to seed ${lastSeed}`);
  }

  private line(): string {
    const rate = Math.round(this.frames / ((performance.now() - this.started) / 1000));
    return `${this.frames}/${this.wanted} frames, ${this.cases} cases, ${this.differing} differ, ${rate} frames/s`;
  }
}

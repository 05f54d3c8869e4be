/** What the engines of one lab share: the seed, the pins, the images, and the reading of what they send each other. */
import type { Machine } from "../host/machine.ts";
import type { Program } from "../host/process.ts";
import type { NetNs } from "../net/core/net-ns.ts";
import type { Sim } from "../sim/sim.ts";
import type { Prng } from "../util/prng.ts";
import type { Container } from "./container.ts";
import type { ContainerLog } from "./container-log.ts";
import { type ImageTable, imageTable } from "./images.ts";
import { AnswerOrder } from "./network/answer-order.ts";
import { PinBook, type Pins } from "./pins.ts";
import { Meanings } from "./wire/meanings.ts";

export class SwarmFabric {
  readonly sim: Sim;
  readonly prng: Prng;
  readonly pins: PinBook;
  readonly images: ImageTable;
  /** What the engines' encrypted packets say. */
  readonly meanings: Meanings;
  /** Order of the addresses in answers of the embedded DNS servers. */
  readonly answers: AnswerOrder;
  /** Runs a command line in a container's namespace: the lab's shell sets it. Null: only built-in programs run. */
  runCommand: ((machine: Machine, ns: NetNs, argv: readonly string[], log: ContainerLog) => Program) | null =
    null;

  /** Whether a container's first word is a program that `runCommand` can start. */
  hasProgram: (machine: Machine, container: Container, word: string) => boolean = () => true;

  /** Finds the container of a task on whatever node it is; the engines set it. */
  readonly taskContainers = new Map<string, Container>();

  constructor(sim: Sim, prng: Prng, pins: Pins = {}, images: ImageTable = imageTable()) {
    this.sim = sim;
    this.prng = prng;
    this.pins = new PinBook(pins);
    this.images = images;
    this.answers = new AnswerOrder(sim, prng.stream("answers"), pins.answers);
    this.meanings = new Meanings(sim);
  }
}

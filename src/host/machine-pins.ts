/** What a lab page fixes of the chances of one machine: lists of values that its programs take before they draw. */
import { Pinned, type PinnedPart } from "../util/pinned.ts";

type ByMachine<T> = Readonly<Record<string, readonly PinnedPart<T>[]>>;

/** The lists of all machines, by name. */
export interface MachinePinLists {
  /** Identifiers of DNS queries, in the order in which they are made. */
  readonly queryIds?: ByMachine<number>;
  /** Source ports of the questions that the engine and the embedded DNS servers put to the host's name servers. */
  readonly queryPorts?: ByMachine<number>;
  /** Types (A, AAAA) of the engine's questions to the host's name server, in the order in which they go out. */
  readonly questions?: ByMachine<string>;
  /** Types (A, AAAA) of the question that an embedded DNS server answers first of those that came together. */
  readonly replies?: ByMachine<string>;
  /** What the clock since boot shows when a tool writes it into a packet, ns. */
  readonly clock?: ByMachine<number>;
  /** For how long programs compute, each time that they do, ns. */
  readonly work?: ByMachine<number>;
  /** How long a machine's processor is away before it takes the next frame from a card, ns since the frame before. */
  readonly pauses?: ByMachine<number>;
}

export class MachinePins {
  readonly queryIds: Pinned<number>;
  readonly queryPorts: Pinned<number>;
  readonly questions: Pinned<string>;
  readonly replies: Pinned<string>;
  readonly clock: Pinned<number>;
  readonly work: Pinned<number>;
  /** null: none. */
  readonly pauses: Pinned<number> | null;

  constructor(lists: MachinePinLists = {}, machine = "") {
    this.queryIds = new Pinned(lists.queryIds?.[machine]);
    this.queryPorts = new Pinned(lists.queryPorts?.[machine]);
    this.questions = new Pinned(lists.questions?.[machine]);
    this.replies = new Pinned(lists.replies?.[machine]);
    this.clock = new Pinned(lists.clock?.[machine]);
    this.work = new Pinned(lists.work?.[machine]);
    const pauses = lists.pauses?.[machine];
    this.pauses = pauses === undefined ? null : new Pinned(pauses);
  }
}

/** Parts of the gossip: how long a suspect has, how often a message goes out, what encrypted bytes give away. */
import { describe, expect, it } from "vitest";
import { Sim } from "../../src/sim/sim.ts";
import { BroadcastQueue } from "../../src/swarm/gossip/broadcast-queue.ts";
import { suspicionTimeout } from "../../src/swarm/gossip/members.ts";
import { Meanings } from "../../src/swarm/wire/meanings.ts";

describe("suspicion", () => {
  it("ends after 4 s when there are too few others to confirm it", () => {
    expect(suspicionTimeout(2, 0)).toBe(4e9);
    expect(suspicionTimeout(3, 0)).toBe(4e9);
  });

  it("ends earlier the more others confirm it", () => {
    expect([0, 1, 2, 3].map((others) => Math.round(suspicionTimeout(4, others) / 1e7) / 100)).toEqual([
      24, 11.38, 4, 4,
    ]);
    expect(suspicionTimeout(100, 2)).toBe(8e9);
  });
});

describe("a queue of broadcasts", () => {
  it("sends each message four times in a small cluster, those sent least first, then the newest", () => {
    const queue = new BroadcastQueue<string>();
    queue.add("old", 100, "");
    expect(queue.take(1000, 3).messages).toEqual(["old"]);
    queue.add("new", 100, "");
    expect(queue.take(150, 3).messages).toEqual(["new"]);
    expect(queue.take(1000, 3)).toEqual({ messages: ["new", "old"], bytes: 200 });
    queue.take(1000, 3);
    expect(queue.take(1000, 3).messages).toEqual(["new", "old"]);
    expect(queue.isEmpty).toBe(true);
  });

  it("forgets what it had to say about something when there is news of it", () => {
    const queue = new BroadcastQueue<string>();
    queue.add("n1 is suspected", 50, "n1");
    queue.add("n2 is alive", 50, "n2");
    queue.add("n1 is alive", 50, "n1");
    expect(queue.take(1000, 3).messages).toEqual(["n1 is alive", "n2 is alive"]);
  });
});

it("encrypted bytes have the size that was asked for, and mean something once", () => {
  const meanings = new Meanings(new Sim());
  const bytes = meanings.seal("hello", 110);
  expect(bytes).toHaveLength(110);
  expect(meanings.open(bytes.subarray(0, 4))).toBeNull();
  expect(meanings.open(bytes)).toBe("hello");
  expect(meanings.open(bytes)).toBeNull();
  expect(meanings.open(new Uint8Array(110))).toBeNull();
});

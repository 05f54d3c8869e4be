/** DNS messages against dns-packet. */
import packet from "dns-packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatIp4, formatIp6Words } from "../../src/wire/address.ts";
import {
  DNS_A,
  DNS_CLASS_IN,
  DNS_OPT,
  DNS_QR,
  DNS_RA,
  DNS_RD,
  type DnsData,
  type DnsMessage,
  type DnsRecord,
  decodeDns,
  encodeDns,
} from "../../src/wire/dns.ts";

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => `${labels.join(".")}.`);
const word = fc.nat(0xffff);
const long = fc.nat(0xffffffff);

const NUMBERS: Record<string, number> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
};

const data: fc.Arbitrary<[string, DnsData]> = fc.oneof(
  fc.integer().map((addr): [string, DnsData] => ["A", { kind: "a", addr }]),
  fc
    .array(word, { minLength: 8, maxLength: 8 })
    .map((words): [string, DnsData] => ["AAAA", { kind: "aaaa", words }]),
  fc
    .tuple(fc.constantFrom("NS", "CNAME", "PTR"), name)
    .map(([type, target]): [string, DnsData] => [type, { kind: "name", name: target }]),
  fc
    .tuple(word, name)
    .map(([preference, exchange]): [string, DnsData] => ["MX", { kind: "mx", preference, exchange }]),
  fc
    .array(fc.stringMatching(/^[ -~]{1,20}$/), { minLength: 1, maxLength: 3 })
    .map((texts): [string, DnsData] => ["TXT", { kind: "txt", texts }]),
  fc
    .tuple(word, word, word, name)
    .map(([priority, weight, port, target]): [string, DnsData] => [
      "SRV",
      { kind: "srv", priority, weight, port, target },
    ]),
  fc
    .tuple(name, name, fc.array(long, { minLength: 5, maxLength: 5 }))
    .map(([mname, rname, times]): [string, DnsData] => ["SOA", { kind: "soa", mname, rname, times }]),
);

const record: fc.Arbitrary<DnsRecord> = fc
  .tuple(name, fc.nat(0x7fffffff), data)
  .map(([owner, ttl, [type, value]]) => ({
    name: owner,
    type: NUMBERS[type],
    class: DNS_CLASS_IN,
    ttl,
    data: value,
  }));

const message: fc.Arbitrary<DnsMessage> = fc.record({
  id: word,
  flags: fc.constantFrom(DNS_RD, DNS_QR | DNS_RD | DNS_RA, DNS_QR | 3),
  questions: fc.array(
    name.map((text) => ({ name: text, type: DNS_A, class: DNS_CLASS_IN })),
    { maxLength: 2 },
  ),
  answers: fc.array(record, { maxLength: 4 }),
  authorities: fc.array(record, { maxLength: 2 }),
  additionals: fc.array(record, { maxLength: 2 }),
});

/** The value as dns-packet gives it. */
function oracleData(value: DnsData): unknown {
  const bare = (text: string): string => text.replace(/\.$/, "");
  switch (value.kind) {
    case "a":
      return formatIp4(value.addr);
    case "aaaa":
      return formatIp6Words(value.words);
    case "name":
      return bare(value.name);
    case "mx":
      return { preference: value.preference, exchange: bare(value.exchange) };
    case "txt":
      return value.texts;
    case "srv": {
      const { priority, weight, port, target } = value;
      return { priority, weight, port, target: bare(target) };
    }
    case "soa": {
      const [serial, refresh, retry, expire, minimum] = value.times;
      return { mname: bare(value.mname), rname: bare(value.rname), serial, refresh, retry, expire, minimum };
    }
    case "raw":
      return value.bytes;
  }
}

function theirs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => (Buffer.isBuffer(one) ? one.toString("latin1") : one));
  return value;
}

describe("messages", () => {
  test("dns-packet reads what is written, with compression and without", () => {
    fc.assert(
      fc.property(message, fc.boolean(), (wanted, compress) => {
        const read = packet.decode(Buffer.from(encodeDns(wanted, compress)));
        expect(read.id).toBe(wanted.id);
        expect(read.questions?.map((one) => `${one.name}.`)).toEqual(wanted.questions.map((one) => one.name));
        const records = [...(read.answers ?? []), ...(read.authorities ?? []), ...(read.additionals ?? [])];
        const mine = [...wanted.answers, ...wanted.authorities, ...wanted.additionals];
        expect(records.map((one) => [`${one.name}.`, NUMBERS[one.type]])).toEqual(
          mine.map((one) => [one.name, one.type]),
        );
        records.forEach((one, i) => {
          const value = theirs((one as { data?: unknown }).data);
          if (mine[i].data.kind === "aaaa") return;
          expect(value).toEqual(oracleData(mine[i].data));
        });
      }),
    );
  });

  test("reads back what it wrote, with compression and without", () => {
    fc.assert(
      fc.property(message, fc.boolean(), (wanted, compress) => {
        expect(decodeDns(encodeDns(wanted, compress))).toEqual(wanted);
      }),
    );
  });

  test("reads what dns-packet wrote", () => {
    fc.assert(
      fc.property(message, (wanted) => {
        const bytes = packet.encode({
          type: "response",
          id: wanted.id,
          questions: wanted.questions.map((one) => ({ name: one.name, type: "A" })),
          answers: wanted.answers
            .filter((one) => one.data.kind === "a" || one.data.kind === "srv" || one.data.kind === "mx")
            .map((one) => ({
              name: one.name,
              ttl: one.ttl,
              type: { a: "A", srv: "SRV", mx: "MX" }[one.data.kind as "a"] as "A",
              data: oracleData(one.data) as string,
            })),
        });
        const read = decodeDns(bytes);
        expect(read?.answers).toEqual(
          wanted.answers.filter(
            (one) => one.data.kind === "a" || one.data.kind === "srv" || one.data.kind === "mx",
          ),
        );
      }),
    );
  });

  test("compression makes a repeated name a pointer of two bytes", () => {
    const question = { name: "web.", type: DNS_A, class: DNS_CLASS_IN };
    const answer: DnsRecord = { name: "web.", type: DNS_A, class: 1, ttl: 600, data: { kind: "a", addr: 1 } };
    const whole: DnsMessage = {
      id: 1,
      flags: DNS_QR,
      questions: [question],
      answers: [answer],
      authorities: [],
      additionals: [],
    };
    expect(encodeDns(whole, false).length - encodeDns(whole, true).length).toBe(3);
    expect(Buffer.from(encodeDns(whole, true)).toString("hex")).toBe(
      "0001" +
        "8000" +
        "0001000100000000" +
        "03776562000001" +
        "0001" +
        "c00c00010001000002580004" +
        "00000001",
    );
  });

  test("keeps an OPT record as it is", () => {
    const bytes = packet.encode({
      type: "query",
      id: 5,
      questions: [{ type: "A", name: "web" }],
      additionals: [
        {
          type: "OPT",
          name: ".",
          udpPayloadSize: 1232,
          flags: 0,
          extendedRcode: 0,
          ednsVersion: 0,
          flag_do: false,
          options: [],
        },
      ],
    });
    const read = decodeDns(bytes)!;
    expect(read.additionals[0]).toMatchObject({ name: ".", type: DNS_OPT, class: 1232 });
    expect(Buffer.from(encodeDns(read, false)).equals(bytes)).toBe(true);
  });

  test("unusual bytes in a name survive", () => {
    const bytes = Uint8Array.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0x2e, 0x5c, 0xe9, 0, 0, 1, 0, 1]);
    const read = decodeDns(bytes)!;
    expect(read.questions[0].name).toBe("\\.\\\\\\233.");
    expect([...encodeDns(read, true)]).toEqual([...bytes]);
  });

  test("damaged bytes are null, never an error", () => {
    fc.assert(
      fc.property(message, fc.nat(400), fc.nat(255), (wanted, at, value) => {
        const bytes = encodeDns(wanted, true);
        const bad = bytes.slice(0, Math.max(0, bytes.length - (at % 7)));
        if (at < bad.length) bad[at] = value;
        const read = decodeDns(bad);
        expect(read === null || typeof read.id === "number").toBe(true);
      }),
    );
    expect(decodeDns(Uint8Array.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1]))).toBeNull();
  });
});

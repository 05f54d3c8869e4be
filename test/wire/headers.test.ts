/** Addresses as text and integers; TCP options; ARP and VXLAN bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatCidr,
  formatIp4,
  formatIp6LinkLocal,
  formatIp6Words,
  formatMac,
  maskToPrefix,
  parseCidr,
  parseIp4,
  parseMac,
  prefixToMask,
} from "../../src/wire/address.ts";
import { arpIsEthIp4, arpOp, arpSpa, arpTpa, arpWrite } from "../../src/wire/arp.ts";
import { parseTcpOptions, TcpOptions, tcpOptionsLen, writeTcpOptions } from "../../src/wire/tcp-options.ts";
import { VXLAN_HF_VNI, vxlanFlags, vxlanVni, vxlanWrite } from "../../src/wire/vxlan.ts";

describe("addresses", () => {
  test("IPv4 text and integer are two forms of one thing", () => {
    fc.assert(
      fc.property(fc.integer(), (addr) => {
        expect(parseIp4(formatIp4(addr))).toBe(addr);
      }),
    );
    expect(parseIp4("192.168.0.1")).toBe(-1062731775);
  });

  test.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "256.0.0.1",
    "01.2.3.4",
    "1.2.3.4 ",
    "a.b.c.d",
    "1..2.3",
    "-1.2.3.4",
  ])("%j is no IPv4 address", (text) => {
    expect(parseIp4(text)).toBeNull();
  });

  test("masks and prefix lengths", () => {
    for (let length = 0; length <= 32; length++) expect(maskToPrefix(prefixToMask(length))).toBe(length);
    expect(formatIp4(prefixToMask(20))).toBe("255.255.240.0");
    expect(maskToPrefix(parseIp4("255.0.255.0")!)).toBe(-1);
  });

  test("CIDR keeps the host bits, and a plain address is a /32", () => {
    expect(parseCidr("10.0.0.7/24")).toEqual({ addr: 0x0a000007, prefixLen: 24 });
    expect(parseCidr("10.0.0.7")).toEqual({ addr: 0x0a000007, prefixLen: 32 });
    for (const bad of ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0/8", "10.0.0.0/024"]) {
      expect(parseCidr(bad)).toBeNull();
    }
    expect(formatCidr(0x0a000000, 24)).toBe("10.0.0.0/24");
  });

  test("MAC addresses", () => {
    expect(parseMac("02:42:0a:00:00:07")).toEqual({ hi: 0x0242, lo: 0x0a000007 });
    expect(formatMac(0xffff, -1)).toBe("ff:ff:ff:ff:ff:ff");
    expect(parseMac("02:42:0a:00:00")).toBeNull();
    fc.assert(
      fc.property(fc.nat(0xffff), fc.integer(), (hi, lo) => {
        expect(parseMac(formatMac(hi, lo))).toEqual({ hi, lo });
      }),
    );
  });

  test("IPv6 text as RFC 5952 has it", () => {
    expect(formatIp6LinkLocal(0x0242, 0x0a000007)).toBe("fe80::42:aff:fe00:7");
    expect(formatIp6LinkLocal(0x5254, 0x00c8000a)).toBe("fe80::5054:ff:fec8:a");
    expect(formatIp6Words([0, 0, 0, 0, 0, 0, 0, 0])).toBe("::");
    expect(formatIp6Words([0x2001, 0xdb8, 0, 1, 1, 1, 1, 1])).toBe("2001:db8:0:1:1:1:1:1");
    expect(formatIp6Words([1, 0, 0, 2, 0, 0, 0, 3])).toBe("1:0:0:2::3");
    expect(formatIp6Words([1, 0, 0, 2, 3, 0, 0, 4])).toBe("1::2:3:0:0:4");
    expect(formatIp6Words([1, 2, 3, 4, 5, 6, 0, 0])).toBe("1:2:3:4:5:6::");
  });
});

describe("TCP options", () => {
  /** A header with these option bytes. */
  function header(options: readonly number[]): DataView {
    const bytes = Uint8Array.from([...new Array<number>(20).fill(0), ...options]);
    bytes[12] = ((20 + options.length) / 4) << 4;
    return new DataView(bytes.buffer);
  }

  test("a SYN's options are laid out as Linux lays them out", () => {
    const options = new TcpOptions();
    options.mss = 1460;
    options.sackPermitted = true;
    options.timestamps = true;
    options.tsVal = 0x01020304;
    options.wscale = 7;
    const view = new DataView(new ArrayBuffer(40));
    expect(tcpOptionsLen(options)).toBe(20);
    expect(writeTcpOptions(view, 0, options)).toBe(20);
    expect([...new Uint8Array(view.buffer, 0, 20)]).toEqual([
      2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
    ]);
  });

  test("what is written reads back", () => {
    const wanted = fc.record({
      mss: fc.nat(0xffff),
      wscale: fc.integer({ min: -1, max: 14 }),
      sackPermitted: fc.boolean(),
      timestamps: fc.boolean(),
      tsVal: fc.integer(),
      tsEcr: fc.integer(),
      sacks: fc.array(fc.tuple(fc.integer(), fc.integer()), { maxLength: 2 }),
    });
    fc.assert(
      fc.property(wanted, ({ sacks, ...fields }) => {
        const options = Object.assign(new TcpOptions(), fields);
        if (!fields.timestamps) Object.assign(options, { tsVal: 0, tsEcr: 0 });
        options.sackCount = sacks.length;
        sacks.forEach(([left, right], i) => {
          options.sackLeft[i] = left;
          options.sackRight[i] = right;
        });
        const bytes = new Uint8Array(80);
        const view = new DataView(bytes.buffer);
        const lenBytes = writeTcpOptions(view, 20, options);
        expect(lenBytes).toBe(tcpOptionsLen(options));
        if (lenBytes > 40) return;
        view.setUint8(12, ((20 + lenBytes) / 4) << 4);
        const back = new TcpOptions();
        parseTcpOptions(view, 0, back);
        expect(back).toEqual(options);
      }),
    );
  });

  test("stops at a damaged option and keeps what came before", () => {
    const out = new TcpOptions();
    parseTcpOptions(header([2, 4, 5, 180, 3, 0, 1, 1]), 0, out);
    expect([out.mss, out.wscale]).toEqual([1460, -1]);
    parseTcpOptions(header([2, 4, 5, 180, 8, 10, 0, 0]), 0, out);
    expect([out.mss, out.timestamps]).toEqual([1460, false]);
    parseTcpOptions(header([1, 1, 0, 2]), 0, out);
    expect(out.mss).toBe(0);
  });

  test("a window shift above 14 counts as 14", () => {
    const out = new TcpOptions();
    parseTcpOptions(header([3, 3, 15, 0]), 0, out);
    expect(out.wscale).toBe(14);
  });

  test("any bytes are read without an error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 40 }), (bytes) => {
        const whole = bytes.subarray(0, bytes.length & ~3);
        parseTcpOptions(header([...whole]), 0, new TcpOptions());
      }),
    );
  });
});

test("an ARP request is 28 bytes of RFC 826", () => {
  const view = new DataView(new ArrayBuffer(28));
  arpWrite(view, 0, 1, 0x0242, 0x0a000004, 0x0a000004, 0, 0, 0x0a000007);
  expect(Buffer.from(view.buffer).toString("hex")).toBe(
    "0001080006040001" + "02420a0000040a000004" + "0000000000000a000007",
  );
  expect([arpIsEthIp4(view, 0), arpOp(view, 0), arpSpa(view, 0), arpTpa(view, 0)]).toEqual([
    true,
    1,
    0x0a000004,
    0x0a000007,
  ]);
});

test("a VXLAN header has the I flag and the VNI", () => {
  const view = new DataView(new ArrayBuffer(8));
  vxlanWrite(view, 0, 0xabcdef);
  expect(Buffer.from(view.buffer).toString("hex")).toBe("08000000abcdef00");
  expect([vxlanFlags(view, 0), vxlanVni(view, 0)]).toEqual([VXLAN_HF_VNI, 0xabcdef]);
});

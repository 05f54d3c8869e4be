import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ethTypeTrans, netifReceiveSkb } from "../../src/net/core/dev.ts";
import { DROP } from "../../src/net/core/drop-reason.ts";
import type { NetDevice } from "../../src/net/core/net-device.ts";
import { routeAdd } from "../../src/net/ctl/route.ts";
import { ipBuildHeader, ipLocalOut } from "../../src/net/ipv4/ip-output.ts";
import { ipv4Of } from "../../src/net/ipv4/ipv4-net.ts";
import { RawSock } from "../../src/net/ipv4/raw-sock.ts";
import { ipRouteOutput, skbSetRoute } from "../../src/net/ipv4/route.ts";
import { dstMtu } from "../../src/net/ipv4/route-exception.ts";
import { IPPROTO_ICMP } from "../../src/wire/ipv4.ts";
import { ipText } from "./ip-command.ts";
import { addr, Eye, ip, onEchoReply, ping, World } from "./topology.ts";

function line(mtu: number) {
  const world = new World();
  const a = world.ns("a");
  const r = world.ns("r");
  const b = world.ns("b");
  r.sysctl.set("net.ipv4.ip_forward", "1");
  const [a0, r0] = world.join(a, "eth0", r, "eth0", 0x10);
  const [r1, b0] = world.join(r, "eth1", b, "eth0", 0x20);
  r1.mtu = mtu;
  b0.mtu = mtu;
  addr(a0, "10.0.1.2/24");
  addr(r0, "10.0.1.1/24");
  addr(r1, "10.0.2.1/24");
  addr(b0, "10.0.2.2/24");
  routeAdd(a, { dst: 0, dstLen: 0, gateway: ip("10.0.1.1") });
  routeAdd(b, { dst: 0, dstLen: 0, gateway: ip("10.0.2.1") });
  return { world, a, r, b, a0, r0, r1, b0 };
}

/** Frames as [length, fragment field]. */
function shape(frames: Uint8Array[]): number[][] {
  return frames.map((f) => [f.length - 14, (f[20] << 8) | f[21]]);
}

describe("fragments", () => {
  test("are cut at the sender's MTU in multiples of eight, with one id and no DF", () => {
    const { world, a, a0, b } = line(1450);
    a0.mtu = 1450;
    const eye = new Eye(world.sim, a0);
    ping(a, ip("10.0.2.2"), 3000);
    world.run(1);
    const sent = eye.ip(1).slice(0, 3);
    expect(shape(sent)).toEqual([
      [1444, 0x2000],
      [1444, 0x2000 | 178],
      [180, 356],
    ]);
    expect(new Set(sent.map((f) => (f[18] << 8) | f[19])).size).toBe(1);
    expect(ipv4Of(b).fragments).toBeDefined();
    expect(world.pool.outstanding).toBe(0);
  });

  test("any size goes there and back whole, over any MTU", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9000 }), fc.integer({ min: 600, max: 1500 }), (size, mtu) => {
        const { world, a } = line(mtu);
        const got: number[] = [];
        let intact = true;
        onEchoReply(a, (skb) => {
          got.push(skb.tail - skb.data - 8);
          for (let i = 0; i < size; i++) if (skb.bytes[skb.data + 8 + i] !== (i & 0xff)) intact = false;
        });
        ping(a, ip("10.0.2.2"), size);
        world.run(1);
        expect(got).toEqual([size]);
        expect(intact).toBe(true);
        expect(world.pool.outstanding).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test("with DF too long for the next link: fragmentation needed with its MTU, kept for 600 s", () => {
    const { world, a, r } = line(1400);
    const eye = new Eye(world.sim, a.device("eth0")!);
    const daddr = ip("10.0.2.2");
    const send = () => {
      const dst = ipRouteOutput(a, daddr, 0, 0, 0)!;
      const skb = a.kernel.pool.alloc(1500);
      skb.data += 20;
      skb.tail = skb.data;
      const at = skb.put(1480);
      skb.bytes.fill(0, at, at + 1480);
      skb.bytes[at] = 8;
      skb.view.setUint16(at + 2, 0xf7ff);
      ipBuildHeader(skb, ip("10.0.1.2"), daddr, 1, 0, 64, true, 0);
      skbSetRoute(skb, dst, daddr);
      ipLocalOut(a, skb);
    };
    const program = new RawSock(a, IPPROTO_ICMP);
    send();
    world.run(1);
    program.close();
    const error = eye.ip(1)[1];
    expect(error.length - 14).toBe(576);
    expect(Buffer.from(error.slice(34, 36)).toString("hex")).toBe("0304");
    expect((error[40] << 8) | error[41]).toBe(1400);
    expect(error[15]).toBe(0xc0);
    expect(error[42 + 8]).toBe(64);
    expect(dstMtu(a, ipRouteOutput(a, daddr, 0, 0, 0)!, daddr)).toBe(1400);
    expect(ipText(a, "route get 10.0.2.2")).toBe(
      "10.0.2.2 via 10.0.1.1 dev eth0 src 10.0.1.2 uid 0 \n    cache expires 599sec mtu 1400 \n",
    );
    expect(ipText(a, "route show cache")).toBe(
      "10.0.2.2 via 10.0.1.1 dev eth0 \n    cache expires 599sec mtu 1400 \n",
    );
    world.run(600);
    expect(dstMtu(a, ipRouteOutput(a, daddr, 0, 0, 0)!, daddr)).toBe(1500);
    expect(r.kernel.pool.outstanding).toBe(0);
  });
});

/** An echo request of `size` bytes of data cut into given pieces [from, to), delivered in that order. */
function deliver(world: World, dev: NetDevice, pieces: [number, number][], total: number, id = 7): void {
  const body = new Uint8Array(total);
  for (let i = 8; i < total; i++) body[i] = i & 0xff;
  body[0] = 8;
  let sum = 0;
  for (let i = 0; i < total; i += 2) sum += (body[i] << 8) | (i + 1 < total ? body[i + 1] : 0);
  while (sum > 0xffff) sum = (sum >>> 16) + (sum & 0xffff);
  body[2] = (~sum >>> 8) & 0xff;
  body[3] = ~sum & 0xff;
  for (const [from, to] of pieces) {
    const skb = world.pool.alloc(34 + to - from);
    skb.data += 34;
    skb.tail = skb.data;
    skb.bytes.set(body.subarray(from, to), skb.put(to - from));
    ipBuildHeader(skb, ip("10.0.2.2"), ip("10.0.2.1"), 1, 0, 64, false, id);
    skb.view.setUint16(skb.data + 6, (to < total ? 0x2000 : 0) | (from >> 3));
    skb.view.setUint16(skb.data + 10, 0);
    let check = 0;
    for (let i = 0; i < 20; i += 2) check += skb.view.getUint16(skb.data + i);
    check = (check >>> 16) + (check & 0xffff);
    skb.view.setUint16(skb.data + 10, ~check & 0xffff);
    skb.push(14);
    skb.view.setUint16(skb.data, dev.addrHi);
    skb.view.setInt32(skb.data + 2, dev.addrLo);
    skb.view.setUint16(skb.data + 12, 0x0800);
    world.kernel.enter();
    ethTypeTrans(skb, dev);
    netifReceiveSkb(skb);
    world.kernel.leave();
  }
}

describe("reassembly", () => {
  test("takes the pieces in any order and ignores exact copies", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 49 }), { maxLength: 60 }),
        fc.integer(),
        (extra, seed) => {
          const { world, r1, b } = line(1500);
          const count = 50;
          const order = Array.from({ length: count }, (_, i) => i);
          let state = seed;
          for (let i = count - 1; i > 0; i--) {
            state = (Math.imul(state, 1103515245) + 12345) | 0;
            const j = (state >>> 8) % (i + 1);
            [order[i], order[j]] = [order[j], order[i]];
          }
          const copies = extra.filter((piece) => piece !== order[count - 1]);
          const all = [...order.slice(0, -1), ...copies, order[count - 1]];
          const seen: number[] = [];
          onEchoReply(b, (skb) => {
            seen.push(skb.tail - skb.data);
          });
          deliver(
            world,
            r1,
            all.map((i) => [i * 16, i * 16 + 16]),
            count * 16,
          );
          world.run(1);
          expect(seen).toEqual([count * 16]);
          expect(world.pool.outstanding).toBe(0);
        },
      ),
      { numRuns: 30 },
    );
  });

  test("drops the whole packet when pieces overlap", () => {
    const { world, r1, b } = line(1500);
    let seen = 0;
    onEchoReply(b, () => {
      seen++;
    });
    deliver(
      world,
      r1,
      [
        [0, 64],
        [56, 128],
        [128, 200],
      ],
      200,
    );
    world.run(60);
    expect(seen).toBe(0);
    expect(world.pool.drops[DROP.FRAG_BAD]).toBe(2);
    expect(world.pool.outstanding).toBe(0);
  });

  test("gives up after 30 s and says so, if the first piece came", () => {
    const { world, r1 } = line(1500);
    const eye = new Eye(world.sim, r1);
    deliver(world, r1, [[0, 64]], 200, 1);
    deliver(world, r1, [[64, 128]], 200, 2);
    world.run(29);
    expect(eye.ip(1).filter((f) => f[34] === 11)).toEqual([]);
    expect(world.pool.outstanding).toBe(2);
    world.run(2);
    const errors = eye.ip(1).filter((f) => f[34] === 11);
    expect(errors.length).toBe(1);
    expect([errors[0][35], errors[0].length]).toEqual([1, 14 + 28 + 84]);
    expect(world.pool.outstanding).toBe(0);
  });
});

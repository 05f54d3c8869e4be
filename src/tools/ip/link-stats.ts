/** Counters of a device as `ip -s link` prints them (iproute2 6.1 ip/ipaddress.c print_stats64). */
import type { NetDevice } from "../../net/core/net-device.ts";
import { ipTunnelOf } from "../../net/drivers/ip-tunnel.ts";
import { vxlanOf } from "../../net/drivers/vxlan-private.ts";

/** bytes, packets, errors, dropped, missed or carrier, multicast or collisions. */
type Row = readonly [number, number, number, number, number, number];

const WIDTHS: readonly number[] = ["*X errors:", "packets", "errors", "dropped", "heartbt", "overrun"].map(
  (word) => word.length,
);
const COMPRESSED_WIDTH = "compressed".length;
const RX_HEAD = ["bytes", "packets", "errors", "dropped", "missed", "mcast"];
const TX_HEAD = ["bytes", "packets", "errors", "dropped", "carrier", "collsns"];

function rows(dev: NetDevice): { rx: Row; tx: Row } {
  const ipTunnel = ipTunnelOf(dev);
  const tunnel = vxlanOf(dev) ?? ipTunnel;
  const { rxErrors, txErrors, txCarrierErrors } = tunnel ?? { rxErrors: 0, txErrors: 0, txCarrierErrors: 0 };
  const collisions = ipTunnel?.collisions ?? 0;
  return {
    rx: [dev.rxBytes, dev.rxPackets, rxErrors, dev.rxDropped, 0, dev.rxMulticast],
    tx: [dev.txBytes, dev.txPackets, txErrors, dev.txDropped, txCarrierErrors, collisions],
  };
}

/** Four lines, joined by `nl`; numbers that are too long widen their column. */
export function statsText(dev: NetDevice, nl: string): string {
  const { rx, tx } = rows(dev);
  const widths = WIDTHS.map((width, i) => Math.max(width, String(rx[i]).length, String(tx[i]).length));
  return [
    `    RX: ${head(RX_HEAD, widths)}`,
    `    ${numbers(rx, widths)}`,
    `    TX: ${head(TX_HEAD, widths)}`,
    `    ${numbers(tx, widths)}`,
  ].join(nl);
}

function head(words: readonly string[], widths: readonly number[]): string {
  const cells = words.map((word, i) => word.padStart(i === 0 ? widths[0] - 4 : widths[i]));
  return `${cells.join(" ")} ${"".padStart(COMPRESSED_WIDTH)}`;
}

function numbers(row: Row, widths: readonly number[]): string {
  return row.map((value, i) => `${String(value).padStart(widths[i])} `).join("");
}

export function statsJson(dev: NetDevice): Record<string, Record<string, number>> {
  const { rx, tx } = rows(dev);
  return {
    rx: {
      bytes: rx[0],
      packets: rx[1],
      errors: rx[2],
      dropped: rx[3],
      over_errors: 0,
      multicast: rx[5],
    },
    tx: {
      bytes: tx[0],
      packets: tx[1],
      errors: tx[2],
      dropped: tx[3],
      carrier_errors: tx[4],
      collisions: tx[5],
    },
  };
}

/** The segment that is being received, taken apart once (TCP_SKB_CB, tcp_rx_options); overwritten by the next. */

import { ipDaddr, ipSaddr } from "../../wire/ipv4.ts";
import { TCP_FIN, TCP_SYN } from "../../wire/tcp.ts";
import { parseTcpOptions, TcpOptions } from "../../wire/tcp-options.ts";
import type { Skb } from "../core/skb.ts";

export class TcpSegment {
  saddr = 0;
  daddr = 0;
  sport = 0;
  dport = 0;
  seq = 0;
  /** One past the last number it uses; SYN and FIN count. */
  endSeq = 0;
  ack = 0;
  flags = 0;
  /** As on the wire. */
  window = 0;
  /** Data bytes. */
  len = 0;
  headerLen = 0;
  readonly options = new TcpOptions();

  /** Reads the header at `data`; `tail` must be the end of the segment. */
  parse(skb: Skb): void {
    const { view } = skb;
    const off = skb.data;
    const word = view.getUint16(off + 12);
    this.saddr = ipSaddr(view, skb.netOff);
    this.daddr = ipDaddr(view, skb.netOff);
    this.sport = view.getUint16(off);
    this.dport = view.getUint16(off + 2);
    this.seq = view.getInt32(off + 4);
    this.ack = view.getInt32(off + 8);
    this.headerLen = (word >>> 12) << 2;
    this.flags = word & 0xff;
    this.window = view.getUint16(off + 14);
    this.len = skb.tail - off - this.headerLen;
    const extra = ((this.flags & TCP_SYN) !== 0 ? 1 : 0) + ((this.flags & TCP_FIN) !== 0 ? 1 : 0);
    this.endSeq = (this.seq + this.len + extra) | 0;
    const { options } = this;
    if (this.headerLen === 32 && view.getInt32(off + 20) === 0x0101080a) {
      options.clear();
      options.timestamps = true;
      options.tsVal = view.getInt32(off + 24);
      options.tsEcr = view.getInt32(off + 28);
    } else if (this.headerLen === 20) options.clear();
    else parseTcpOptions(view, off, options);
  }
}

/** The one that is being handled. */
export const segment = new TcpSegment();

/** Receiving by VXLAN (drivers/net/vxlan/vxlan_core.c vxlan_rcv): the socket of the underlay hands its datagrams over. */
import { ipSaddr, ipTos } from "../../wire/ipv4.ts";
import { UDP_HLEN } from "../../wire/udp.ts";
import { VXLAN_HF_VNI, VXLAN_HLEN, vxlanFlags, vxlanVni } from "../../wire/vxlan.ts";
import { countRx, ETH_HLEN, ETH_P_IP, ethTypeTrans } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import { IFF_UP } from "../core/net-device.ts";
import type { Skb } from "../core/skb.ts";
import { skbChecksumDecap } from "../core/skb-checksum.ts";
import { skbScrubPacket } from "../core/skb-scrub.ts";
import { TRACE_VXLAN_DECAP } from "../core/trace.ts";
import type { UdpSock } from "../ipv4/udp-sock.ts";
import { ipEcnDecapsulate } from "./tunnel-ecn.ts";
import type { VxlanSock } from "./vxlan-private.ts";
import { vxlanSnoop } from "./vxlan-snoop.ts";

const IP_HLEN = 20;

/** encap_rcv of the socket: `data` at the UDP header. Always takes the packet. */
export function vxlanRcv(sk: UdpSock, skb: Skb): boolean {
  const { view, netOff } = skb;
  const off = skb.transOff + UDP_HLEN;
  if (skb.tail < off + VXLAN_HLEN + ETH_HLEN || (vxlanFlags(view, off) & VXLAN_HF_VNI) === 0) {
    skb.drop(DROP.VXLAN_BAD_HEADER);
    return true;
  }
  const vni = vxlanVni(view, off);
  const vxlan = (sk.userData as VxlanSock).devs.get(vni);
  if (vxlan === undefined) {
    skb.drop(DROP.VXLAN_UNKNOWN_VNI);
    return true;
  }
  // No other flag is agreed on, and what is reserved must be 0.
  if (vxlanFlags(view, off) !== VXLAN_HF_VNI || view.getUint8(off + 7) !== 0) {
    skb.drop(DROP.VXLAN_BAD_HEADER);
    return true;
  }
  const { dev } = vxlan;
  const srcIp = ipSaddr(view, netOff);
  const outerTos = ipTos(view, netOff);
  skbScrubPacket(skb, vxlan.net !== dev.ns);
  skb.hash = 0;
  skbChecksumDecap(skb, view.getUint16(off - 2) !== 0);
  skb.data = off + VXLAN_HLEN;
  ethTypeTrans(skb, dev);
  if (view.getUint16(skb.macOff + 6) === dev.addrHi && view.getInt32(skb.macOff + 8) === dev.addrLo) {
    skb.drop(DROP.VXLAN_SOURCE_MAC);
    return true;
  }
  if (vxlan.cfg.learning && vxlanSnoop(vxlan, skb, srcIp)) {
    skb.drop(DROP.VXLAN_WRONG_VTEP);
    return true;
  }
  if (skb.protocol === ETH_P_IP && skb.length >= IP_HLEN && !ipEcnDecapsulate(view, skb.data, outerTos)) {
    vxlan.rxFrameErrors++;
    vxlan.rxErrors++;
    skb.drop(DROP.VXLAN_BAD_HEADER);
    return true;
  }
  if ((dev.flags & IFF_UP) === 0) {
    dev.rxDropped++;
    skb.drop(DROP.DEV_DOWN);
    return true;
  }
  if (skb.trace !== null) skb.trace.add(TRACE_VXLAN_DECAP, srcIp, vni, dev);
  countRx(dev, skb.length);
  dev.ns.kernel.netifRx(skb);
  return true;
}

/** Congestion marks through a tunnel (include/net/inet_ecn.h, RFC 6040). Only the two ECN bits of a TOS byte matter. */
import { csumReplace2 } from "../../wire/checksum.ts";

const ECN_MASK = 3;
const ECT_1 = 1;
const ECT_0 = 2;
const CE = 3;
const IP_CHECK_OFF = 10;

/** TOS of the outer header: `tos` with the inner ECN bits, a mark already set shown as ECT(0) (INET_ECN_encapsulate). */
export function ipTunnelEcnEncap(tos: number, innerTos: number): number {
  const ecn = innerTos & ECN_MASK;
  return (tos & ~ECN_MASK) | (ecn === CE ? ECT_0 : ecn);
}

/**
 * Carries a congestion mark of the outer header over to the inner IPv4 header at `off` (IP_ECN_decapsulate). False: it is
 * marked but the inner packet cannot carry marks, so it must be dropped.
 */
export function ipEcnDecapsulate(view: DataView, off: number, outerTos: number): boolean {
  const inner = view.getUint8(off + 1);
  const outer = outerTos & ECN_MASK;
  if ((inner & ECN_MASK) === 0) return outer !== CE;
  if (outer === CE) setTos(view, off, inner | CE);
  else if (outer === ECT_1 && (inner & ECN_MASK) === ECT_0) setTos(view, off, inner ^ ECN_MASK);
  return true;
}

function setTos(view: DataView, off: number, tos: number): void {
  const before = view.getUint16(off);
  view.setUint8(off + 1, tos);
  csumReplace2(view, off + IP_CHECK_OFF, before, view.getUint16(off));
}

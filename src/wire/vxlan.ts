/** The VXLAN header (RFC 7348 section 5): flags, VNI; 8 bytes behind UDP. */

export const VXLAN_HLEN = 8;
export const VXLAN_PORT = 4789;
/** The I flag: the VNI is valid. */
export const VXLAN_HF_VNI = 0x08000000;

/** First word, int32: flags in the upper byte, the rest reserved. */
export function vxlanFlags(view: DataView, off: number): number {
  return view.getInt32(off);
}

export function vxlanVni(view: DataView, off: number): number {
  return view.getUint32(off + 4) >>> 8;
}

/** Writes the header: I flag, VNI, reserved bits 0. */
export function vxlanWrite(view: DataView, off: number, vni: number): void {
  view.setInt32(off, VXLAN_HF_VNI);
  view.setInt32(off + 4, vni << 8);
}

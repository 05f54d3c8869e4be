/** ESP in transport mode with AES-GCM (RFC 4303, RFC 4106; net/ipv4/esp4.c, crypto/seqiv.c). */
import { IP_HLEN, IPPROTO_ESP, ipHeaderLen, ipProtocol, setIpProtocol } from "../../wire/ipv4.ts";
import { DROP, type DropReason } from "../core/drop-reason.ts";
import type { Skb } from "../core/skb.ts";
import type { XfrmState } from "./xfrm-state.ts";

/** SPI and sequence number. */
export const ESP_HLEN = 8;
const IV_BYTES = 8;
const ESP_HEADER = ESP_HLEN + IV_BYTES;
/** Pad length and next header. */
const TRAILER = 2;
const BLOCK = 4;
const IPPROTO_NONE = 59;

/**
 * Wraps the payload of an IP packet up, `data` and `netOff` at its header, under sequence number `seq` (int32). Length and
 * checksum of the IP header are the sender's to set (esp_output).
 */
export function espOutput(x: XfrmState, skb: Skb, seq: number): void {
  const headerLen = ipHeaderLen(skb.view, skb.data);
  const textBytes = skb.tail - skb.data - headerLen;
  const cipherBytes = (textBytes + TRAILER + BLOCK - 1) & -BLOCK;
  const padBytes = cipherBytes - textBytes - TRAILER;
  const { icvBytes } = x;
  skb.pool.expand(skb, skb.tail - skb.data + padBytes + TRAILER + icvBytes);
  const { view, bytes } = skb;
  let at = skb.put(padBytes + TRAILER + icvBytes);
  for (let i = 1; i <= padBytes; i++) view.setUint8(at++, i);
  view.setUint8(at++, padBytes);
  view.setUint8(at++, ipProtocol(view, skb.data));
  const ip = skb.data;
  const off = skb.push(ESP_HEADER);
  bytes.copyWithin(off, ip, ip + headerLen);
  skb.csumLevel = 0;
  skb.netOff = off;
  skb.transOff = off + headerLen;
  setIpProtocol(view, off, IPPROTO_ESP);
  const esp = skb.transOff;
  view.setInt32(esp, x.spec.spi);
  view.setInt32(esp + 4, seq);
  view.setInt32(esp + ESP_HLEN, x.ivSaltHi);
  view.setInt32(esp + ESP_HLEN + 4, x.ivSaltLo ^ seq);
  setNonce(x, bytes, esp);
  const text = esp + ESP_HEADER;
  x.cipher.seal(
    x.nonce,
    bytes.subarray(esp, esp + ESP_HLEN),
    bytes.subarray(text, text + cipherBytes),
    bytes.subarray(text + cipherBytes, text + cipherBytes + icvBytes),
  );
}

function setNonce(x: XfrmState, bytes: Uint8Array, esp: number): void {
  for (let i = 0; i < IV_BYTES; i++) x.nonce[4 + i] = bytes[esp + ESP_HLEN + i];
}

/** The longest IP packet that is at most `mtu` bytes when wrapped up (xfrm_state_mtu). */
export function espMtu(x: XfrmState, mtu: number): number {
  return ((mtu - ESP_HEADER - x.icvBytes - IP_HLEN) & -BLOCK) + IP_HLEN - TRAILER;
}

/**
 * Unwraps a packet whose ESP header stands at `transOff`, IP header at `netOff` (esp_input). Afterwards the payload stands
 * at `transOff`, with the IP header moved up to it. 0, or why the packet must go.
 */
export function espInput(x: XfrmState, skb: Skb): DropReason {
  const { view, bytes } = skb;
  const esp = skb.transOff;
  const text = esp + ESP_HEADER;
  const { icvBytes } = x;
  const cipherBytes = skb.tail - text - icvBytes;
  if (cipherBytes <= 0 || (cipherBytes & (BLOCK - 1)) !== 0) return DROP.XFRM_STATE;
  const end = text + cipherBytes;
  setNonce(x, bytes, esp);
  const genuine = x.cipher.open(
    x.nonce,
    bytes.subarray(esp, esp + ESP_HLEN),
    bytes.subarray(text, end),
    bytes.subarray(end, end + icvBytes),
  );
  if (!genuine) {
    x.statIntegrityFailed++;
    return DROP.XFRM_STATE;
  }
  const padBytes = view.getUint8(end - 2);
  const next = view.getUint8(end - 1);
  // A dummy packet only hides how much traffic there is (RFC 4303 2.6).
  if (padBytes + TRAILER >= cipherBytes || next === IPPROTO_NONE) return DROP.XFRM_STATE;
  const headerLen = esp - skb.netOff;
  const ip = text - headerLen;
  bytes.copyWithin(ip, skb.netOff, esp);
  skb.tail = end - TRAILER - padBytes;
  skb.netOff = ip;
  skb.transOff = text;
  skb.data = text;
  setIpProtocol(view, ip, next);
  return 0;
}

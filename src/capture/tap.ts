/** Several observers on one device: the device has one slot, as a packet socket list would (net/packet/af_packet.c). */
import type { NetDevice, Tap } from "../net/core/net-device.ts";
import type { Skb } from "../net/core/skb.ts";

/** Shows each frame to every member, in the order they came. */
class TapList implements Tap {
  readonly taps: Tap[];

  constructor(taps: Tap[]) {
    this.taps = taps;
  }

  frame(dev: NetDevice, skb: Skb, frameOff: number, outgoing: boolean): void {
    for (let i = 0; i < this.taps.length; i++) this.taps[i].frame(dev, skb, frameOff, outgoing);
  }
}

/** Lets `tap` see the frames of a device, beside those that do already. */
export function addTap(dev: NetDevice, tap: Tap): void {
  if (dev.tap === null) dev.tap = tap;
  else if (dev.tap instanceof TapList) dev.tap.taps.push(tap);
  else dev.tap = new TapList([dev.tap, tap]);
}

/** Takes `tap` off again; nothing happens when it is not there. */
export function removeTap(dev: NetDevice, tap: Tap): void {
  if (dev.tap === tap) {
    dev.tap = null;
  } else if (dev.tap instanceof TapList) {
    const rest = dev.tap.taps.filter((one) => one !== tap);
    dev.tap = rest.length > 1 ? new TapList(rest) : rest[0];
  }
}

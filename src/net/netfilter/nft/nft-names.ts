/** Names of devices that a rule asks for (nft_meta.c NFT_META_IIFNAME with nft_cmp.c): whole, or how they begin. */
import type { NetDevice } from "../../core/net-device.ts";

/** What is known of one device, as long as it keeps its name. */
interface Known {
  readonly name: string;
  readonly fits: boolean;
}

export class NftNames {
  private readonly whole: readonly string[];
  private readonly begins: readonly string[];
  private readonly known: (Known | undefined)[] = [];

  constructor(names: readonly string[]) {
    this.whole = names.filter((name) => !name.endsWith("*"));
    this.begins = names.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  }

  /** Whether it has one of the names. No device has none. */
  fits(dev: NetDevice | null): boolean {
    if (dev === null) return false;
    const known = this.known[dev.ifindex];
    return known !== undefined && known.name === dev.name ? known.fits : this.learn(dev);
  }

  private learn({ ifindex, name }: NetDevice): boolean {
    const fits = this.whole.includes(name) || this.begins.some((begin) => name.startsWith(begin));
    this.known[ifindex] = { name, fits };
    return fits;
  }
}

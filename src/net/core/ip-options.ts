/** What is known of the options of an IP header (struct ip_options, include/net/inet_sock.h). */
import { IP_OPTIONS_MAX } from "../../wire/ip-options.ts";

/**
 * Where the options of a packet stand and what is still to be written into them. Made for the few packets that have options.
 * `srr`, `rr`, `ts`, `routerAlert` and `cipso` are offsets from the start of the IP header, 0 when there is no such option.
 */
export class IpOptions {
  /** Bytes of options. */
  optlen = 0;
  /** First station of a source route, to be put into the destination field. */
  faddr = 0;
  /** The station that the source route of a received packet names next. */
  nexthop = 0;
  srr = 0;
  rr = 0;
  ts = 0;
  routerAlert = 0;
  cipso = 0;
  isStrictroute = false;
  /** This machine was the destination of a source route that goes on. */
  srrIsHit = false;
  /** The header checksum is out of date. */
  isChanged = false;
  /** A slot was taken in the record of the route, or of times, that the address of the way out goes into. */
  rrNeedaddr = false;
  tsNeedaddr = false;
  tsNeedtime = false;

  set(from: IpOptions): void {
    this.optlen = from.optlen;
    this.faddr = from.faddr;
    this.nexthop = from.nexthop;
    this.srr = from.srr;
    this.rr = from.rr;
    this.ts = from.ts;
    this.routerAlert = from.routerAlert;
    this.cipso = from.cipso;
    this.isStrictroute = from.isStrictroute;
    this.srrIsHit = from.srrIsHit;
    this.isChanged = from.isChanged;
    this.rrNeedaddr = from.rrNeedaddr;
    this.tsNeedaddr = from.tsNeedaddr;
    this.tsNeedtime = from.tsNeedtime;
  }

  copy(): IpOptions {
    const copy = new IpOptions();
    copy.set(this);
    return copy;
  }
}

/** Options to send, with their bytes (ip_options_data). */
export class IpOptionsData extends IpOptions {
  readonly data = new Uint8Array(IP_OPTIONS_MAX);
}

const NONE = new IpOptions();

/** Empties options that are filled anew. */
export function clearIpOptions(opt: IpOptions): void {
  opt.set(NONE);
}

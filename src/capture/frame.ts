/** A captured frame and a capture file as read, whatever the format was. */
export const LINKTYPE_ETHERNET = 1;
/** IP packets without any link header, as tunnels carry them. */
export const LINKTYPE_RAW = 101;
/** tcpdump's default snapshot length. */
export const DEFAULT_SNAPLEN = 262144;

/** A link type as tcpdump names it. */
export function linkTypeText(linkType: number): string {
  return linkType === LINKTYPE_RAW ? "RAW (Raw IP)" : "EN10MB (Ethernet)";
}

export interface CapturedFrame {
  /** Whole seconds since 1970 and nanoseconds of the second. */
  readonly sec: number;
  readonly nsec: number;
  /** What was captured; a window into the file. */
  readonly bytes: Uint8Array;
  /** Length of the frame on the wire. */
  readonly origLen: number;
  /** Index into {@link CaptureFile.interfaces}. */
  readonly interfaceId: number;
  /** Comment of a pcapng frame, "" when none. */
  readonly comment: string;
}

export interface CaptureInterface {
  readonly name: string;
  readonly description: string;
  readonly linkType: number;
  readonly snapLen: number;
}

export interface CaptureFile {
  readonly format: "pcap" | "pcapng";
  readonly interfaces: readonly CaptureInterface[];
  readonly frames: readonly CapturedFrame[];
}

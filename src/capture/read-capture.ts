/** Opens a capture of either format. */
import { CaptureError } from "./capture-error.ts";
import type { CaptureFile } from "./frame.ts";
import { isPcap, readPcap } from "./pcap.ts";
import { isPcapng, readPcapng } from "./pcapng.ts";

/** Reads a pcap or pcapng file; `file` is its name for messages. Throws CaptureError. */
export function readCapture(bytes: Uint8Array, file: string): CaptureFile {
  if (isPcapng(bytes)) return readPcapng(bytes, file);
  if (isPcap(bytes)) return readPcap(bytes, file);
  throw new CaptureError(
    file,
    0,
    bytes.length === 0 ? "the file is empty" : "neither a pcap nor a pcapng file",
  );
}

/** A UDP server that answers each datagram with its host name, the sender, the length and short data. */
import { SysError } from "../util/errors.ts";
import { formatIp4 } from "../wire/address.ts";
import { asciiBytes, asciiText } from "./ascii.ts";
import type { Co, Process, Program } from "./process.ts";
import { openUdp, recvUdp } from "./socket.ts";

export interface UdpEchoOptions {
  readonly hostname: string;
  readonly port: number;
}

/** Longest data that is repeated in the answer, bytes. */
const QUOTE_MAX = 200;

export function udpEcho(options: UdpEchoOptions): Program {
  return function* (process: Process): Co<number> {
    const sk = openUdp(process, 0, options.port);
    for (;;) {
      const { data, saddr, sport } = yield* recvUdp(sk);
      const end = data.indexOf(0);
      const text = asciiText(end < 0 ? data : data.subarray(0, end));
      const quote = data.length <= QUOTE_MAX ? ` data=${text}` : "";
      const answer = `echo host=${options.hostname} from=${formatIp4(saddr)}:${sport} len=${data.length}${quote}`;
      try {
        sk.send(asciiBytes(answer), saddr, sport);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
      }
    }
  };
}

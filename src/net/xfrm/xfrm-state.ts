/** Security associations (struct xfrm_state; net/xfrm/xfrm_state.c, xfrm_replay.c). */
import { EPOCH_SECONDS } from "../../sim/wall-clock.ts";
import type { AeadCipher } from "./aead.ts";
import type { XfrmMark, XfrmSelector } from "./xfrm-selector.ts";

/** What an SA is made of; addresses and the SPI are int32. */
export interface XfrmStateSpec {
  readonly saddr: number;
  readonly daddr: number;
  readonly spi: number;
  readonly reqid: number;
  readonly mark: XfrmMark;
  readonly sel: XfrmSelector;
  /** XFRM_STATE_* */
  readonly flags: number;
  readonly seq: number;
  /** Packets that the replay window holds, 0 to 32; 0: replays are not noticed. */
  readonly replayWindow: number;
  readonly algorithm: string;
  /** AES key and the 4 bytes of salt behind it. */
  readonly key: Uint8Array;
  /** Length of the integrity check value: 64, 96 or 128. */
  readonly icvBits: number;
  readonly limits: XfrmLimits;
}

/** Where a lifetime ends; Infinity: never (struct xfrm_lifetime_cfg). */
export interface XfrmLimits {
  readonly softBytes: number;
  readonly hardBytes: number;
  readonly softPackets: number;
  readonly hardPackets: number;
}

export const NO_LIMITS: XfrmLimits = {
  softBytes: Number.POSITIVE_INFINITY,
  hardBytes: Number.POSITIVE_INFINITY,
  softPackets: Number.POSITIVE_INFINITY,
  hardPackets: Number.POSITIVE_INFINITY,
};

/** What was used of a lifetime; times in seconds since 1970, `useTime` 0 when never (struct xfrm_lifetime_cur). */
export class XfrmLifetime {
  bytes = 0;
  packets = 0;
  addTime: number;
  useTime = 0;

  constructor(addTime: number) {
    this.addTime = addTime;
  }
}

/** Virtual time as the kernel's clock shows it, seconds. */
export function realSeconds(nowNs: number): number {
  return EPOCH_SECONDS + Math.floor(nowNs / 1e9);
}

export class XfrmState {
  readonly spec: XfrmStateSpec;
  sel: XfrmSelector;
  limits: XfrmLimits;
  readonly cipher: AeadCipher;
  /** Salt of the key and then the IV of the packet in hand: the nonce. */
  readonly nonce = new Uint8Array(12);
  /** What sequence numbers are mixed with to make IVs (crypto/seqiv.c), two int32. */
  readonly ivSaltHi: number;
  readonly ivSaltLo: number;
  readonly current: XfrmLifetime;
  /** Anti-replay: highest number received, last one sent, and which of the window were received. */
  replaySeq = 0;
  replayOseq = 0;
  replayBitmap = 0;
  /** Packets refused: behind the window, seen before, forged. */
  statReplayWindow = 0;
  statReplay = 0;
  statIntegrityFailed = 0;
  /** A hard limit is reached: no packet passes any more. */
  expired = false;
  /** secpath of a packet that passed only this one. */
  readonly secPath: readonly XfrmState[];

  constructor(spec: XfrmStateSpec, cipher: AeadCipher, ivSaltHi: number, ivSaltLo: number, addTime: number) {
    this.spec = spec;
    this.sel = spec.sel;
    this.limits = spec.limits;
    this.cipher = cipher;
    this.nonce.set(spec.key.subarray(spec.key.length - 4));
    this.ivSaltHi = ivSaltHi;
    this.ivSaltLo = ivSaltLo;
    this.current = new XfrmLifetime(addTime);
    this.secPath = [this];
  }

  get icvBytes(): number {
    return this.spec.icvBits >> 3;
  }

  /** Before a packet: the first one starts the use; false when a hard limit is reached (xfrm_state_check_expire). */
  checkExpire(nowNs: number): boolean {
    const { current, limits } = this;
    if (current.useTime === 0) current.useTime = realSeconds(nowNs);
    if (current.bytes >= limits.hardBytes || current.packets >= limits.hardPackets) this.expired = true;
    return !this.expired;
  }

  count(lengthBytes: number): void {
    this.current.bytes += lengthBytes;
    this.current.packets++;
  }

  /** Whether a received number is new; int32 (xfrm_replay_check). */
  replayCheck(seq: number): boolean {
    const { replayWindow } = this.spec;
    if (replayWindow === 0) return true;
    if (seq === 0) return false;
    const behind = (this.replaySeq >>> 0) - (seq >>> 0);
    if (behind < 0) return true;
    if (behind >= replayWindow) {
      this.statReplayWindow++;
      return false;
    }
    if ((this.replayBitmap & (1 << behind)) !== 0) {
      this.statReplay++;
      return false;
    }
    return true;
  }

  /** Notes a number as received (xfrm_replay_advance). */
  replayAdvance(seq: number): void {
    const { replayWindow } = this.spec;
    if (replayWindow === 0) return;
    const ahead = (seq >>> 0) - (this.replaySeq >>> 0);
    if (ahead > 0) {
      this.replayBitmap = ahead < replayWindow ? (this.replayBitmap << ahead) | 1 : 1;
      this.replaySeq = seq;
    } else this.replayBitmap |= 1 << -ahead;
  }
}

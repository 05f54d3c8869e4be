/** Settings of bridges and their ports (net/bridge/br_netlink.c br_changelink, br_setport). */
import { SEC } from "../../sim/sim.ts";
import { SysError } from "../../util/errors.ts";
import { brSetDefaultPvid } from "../bridge/br-device.ts";
import { bridgeOf, bridgePortOf } from "../bridge/br-private.ts";
import type { NetDevice } from "../core/net-device.ts";

export interface BridgeSettings {
  /** Seconds; 0: nothing is learnt. */
  readonly ageingSec?: number;
  /** 0: none. */
  readonly defaultPvid?: number;
  readonly groupFwdMask?: number;
}

export interface BrportSettings {
  readonly hairpin?: boolean;
  readonly learning?: boolean;
  readonly flood?: boolean;
  readonly mcastFlood?: boolean;
  readonly bcastFlood?: boolean;
  readonly isolated?: boolean;
}

const MAX_VLAN = 4094;
/** STP, pause and LACP addresses are never forwarded by mask (BR_GROUPFWD_RESTRICTED). */
const GROUPFWD_RESTRICTED = 0x7;

/** EOPNOTSUPP when the device is no bridge, EINVAL for a bad value. */
export function linkSetBridge(dev: NetDevice, settings: BridgeSettings): void {
  const br = bridgeOf(dev);
  if (br === null) throw new SysError("EOPNOTSUPP", dev.name);
  const { ageingSec, defaultPvid, groupFwdMask } = settings;
  if (defaultPvid !== undefined && (defaultPvid < 0 || defaultPvid > MAX_VLAN))
    throw new SysError("EINVAL", dev.name);
  if (groupFwdMask !== undefined && (groupFwdMask & GROUPFWD_RESTRICTED) !== 0)
    throw new SysError("EINVAL", dev.name);
  if (ageingSec !== undefined) br.ageingNs = ageingSec * SEC;
  if (groupFwdMask !== undefined) br.groupFwdMask = groupFwdMask;
  if (defaultPvid !== undefined) brSetDefaultPvid(br, defaultPvid);
}

/** EINVAL when the device is no port of a bridge. */
export function linkSetBrport(dev: NetDevice, settings: BrportSettings): void {
  const port = bridgePortOf(dev);
  if (port === null) throw new SysError("EINVAL", dev.name);
  port.hairpin = settings.hairpin ?? port.hairpin;
  port.learning = settings.learning ?? port.learning;
  port.flood = settings.flood ?? port.flood;
  port.mcastFlood = settings.mcastFlood ?? port.mcastFlood;
  port.bcastFlood = settings.bcastFlood ?? port.bcastFlood;
  port.isolated = settings.isolated ?? port.isolated;
}

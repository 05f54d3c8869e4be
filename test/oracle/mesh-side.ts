/** meshwire: the same namespaces on one machine of a lab, made by the same command lines in its own shell. */
import { Lab, type LabSpec } from "../../src/lab.ts";
import { devQueueXmit } from "../../src/net/core/dev.ts";
import type { NetDevice, Tap } from "../../src/net/core/net-device.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import type { Skb } from "../../src/net/core/skb.ts";

/** The networks that a task's container joins (daemon/cluster/executor/container/container.go). */
import type { Prng } from "../util/prng.ts";
import type { NetworkObject, TaskObject } from "./manager/objects.ts";
import type { Attachment } from "./network/controller.ts";
import { type Pins, taskPin } from "./pins.ts";

/** In the order in which the container joins them: that of a map, so any order, unless a pin says. */
export function taskAttachments(
  task: TaskObject,
  alias: string,
  networks: ReadonlyMap<string, NetworkObject>,
  pins: Pins,
  prng: Prng,
): Attachment[] {
  const list = task.networks.map(({ networkId, addr }): Attachment => {
    const vip = task.vips.find((candidate) => candidate.networkId === networkId);
    const { ingress } = networks.get(networkId)!;
    return {
      networkId,
      addr,
      service: {
        serviceId: task.serviceId,
        serviceName: task.serviceName,
        virtualIp: vip?.addr ?? 0,
        ingressPorts: ingress ? task.ports.filter((port) => port.mode === "ingress") : [],
      },
      aliases: [alias],
    };
  });
  if (list.length === 0) return list;
  const pinned = taskPin(pins, task)?.addresses;
  prng.shuffle(list);
  if (pinned === undefined) return list;
  const order = Object.keys(pinned);
  const rank = ({ networkId }: Attachment): number => {
    const i = order.indexOf(networks.get(networkId)!.name);
    return i < 0 ? order.length : i;
  };
  return list.sort((a, b) => rank(a) - rank(b));
}

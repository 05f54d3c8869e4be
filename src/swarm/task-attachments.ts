/** The networks that a task's container joins (daemon/cluster/executor/container/container.go). */
import type { Prng } from "../util/prng.ts";
import type { NetworkObject, TaskObject } from "./manager/objects.ts";
import type { Attachment } from "./network/controller.ts";
import type { PinBook } from "./pins.ts";

/** In the order in which the container joins them: that of a map, so any order, unless a pin says. */
export function taskAttachments(
  task: TaskObject,
  alias: string,
  networks: ReadonlyMap<string, NetworkObject>,
  pins: PinBook,
  prng: Prng,
): Attachment[] {
  // A network may be gone before its last task has heard that it should not start.
  const left = task.networks.filter(({ networkId }) => networks.has(networkId));
  const list = left.map(({ networkId, addr }): Attachment => {
    const vip = task.vips.find((candidate) => candidate.networkId === networkId);
    const { ingress } = networks.get(networkId)!;
    return {
      networkId,
      addr,
      service: {
        serviceId: task.serviceId,
        serviceName: task.serviceName,
        virtualIp: vip?.addr ?? 0,
        aliases: task.spec.aliases?.get(networkId) ?? [],
        ingressPorts: ingress ? task.ports.filter((port) => port.mode === "ingress") : [],
      },
      aliases: [alias],
      anonymous: false,
    };
  });
  if (list.length === 0) return list;
  const pinned = pins.task(task)?.addresses;
  prng.shuffle(list);
  if (pinned === undefined) return list;
  const order = Object.keys(pinned);
  const rank = ({ networkId }: Attachment): number => {
    const i = order.indexOf(networks.get(networkId)!.name);
    return i < 0 ? order.length : i;
  };
  return list.sort((a, b) => rank(a) - rank(b));
}

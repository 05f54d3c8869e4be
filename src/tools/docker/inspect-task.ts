/** What docker inspect shows of a task (api/types/swarm/task.go), in Docker's field order. */
import type { ControlApi } from "../../swarm/manager/control-api.ts";
import { type NetworkObject, type TaskObject, taskContainerName } from "../../swarm/manager/objects.ts";
import { VXLAN_ID_LIST } from "../../swarm/network/overlay-driver.ts";
import { formatCidr, formatIp4 } from "../../wire/address.ts";
import { rfc3339 } from "./human.ts";
import { taskSpecJson } from "./inspect-json.ts";

/** A task by its id, its full name, or the beginning of its id; null when there is none or several. */
export function findTask(reference: string, control: ControlApi): TaskObject | null {
  const tasks = control.listTasks();
  const exact = tasks.find((task) => task.id === reference || taskContainerName(task) === reference);
  if (exact !== undefined) return exact;
  const found = tasks.filter(({ id }) => id.startsWith(reference));
  return found.length === 1 ? found[0] : null;
}

export function taskJson(task: TaskObject, networks: readonly NetworkObject[]) {
  const attachments = task.networks.flatMap(({ networkId, addr, prefixLen }) => {
    const network = networks.find(({ id }) => id === networkId);
    return network === undefined
      ? []
      : [{ Network: networkObjectJson(network), Addresses: [formatCidr(addr, prefixLen)] }];
  });
  return {
    ID: task.id,
    Version: { Index: task.version },
    CreatedAt: rfc3339(task.createdNs),
    UpdatedAt: rfc3339(task.updatedNs),
    Labels: {},
    Spec: taskSpecJson(task.spec),
    ServiceID: task.serviceId,
    ...(task.slot > 0 ? { Slot: task.slot } : {}),
    ...(task.nodeId === "" ? {} : { NodeID: task.nodeId }),
    Status: statusJson(task),
    DesiredState: task.desired,
    ...(attachments.length === 0 ? {} : { NetworksAttachments: attachments }),
  };
}

function statusJson({ status, ports }: TaskObject) {
  const { atNs, state, message, err, containerId, pid, exitCode } = status;
  const host = ports.filter((port) => port.mode === "host" && state === "running");
  return {
    Timestamp: rfc3339(atNs),
    State: state,
    Message: message,
    ...(err === "" ? {} : { Err: err }),
    ...(containerId === ""
      ? {}
      : { ContainerStatus: { ContainerID: containerId, PID: pid, ExitCode: exitCode } }),
    PortStatus:
      host.length === 0
        ? {}
        : {
            Ports: host.map((port) => ({
              Protocol: port.protocol,
              TargetPort: port.targetPort,
              PublishedPort: port.publishedPort,
              PublishMode: port.mode,
            })),
          },
  };
}

function networkObjectJson(network: NetworkObject) {
  const pool = {
    Subnet: formatCidr(network.subnet, network.prefixLen),
    Gateway: formatIp4(network.gateway),
  };
  const options = Object.fromEntries(network.options);
  return {
    ID: network.id,
    Version: { Index: network.version },
    CreatedAt: rfc3339(network.createdNs),
    UpdatedAt: rfc3339(network.updatedNs),
    Spec: {
      Name: network.name,
      Labels: Object.fromEntries(network.labels),
      DriverConfiguration: {
        Name: network.driver,
        ...(network.options.size > 0 ? { Options: options } : {}),
      },
      ...(network.attachable ? { Attachable: true } : {}),
      ...(network.ingress ? { Ingress: true } : {}),
      IPAMOptions: { Driver: { Name: "default" } },
      Scope: "swarm",
    },
    DriverState: {
      Name: network.driver,
      Options: { [VXLAN_ID_LIST]: String(network.vni), ...options },
    },
    IPAMOptions: { Driver: { Name: "default" }, Configs: [pool] },
  };
}

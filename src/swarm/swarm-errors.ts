/** Refusals that concern the membership of a swarm (daemon/cluster/errors.go, swarm.go Leave). */

export const ALREADY_MEMBER =
  'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.';

export const NO_SWARM =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

export const NOT_MANAGER =
  "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.";

export const NOT_PART = "This node is not part of a swarm";

export const JOIN_TIMEOUT =
  'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.';

export const BAD_TOKEN = "invalid join token";

export const NO_JOIN_TOKEN =
  "rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster";

/** Why a manager may not leave without --force; `managers` counts it. */
export function leaveRefusal(managers: number): string {
  const start = "You are attempting to leave the swarm on a node that is participating as a manager. ";
  if (managers === 1)
    return `${start}Removing the last manager erases all current state of the swarm. Use \`--force\` to ignore this message. `;
  const end =
    "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.";
  const rest = managers - 1;
  if (rest < Math.floor(managers / 2) + 1)
    return `${start}Removing this node leaves ${rest} managers out of ${managers}. Without a Raft quorum your swarm will be inaccessible. ${end}`;
  return `${start}Doing so may lose the consensus of your cluster. ${end}`;
}

/** The shell script that makes a dump of a real node. It only reads. */
import { DUMP_VERSION, HOST_NETNS } from "./dump.ts";

/** Text of the script, for a POSIX shell; it is run as root and writes the dump to its standard output. */
export const COLLECT_SCRIPT = `#!/bin/sh
# Writes to standard output what a meshwire lab needs to stand this node up again: namespaces, devices, addresses, routes,
# rules, neighbours, forwarding entries, iptables, IPVS, kernel parameters, names of containers. It changes nothing.
#   sudo sh collect.sh > node1.dump
set -u
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
[ "$(id -u)" = 0 ] || { echo "collect: run me as root" >&2; exit 1; }
for tool in ip bridge nsenter; do
  command -v "$tool" > /dev/null || { echo "collect: $tool is missing (iproute2, util-linux)" >&2; exit 1; }
done

# section NAME COMMAND...: its output in the namespace $ns; nothing when the command is not there or has nothing to say
section() {
  name=$1; shift
  command -v "$1" > /dev/null || return 0
  out=$(nsenter --net="$ns" "$@" 2> /dev/null) || true
  [ -n "$out" ] || return 0
  printf '@section %s\\n%s\\n' "$name" "$out"
}

netns() {
  ns=$1
  echo "@netns $ns"
  section addr ip -j -d addr
  section route ip -4 -j -d route show table all
  section rule ip -4 -j -d rule
  section neigh ip -4 -j neigh
  section fdb bridge -j fdb
  section iptables iptables-save -c
  section nft nft list tables
  section ipvs ipvsadm -Sn
  section ipvs-order ipvsadm -Ln --nosort
  section xfrm ip xfrm policy
  section sockets ss -nltup
  section sysctl sh -c 'sysctl -a 2> /dev/null | grep -E "^net\\.(ipv4|bridge|netfilter)\\."'
}

echo "@meshwire-dump ${DUMP_VERSION}"
echo "@machine $(uname -n)"
echo "@kernel $(uname -r)"
netns ${HOST_NETNS}
seen=" $(stat -L -c %i ${HOST_NETNS}) "
for file in /var/run/docker/netns/* /var/run/netns/*; do
  [ -e "$file" ] || continue
  inode=$(stat -L -c %i "$file")
  case $seen in *" $inode "*) continue ;; esac
  seen="$seen$inode "
  netns "$file"
done
if command -v docker > /dev/null; then
  echo "@docker"
  echo "@section networks"
  docker network ls --no-trunc --format '{{.ID}} {{.Name}}' 2> /dev/null
  echo "@section containers"
  for id in $(docker ps -q 2> /dev/null); do
    docker inspect --format '{{.NetworkSettings.SandboxKey}} {{.Config.Hostname}} {{.Name}}' "$id"
  done
fi
echo "@end"
`;

/** Names of commands: those that exist in reality but not here, and what to say of names that nobody knows. */

/** Commands of a Debian machine or a busybox container that meshwire does not model. */
export const UNMODELLED: ReadonlySet<string> = new Set(
  (
    "apk apt apt-get arch arpd arptables base64 bc bind cal caller chgrp chown chroot cksum comm " +
    "compgen complete containerd coproc crontab ctr ctstat dcb devlink df dirs docker-compose " +
    "docker-proxy dockerd dpkg du ebtables enable ethtool expand fc file find fold fping free ftp " +
    "fuser genl getent groups help hexdump history hostnamectl htop ifstat insmod install ionice " +
    "ip6tables ipcalc iperf ipset iptables-apply iptables-nft iptables-translate ipvsadm-restore " +
    "ipvsadm-save join journalctl jq less ln lnstat logger logout lscpu lsmod lsns lsof man md5sum " +
    "mkfifo more mount mtr nano ncat nice nmap nproc nstat od openssl paste patch perl pidof ping6 " +
    "popd printenv pushd python python3 rdma readlink realpath reboot rev rmmod rsync rtacct rtmon " +
    "runc scp screen script select service sha256sum shuf snap split ssh stat strace stress strings " +
    "stty su suspend systemctl tar tc telnet times tipc tmux top tput truncate tshark tunctl ufw " +
    "umount unexpand unshare uptime vconfig vdpa vi vim w watch wget who wireshark xtables-monitor " +
    "xxd"
  ).split(" "),
);

/** What a shell says about a name it does not find; `shell` is its `$0`, `line` that of the script. */
export function notFoundText(shell: string, name: string, line: number): string {
  if (shell === "sh" || shell === "ash") return `sh: ${name}: not found\n`;
  return shell === "bash"
    ? `bash: ${name}: command not found\n`
    : `${shell}: line ${line}: ${name}: command not found\n`;
}

/** Optimal string alignment distance: insertions, deletions, changes, and neighbours swapped. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      let best = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + Number(a[i - 1] !== b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, before[j - 2] + 1);
      next.push(best);
    }
    before = row;
    row = next;
  }
  return row[b.length];
}

/** The nearest of `names`, null when none is near. */
export function nearest(name: string, names: Iterable<string>): string | null {
  let best: string | null = null;
  let distance = name.length < 2 ? 0 : Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of names) {
    const d = editDistance(name, candidate);
    if (d < distance) [best, distance] = [candidate, d];
  }
  return best;
}

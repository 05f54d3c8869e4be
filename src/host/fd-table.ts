/** The open sockets of a process: numbered from 3 on, all closed when it ends (files_struct, do_exit). */

import { RawSock } from "../net/ipv4/raw-sock.ts";
import type { Sock } from "../net/ipv4/sock.ts";
import { tcpClose } from "../net/ipv4/tcp.ts";
import { TcpSock } from "../net/ipv4/tcp-sock.ts";
import { UdpSock } from "../net/ipv4/udp-sock.ts";
import type { Process } from "./process.ts";

const FIRST_FD = 3;

class FdTable {
  readonly files: (Sock | null)[] = [];

  onWake(): void {
    for (let i = 0; i < this.files.length; i++) {
      const sk = this.files[i];
      this.files[i] = null;
      if (sk !== null) closeSock(sk);
    }
  }
}

const tables = new WeakMap<Process, FdTable>();

/** Notes that `process` holds `sk`; it is closed when the process ends. Returns the socket. */
export function install<S extends Sock>(process: Process, sk: S): S {
  let table = tables.get(process);
  if (table === undefined) {
    table = new FdTable();
    tables.set(process, table);
    process.exited.add(table);
  }
  let index = table.files.indexOf(null);
  if (index < 0) index = table.files.push(null) - 1;
  table.files[index] = sk;
  sk.owner = { pid: process.pid, comm: process.comm, fd: FIRST_FD + index };
  return sk;
}

/** Closes a socket that a process holds. */
export function closeFd(process: Process, sk: Sock): void {
  const files = tables.get(process)?.files;
  const index = files === undefined ? -1 : files.indexOf(sk);
  if (files !== undefined && index >= 0) files[index] = null;
  closeSock(sk);
}

/** Gives a socket to another process, as a child inherits it. */
export function passFd(from: Process, to: Process, sk: Sock): void {
  const files = tables.get(from)?.files;
  const index = files === undefined ? -1 : files.indexOf(sk);
  if (files !== undefined && index >= 0) files[index] = null;
  install(to, sk);
}

function closeSock(sk: Sock): void {
  sk.owner = null;
  if (sk instanceof TcpSock) tcpClose(sk);
  else if (sk instanceof UdpSock || sk instanceof RawSock) sk.close();
}

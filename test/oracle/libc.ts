/**
 * System calls that Node has no door to: namespaces (setns(2), unshare(2)), packet sockets (packet(7)) and the switches
 * of checksum offload (SIOCETHTOOL, linux/ethtool.h).
 */
import koffi from "koffi";

const libc = koffi.load("libc.so.6");
const cOpen = libc.func("int open(const char *path, int flags)");
const cClose = libc.func("int close(int fd)");
const cSetns = libc.func("int setns(int fd, int nstype)");
const cUnshare = libc.func("int unshare(int flags)");
const cSocket = libc.func("int socket(int domain, int type, int protocol)");
const cBind = libc.func("int bind(int fd, const uint8_t *addr, uint32_t len)");
const cAccept = libc.func("int accept4(int fd, void *addr, void *len, int flags)");
const cRecvfrom = libc.func(
  "int64_t recvfrom(int fd, _Out_ uint8_t *buf, uint64_t len, int flags, _Out_ uint8_t *addr, _Inout_ uint32_t *addrlen)",
);
const cListen = libc.func("int listen(int fd, int backlog)");
const cSetsockopt = libc.func(
  "int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t len)",
);
const cSendto = libc.func(
  "int64_t sendto(int fd, const uint8_t *buf, uint64_t len, int flags, const uint8_t *addr, uint32_t addrlen)",
);
const cMmap = libc.func("void *mmap(void *addr, uint64_t len, int prot, int flags, int fd, int64_t offset)");
const cMunmap = libc.func("int munmap(void *addr, uint64_t len)");
const cIoctl = libc.func("int ioctl(int fd, unsigned long request, _Inout_ uint8_t *arg)");
const cNameToIndex = libc.func("unsigned int if_nametoindex(const char *name)");

const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;
const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const AF_PACKET = 17;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SOL_PACKET = 263;
const PACKET_RX_RING = 5;
const PACKET_VERSION = 10;
const TPACKET_V2 = 1;
const TP_STATUS_USER = 1;
const TP_STATUS_VLAN_VALID = 0x10;
const VLAN_HLEN = 4;
/** Both MAC addresses, behind which a VLAN tag stands. */
const MACS = 12;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const ETH_P_ALL = 3;
const ENOBUFS = 105;
const EAGAIN = 11;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const IFNAMSIZ = 16;
const SIOCGIFFLAGS = 0x8913;
const IFF_UP = 1;
const IFF_RUNNING = 0x40;
const PACKET_OUTGOING = 4;
const SOCKADDR_LL_LEN = 20;

/** A system call that failed. */
export class CallError extends Error {
  constructor(call: string) {
    super(`${call}: errno ${koffi.errno()}`);
    this.name = "CallError";
  }
}

function check(result: number, call: string): number {
  if (result < 0) throw new CallError(call);
  return result;
}

/** Descriptor of the namespace that this thread is in. */
export function currentNetns(): number {
  return check(cOpen("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "open netns");
}

/** Puts this thread into a network namespace. */
export function enterNetns(fd: number): void {
  check(cSetns(fd, CLONE_NEWNET), "setns");
}

/** Makes a namespace that lives as long as the descriptor, and puts this thread into it. */
export function newNetns(): number {
  check(cUnshare(CLONE_NEWNET), "unshare");
  return currentNetns();
}

export function closeFd(fd: number): void {
  cClose(fd);
}

const inet = (port: number): Uint8Array => {
  const address = new Uint8Array(16);
  address[0] = AF_INET;
  address[2] = port >> 8;
  address[3] = port & 0xff;
  return address;
};

/** A socket on a port of every address; TCP listens. */
export function listenOn(protocol: "tcp" | "udp", port: number): number {
  const type = protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM;
  const fd = check(cSocket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  check(cSetsockopt(fd, SOL_SOCKET, SO_REUSEADDR, Uint8Array.of(1, 0, 0, 0), 4), "setsockopt");
  check(cBind(fd, inet(port), 16), "bind");
  if (protocol === "tcp") check(cListen(fd, 128), "listen");
  return fd;
}

/** The next connection of a listener, -1 when there is none. */
export function acceptOne(listener: number): number {
  return cAccept(listener, null, null, SOCK_CLOEXEC);
}

/** What a socket holds: its bytes, and where an answer goes to (UDP); null when there is nothing. Empty: the end (TCP). */
export function receiveFrom(fd: number): { data: Uint8Array; from: Uint8Array } | "error" | null {
  const buffer = new Uint8Array(65536);
  const from = new Uint8Array(16);
  const length = Number(cRecvfrom(fd, buffer, buffer.length, MSG_DONTWAIT, from, [from.length]));
  if (length < 0) return koffi.errno() === EAGAIN ? null : "error";
  return { data: buffer.subarray(0, length), from };
}

/** Sends without waiting; false when the socket refuses. */
export function sendBack(fd: number, data: Uint8Array, to: Uint8Array | null): boolean {
  const sent = cSendto(fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL, to, to === null ? 0 : to.length);
  return Number(sent) >= 0;
}

/** A packet socket that only sends. */
export function openSender(): number {
  return check(cSocket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), "packet socket");
}

/** Sends one frame out of an interface; the other end may refuse it (its MTU), which is no error. */
export function sendFrame(fd: number, ifindex: number, frame: Uint8Array): void {
  const address = new Uint8Array(SOCKADDR_LL_LEN);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setInt32(4, ifindex, true);
  view.setUint8(11, 6);
  const sent = cSendto(fd, frame, frame.length, 0, address, SOCKADDR_LL_LEN);
  if (sent < 0 && koffi.errno() !== ENOBUFS) throw new CallError("sendto");
}

export interface CapturedFrame {
  readonly ifindex: number;
  readonly outgoing: boolean;
  readonly bytes: Uint8Array;
}

const BLOCK_BYTES = 1 << 16;
const BLOCK_COUNT = 24;
/** Room for the longest frame of an interface with an MTU of 1500; longer ones are cut. */
const SLOT_BYTES = 1 << 12;
/** Offset of struct sockaddr_ll behind struct tpacket2_hdr. */
const LINK_LAYER_OFF = 32;

const RING_BYTES = BLOCK_BYTES * BLOCK_COUNT;
const SLOTS = RING_BYTES / SLOT_BYTES;

/** A packet socket of this namespace that sees nothing yet, to become a {@link Capture}. */
export function openDeafSocket(): number {
  const fd = openSender();
  packetOption(fd, PACKET_VERSION, TPACKET_V2);
  return fd;
}

/** Gives a packet socket its ring. The kernel takes its time (an RCU grace period), so many may be made at once. */
export async function addRing(fd: number): Promise<void> {
  check(await asynchronously(cSetsockopt, fd, SOL_PACKET, PACKET_RX_RING, RING, RING.length), "ring");
}

export function addRingNow(fd: number): void {
  check(cSetsockopt(fd, SOL_PACKET, PACKET_RX_RING, RING, RING.length), "ring");
}

/** As {@link closeFd}, elsewhere: closing a packet socket takes an RCU grace period. */
export async function closeFdLater(fd: number): Promise<void> {
  await asynchronously(cClose, fd);
}

type Call = ReturnType<typeof libc.func>;

function asynchronously(call: Call, ...args: unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error: Error | null, result: number) =>
      error === null ? resolve(result) : reject(error),
    );
  });
}

function packetOption(fd: number, name: number, value: number): void {
  check(cSetsockopt(fd, SOL_PACKET, name, words(value), 4), "setsockopt of a packet socket");
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(new Int32Array(values).buffer);
}

const RING = words(BLOCK_BYTES, BLOCK_COUNT, SLOT_BYTES, SLOTS);

/**
 * A packet socket that sees every frame of every interface of its namespace, both directions. By a ring: the kernel
 * copies a frame into it at once, so what is done to the packet afterwards does not show (as with tcpdump).
 */
export class Capture {
  readonly fd: number;
  private readonly memory: unknown;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private slot = 0;

  /** Of a socket with a ring. */
  constructor(fd: number) {
    this.fd = fd;
    this.memory = cMmap(null, RING_BYTES, PROT_READ_WRITE, MAP_SHARED, fd, 0);
    const buffer = koffi.view(this.memory, RING_BYTES);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
  }

  /** From now on it sees. */
  start(): void {
    const address = new Uint8Array(SOCKADDR_LL_LEN);
    new DataView(address.buffer).setUint16(0, AF_PACKET, true);
    address[3] = ETH_P_ALL;
    check(cBind(this.fd, address, SOCKADDR_LL_LEN), "bind of a packet socket");
  }

  /** The next frame, null when none waits. */
  receive(): CapturedFrame | null {
    const { view } = this;
    const at = this.slot * SLOT_BYTES;
    if ((view.getUint32(at, true) & TP_STATUS_USER) === 0) return null;
    const from = at + view.getUint16(at + 12, true);
    const frame = this.frame(at, from, view.getUint32(at + 8, true));
    const address = at + LINK_LAYER_OFF;
    const outgoing = view.getUint8(address + 10) === PACKET_OUTGOING;
    const ifindex = view.getInt32(address + 4, true);
    view.setUint32(at, 0, true);
    this.slot = (this.slot + 1) % SLOTS;
    return { ifindex, outgoing, bytes: frame };
  }

  /** The bytes of a frame; a VLAN tag, which the kernel keeps beside them, is put back. */
  private frame(at: number, from: number, length: number): Uint8Array {
    const { view } = this;
    if ((view.getUint32(at, true) & TP_STATUS_VLAN_VALID) === 0) return this.bytes.slice(from, from + length);
    const whole = new Uint8Array(length + VLAN_HLEN);
    whole.set(this.bytes.subarray(from, from + MACS));
    const tag = new DataView(whole.buffer, MACS, VLAN_HLEN);
    tag.setUint16(0, view.getUint16(at + 26, true));
    tag.setUint16(2, view.getUint16(at + 24, true));
    whole.set(this.bytes.subarray(from + MACS, from + length), MACS + VLAN_HLEN);
    return whole;
  }

  /** Gives up the memory; the socket stays. */
  unmap(): void {
    cMunmap(this.memory, RING_BYTES);
  }
}

export function interfaceIndex(name: string): number {
  return check(cNameToIndex(name) - 1, `if_nametoindex ${name}`) + 1;
}

function ifreq(name: string): Uint8Array {
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(name));
  return request;
}

/** Whether an interface is up and able to carry packets, or is down on purpose. */
export function isSettled(socket: number, name: string): boolean {
  const request = ifreq(name);
  check(cIoctl(socket, SIOCGIFFLAGS, request), "SIOCGIFFLAGS");
  const flags = new DataView(request.buffer).getInt16(IFNAMSIZ, true);
  return (flags & IFF_UP) === 0 || (flags & IFF_RUNNING) !== 0;
}

const SIOCETHTOOL = 0x8946;
/** ETHTOOL_SRXCSUM, ETHTOOL_STXCSUM, ETHTOOL_SSG, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO. */
const OFFLOADS = [0x15, 0x17, 0x19, 0x1f, 0x24, 0x2c];

/** Makes an interface do without every offload, so that a capture shows what a wire would. */
export function disableOffloads(socket: number, name: string): void {
  for (const command of OFFLOADS) {
    const value = koffi.alloc("uint32_t", 2);
    koffi.encode(value, "uint32_t[2]", [command, 0]);
    const request = new Uint8Array(40);
    request.set(ifreq(name));
    new DataView(request.buffer).setBigUint64(IFNAMSIZ, koffi.address(value), true);
    cIoctl(socket, SIOCETHTOOL, request);
    koffi.free(value);
  }
}

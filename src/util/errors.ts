/**
 * The kinds of error. A packet is never a throw: it is dropped with a reason.
 * A refused request is a SysError, bad words typed by a user a UsageError, a bad lab file a ScenarioError,
 * something real that meshwire does not model a NotModelledError, and a bug an InvariantError.
 */

/** errno names that `net/ctl` and the socket calls answer with (errno-base.h, errno.h). */
export type Errno =
  | "EPERM"
  | "ENOENT"
  | "ESRCH"
  | "EINTR"
  | "EIO"
  | "ENXIO"
  | "EBADF"
  | "EAGAIN"
  | "ENOMEM"
  | "EACCES"
  | "EBUSY"
  | "EEXIST"
  | "ENODEV"
  | "ENOTDIR"
  | "EISDIR"
  | "EINVAL"
  | "EPIPE"
  | "ERANGE"
  | "ENOPROTOOPT"
  | "EPROTONOSUPPORT"
  | "EOPNOTSUPP"
  | "EADDRINUSE"
  | "EADDRNOTAVAIL"
  | "ENETDOWN"
  | "ENETUNREACH"
  | "ECONNABORTED"
  | "ECONNRESET"
  | "ENOBUFS"
  | "EISCONN"
  | "ENOTCONN"
  | "EMSGSIZE"
  | "ETIMEDOUT"
  | "ECONNREFUSED"
  | "EHOSTUNREACH"
  | "EALREADY"
  | "EINPROGRESS"
  | "EDESTADDRREQ"
  | "ELOOP"
  | "EMLINK"
  | "ENFILE"
  | "EXDEV"
  | "EROFS";

const STRERROR: Record<Errno, string> = {
  EROFS: "Read-only file system",
  EPERM: "Operation not permitted",
  ENOENT: "No such file or directory",
  ESRCH: "No such process",
  EINTR: "Interrupted system call",
  EIO: "Input/output error",
  ENXIO: "No such device or address",
  EBADF: "Bad file descriptor",
  EAGAIN: "Resource temporarily unavailable",
  ENOMEM: "Cannot allocate memory",
  EACCES: "Permission denied",
  EBUSY: "Device or resource busy",
  EEXIST: "File exists",
  ENODEV: "No such device",
  ENOTDIR: "Not a directory",
  EISDIR: "Is a directory",
  EINVAL: "Invalid argument",
  EPIPE: "Broken pipe",
  ERANGE: "Numerical result out of range",
  ENOPROTOOPT: "Protocol not available",
  EPROTONOSUPPORT: "Protocol not supported",
  EOPNOTSUPP: "Operation not supported",
  EADDRINUSE: "Address already in use",
  EADDRNOTAVAIL: "Cannot assign requested address",
  ENETDOWN: "Network is down",
  ENETUNREACH: "Network is unreachable",
  ECONNABORTED: "Software caused connection abort",
  ECONNRESET: "Connection reset by peer",
  ENOBUFS: "No buffer space available",
  EISCONN: "Transport endpoint is already connected",
  ENOTCONN: "Transport endpoint is not connected",
  EMSGSIZE: "Message too long",
  ETIMEDOUT: "Connection timed out",
  ECONNREFUSED: "Connection refused",
  EHOSTUNREACH: "No route to host",
  EALREADY: "Operation already in progress",
  EINPROGRESS: "Operation now in progress",
  EDESTADDRREQ: "Destination address required",
  ELOOP: "Too many levels of symbolic links",
  EMLINK: "Too many links",
  EXDEV: "Invalid cross-device link",
  ENFILE: "Too many open files in system",
};

/** glibc's text of an errno, e.g. `strerror("EEXIST")` is "File exists". */
export function strerror(code: Errno): string {
  return STRERROR[code];
}

/** A request that the kernel refuses. `detail` says what was asked, for the log; tools print `strerror(code)`. */
export class SysError extends Error {
  readonly code: Errno;
  readonly detail: string;
  constructor(code: Errno, detail = "") {
    super(detail === "" ? STRERROR[code] : `${STRERROR[code]}: ${detail}`);
    this.name = "SysError";
    this.code = code;
    this.detail = detail;
  }
}

/** Words of a command line that a tool does not take; `message` is the real tool's text, `status` its exit code. */
export class UsageError extends Error {
  readonly status: number;
  constructor(message: string, status = 1) {
    super(message);
    this.name = "UsageError";
    this.status = status;
  }
}

/** Something that exists in reality and is not modelled. Ends the run with exit status 2. */
export class NotModelledError extends Error {
  constructor(what: string) {
    super(`meshwire: not modelled: ${what}`);
    this.name = "NotModelledError";
  }
}

/** A bad lab file: where (line and column count from 1), what, and what would do. */
export class ScenarioError extends Error {
  readonly file: string;
  readonly line: number;
  readonly col: number;
  constructor(file: string, line: number, col: number, message: string) {
    super(`${file}:${line}:${col}: ${message}`);
    this.name = "ScenarioError";
    this.file = file;
    this.line = line;
    this.col = col;
  }
}

/** A bug of meshwire. */
export class InvariantError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "InvariantError";
  }
}

/** Options of the IPv4 header (RFC 791 3.1, RFC 2113 router alert, include/uapi/linux/ip.h). */

/** Most bytes of options in a header. */
export const IP_OPTIONS_MAX = 40;

/** Set in the kind of an option that each fragment carries. */
export const IPOPT_COPY = 0x80;

export const IPOPT_END = 0;
export const IPOPT_NOOP = 1;
export const IPOPT_RR = 7;
export const IPOPT_TIMESTAMP = 68;
export const IPOPT_SEC = 130;
export const IPOPT_LSRR = 131;
export const IPOPT_CIPSO = 134;
export const IPOPT_SSRR = 137;
export const IPOPT_RA = 148;

/** Low half of the fourth byte of a timestamp option: times, addresses with times, times for given addresses. */
export const IPOPT_TS_TSONLY = 0;
export const IPOPT_TS_TSANDADDR = 1;
export const IPOPT_TS_PRESPEC = 3;

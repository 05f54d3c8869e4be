/** What a protocol's tracker says about a packet (the return values of nf_conntrack_handle_packet). */

export const CT_ACCEPT = 1;
/** The packet must go. */
export const CT_DROP = 0;
/** The packet belongs to no connection: it passes untracked, NAT leaves it alone (-NF_ACCEPT). */
export const CT_INVALID = -1;
/** The entry was deleted, look the packet up again (-NF_REPEAT). */
export const CT_REPEAT = -4;
/** The packet passes as part of its connection, but does not count and does not prolong it. */
export const CT_IGNORE = 4;
export type CtVerdict = 1 | 0 | -1 | -4 | 4;

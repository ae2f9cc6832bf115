/**
 * The second results of a call, at a fixed address: what does not fit into one return value.
 *
 * 0: why a group is poisoned (a `Reason` of log-group.ts). 4: where in it. 8: the count of messages. 12: whether there
 * is a next offset. 16: the next offset, int64.
 */
export const REPORT: usize = memory.data(32, 8)

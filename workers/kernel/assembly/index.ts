/**
 * What the kernel exports. Every function works on addresses that its caller gives, and allocates nothing. None keeps
 * anything between calls, but that `matchShapes` goes on with its own table, as far as the caller says. Addresses stay
 * under 2^31 (`maximumMemory`), so that an end has its top bit free for a flag.
 */
export { decodeBase64, unescapeText } from './base64'
export { checkHeader } from './header'
export { scanResponse } from './json'
export { indexLogGroup } from './log-group'
export { decompressLz4 } from './lz4'
export { REPORT } from './report'
export { matchShapes, SHAPES } from './shapes'
export { decompressSnappy } from './snappy'

/** The first address that is not the kernel's own. */
export const FREE: usize = __heap_base

/**
 * Finds `NextOffset` in a response that does not have it at its front.
 *
 * In: a compressed body, untrusted. Out: its next offset, or `undefined` for whatever is wrong with it: the partition's
 * own worker will meet the same, and tells of it with its place. Must never happen: an error; a body that unpacks to more
 * than the limit.
 */
import { decompress } from '../src/cls/compression.ts'
import type { ScoutedAnswer, ScoutTask } from '../src/dispatch/messages.ts'
import { readResponse } from './response.ts'

export function scout({ body, byteCount, compression, responseBytesMax }: ScoutTask): ScoutedAnswer {
  try {
    const plain = decompress(new Uint8Array(body, 0, byteCount), compression, responseBytesMax)
    return { kind: 'scouted', nextOffset: readResponse(plain, {}).nextOffset }
  } catch {
    return { kind: 'scouted', nextOffset: undefined }
  }
}

/**
 * Whether a partition has anything at or after an offset.
 *
 * In: a partition and an offset. Out: yes or no, by one small pull whose logs nobody reads. Errors pass, but for an
 * offset that is not of this log: then that offset is not where the log ends, either.
 */
import type { PartitionId } from '../dispatch/messages.ts'
import { ClsConsumerError } from '../errors.ts'
import type { PulledBody, World } from '../world.ts'
import { peek } from './peek.ts'
import { readSmallResponse } from './small-response.ts'

/** As little as the service gives. */
const ASKED_BYTES = 1024

export async function hasLogsFrom(
  world: Pick<World, 'data' | 'scout'>,
  { topicId, partition }: PartitionId,
  offset: bigint,
  signal: AbortSignal
): Promise<boolean> {
  try {
    const request = { topicId, partition, startOffset: offset, sizeBytes: ASKED_BYTES }
    const body = await world.data.pull(request, { signal })
    try {
      return await leadsOn(world, body, { topicId, partition, offset })
    } finally {
      world.data.free(body)
    }
  } catch (error) {
    if (error instanceof ClsConsumerError && error.code === 'API_INVALID_OFFSET') return true
    throw error
  }
}

async function leadsOn(
  world: Pick<World, 'data' | 'scout'>,
  body: PulledBody,
  place: PartitionId & { readonly offset: bigint }
): Promise<boolean> {
  const received = new Uint8Array(body.bytes, 0, body.byteCount)
  const found = peek({ received, compression: body.compression }, true)
  if (found.kind === 'offset') return found.nextOffset > place.offset
  if (found.kind !== 'whole') {
    const nextOffset = await world.scout.nextOffset(body)
    if (nextOffset !== undefined) return nextOffset > place.offset
    // Not "no logs" (I6): the scout may be busy, or the body damaged.
    throw new ClsConsumerError('API_MALFORMED', 'a response could not be read for its NextOffset', place)
  }
  const small = readSmallResponse(found.text, place)
  if (small.kind === 'error') throw world.data.heed(small.error)
  world.data.worked({ ...place, startOffset: place.offset })
  return small.kind === 'messages'
}

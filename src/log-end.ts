/**
 * Whether the log goes as far as somebody wants to read it.
 *
 * In: a tenure, and an offset that it is to go on from. Out: the end of the log, where that lies before. Nothing is asked where
 * pulls have come so far already: a way back waits for nothing. Where the service fails to tell, that is an error, and whoever
 * wants to go there may ask again; where it never tells, the offset is taken: the service itself is to refuse it then. Must
 * never happen: an offset taken because of an outage. It is committed before anything is pulled from it, and once the log has
 * come so far, nobody sees what was passed (I1).
 */
import { type ErrorCode, toClsError } from './errors.ts'
import { errorFields } from './observe/error-fields.ts'
import type { Starts } from './starts.ts'
import type { Tenure } from './tenure.ts'
import { unlessAborted } from './within.ts'
import type { World } from './world.ts'

/** Neither question is for us. All else may pass: an outage, or a group that was deleted and is about to be made again. */
const WILL_NOT_TELL: readonly ErrorCode[] = ['API_UNAUTHORIZED', 'API_REFUSED']

interface LogEndParts {
  readonly world: Pick<World, 'log'>
  readonly starts: Starts
}

/**
 * Undefined also where the partition closes, or its epoch ends, before the service has told.
 * @throws ClsConsumerError API_… (the service fails to tell, and may tell later)
 */
export async function endBefore(
  { world, starts }: LogEndParts,
  { epoch, closed, supply }: Tenure,
  offset: bigint
): Promise<bigint | undefined> {
  if (offset <= supply.reachedOffset) return undefined
  const { topicId, partition } = epoch
  const asked = starts.endOf(epoch, supply.reachedOffset, closed).catch(thrown => {
    const error = toClsError(thrown)
    if (closed.aborted) return undefined
    if (!WILL_NOT_TELL.includes(error.code)) throw error
    world.log.warn('where the log ends is not known', errorFields(error, { topicId, partition, offset }))
    return undefined
  })
  // A group that was made for the question may still be there to delete: whoever closes the partition does not wait for it.
  const endOffset = await unlessAborted(asked, closed)
  return endOffset !== undefined && endOffset < offset ? endOffset : undefined
}

export function beyondEnd(offset: bigint, endOffset: bigint): string {
  return `offset ${offset} is beyond the end of the log, ${endOffset}`
}

/**
 * Whether the log goes as far as somebody wants to read it.
 *
 * In: a tenure, and an offset that it is to go on from. Out: the end of the log, where that lies before. Nothing is asked where
 * pulls have come so far already: a way back waits for nothing. Must never happen: an offset that is refused though it may
 * well be there. Where the service does not tell, it is taken: the service itself is to refuse it then.
 */
import { toClsError } from './errors.ts'
import { errorFields } from './observe/error-fields.ts'
import type { Starts } from './starts.ts'
import type { Tenure } from './tenure.ts'
import { unlessAborted } from './within.ts'
import type { World } from './world.ts'

interface LogEndParts {
  readonly world: Pick<World, 'log'>
  readonly starts: Starts
}

/** Undefined also where the partition closes, or its epoch ends, before the service has told. Never rejects. */
export async function endBefore(
  { world, starts }: LogEndParts,
  { epoch, closed, supply }: Tenure,
  offset: bigint
): Promise<bigint | undefined> {
  if (offset <= supply.reachedOffset) return undefined
  const { topicId, partition } = epoch
  const asked = starts.endOf(epoch, supply.reachedOffset, closed).catch(thrown => {
    const at = { topicId, partition, offset }
    if (!closed.aborted) world.log.warn('where the log ends is not known', errorFields(toClsError(thrown), at))
    return undefined
  })
  // A group that was made for the question may still be there to delete: whoever closes the partition does not wait for it.
  const endOffset = await unlessAborted(asked, closed)
  return endOffset !== undefined && endOffset < offset ? endOffset : undefined
}

export function beyondEnd(offset: bigint, endOffset: bigint): string {
  return `offset ${offset} is beyond the end of the log, ${endOffset}`
}

/** A batch that is given up, for tests. */
import type { Batch } from '../../src/batch.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import type { FailedAttempt } from '../../src/failure/letters.ts'
import { bodyOf } from '../support/fake-data.ts'

export const START = 2n ** 60n

export function batchOf(over: Partial<Batch> = {}): Batch {
  return {
    topicId: 'topic-a',
    partition: 3,
    epoch: 1,
    batchId: 1,
    startOffset: START,
    endOffset: undefined,
    peekedOffset: undefined,
    body: bodyOf('{"Response":{}}'),
    decodedBytes: 100,
    ...over
  }
}

export function failedOf(over: Partial<FailedAttempt> = {}): FailedAttempt {
  const place = { topicId: 'topic-a', partition: 3, offset: START }
  const error = new ClsConsumerError('PROCESSOR_FAILED', 'the sink is gone', place)
  return { batch: batchOf(), attempt: 5, error, poison: [], ...over }
}

/** `count` messages, from the start of the batch on. */
export function harvestOf(count: number, nextOffset: bigint | undefined = START + 100n) {
  return { nextOffset, messages: Array.from({ length: count }, (_, index) => Buffer.from(`"message ${index}"`)) }
}

/**
 * One batch on its thread: decode, say the next offset, run the processor, answer.
 *
 * In: a batch task and the thread's world. Out: one answer, and the next offset by the port before `process` runs. Must
 * never happen: a start after an abort or after the lease's end (I12), or a view that can be read after the answer.
 *
 * Several batches may be open on one thread; nothing here is shared between them.
 */
import type { BatchAnswer, BatchTask, FailedAnswer, FromThread, ProcessedAnswer } from '../src/dispatch/messages.ts'
import { type ErrorPlace, type Failure, toFailure } from '../src/errors.ts'
import type { Aborts } from './aborts.ts'
import { openBatch } from './batch-view.ts'
import { cutAtEnd, decodeMessages, openResponse, placeOf } from './decode.ts'
import type { Processor, ProcessorContext, ThreadContext } from './define-processor.ts'
import { copyResult } from './result.ts'
import { userFailure } from './user-failure.ts'

/** What a batch may touch of its thread. */
export interface BatchWorld {
  readonly processor: Processor
  readonly context: ThreadContext
  readonly file: string
  readonly responseBytesMax: number
  readonly aborts: Aborts
  monotonic(): number
  leaseEndMs(): number
  post(message: FromThread): void
  receivePending(): void
}

export async function runBatch(task: BatchTask, world: BatchWorld): Promise<BatchAnswer> {
  world.receivePending()
  const signal = world.aborts.begin(task.batchId)
  if (signal === undefined) return { kind: 'not-started', reason: 'aborted' }
  try {
    return await decodeAndProcess(task, world, signal)
  } finally {
    world.aborts.end(task.batchId)
  }
}

async function decodeAndProcess(task: BatchTask, world: BatchWorld, signal: AbortSignal): Promise<BatchAnswer> {
  const beganMs = world.monotonic()
  let decoded: Decoded
  try {
    decoded = decode(task, world)
  } catch (error) {
    return failed('decode', toFailure(error, 'BODY_CORRUPT', placeOf(task)))
  }
  const decodedMs = world.monotonic()
  const answer = {
    kind: 'processed',
    ...decoded.counts,
    result: undefined,
    decodeMs: decodedMs - beganMs,
    processMs: 0
  } as const satisfies ProcessedAnswer
  if (decoded.groups.length === 0) return answer

  // I12: from here to the call of `process` nothing waits, so nothing can change in between. Before here anything may
  // have: the decoding took its time, and the process may have been stopped for longer than the lease.
  world.receivePending()
  if (signal.aborted) return { kind: 'not-started', reason: 'aborted' }
  if (!(world.monotonic() < world.leaseEndMs())) return { kind: 'not-started', reason: 'lease-ended' }
  return processBatch(task, world, signal, decoded, answer)
}

async function processBatch(
  task: BatchTask,
  world: BatchWorld,
  signal: AbortSignal,
  { groups, counts }: Decoded,
  answer: ProcessedAnswer
): Promise<BatchAnswer> {
  const { topicId, partition, startOffset, attempt } = task
  const place: ErrorPlace = { ...placeOf(task), file: world.file }
  const { nextOffset, messageCount } = counts
  const goesOn = nextOffset !== undefined && nextOffset > startOffset
  const head = { topicId, partition, startOffset, nextOffset: goesOn ? nextOffset : undefined, messageCount }
  const { batch, close, onLateUse } = openBatch(head, groups, world.file)
  const context: ProcessorContext = { ...world.context, topicId, partition, attempt, signal }

  const beganMs = world.monotonic()
  let returned: unknown
  try {
    returned = await world.processor.process(batch, context)
  } catch (error) {
    return failed('process', userFailure('process', error, 'PROCESSOR_FAILED', place))
  } finally {
    close()
  }
  const processMs = world.monotonic() - beganMs
  let result: unknown
  try {
    result = copyResult(returned, place)
  } catch (error) {
    return failed('process', toFailure(error, 'RESULT_NOT_CLONEABLE', place))
  }
  // Work that goes on now was not awaited: this batch is about to count as done although it is not. One that failed or
  // was aborted is read again, and what it left running does no harm.
  onLateUse(error => world.post({ kind: 'broken', failure: toFailure(error, 'BATCH_CLOSED', place) }))
  return { ...answer, result, processMs }
}

interface Decoded {
  readonly groups: ReturnType<typeof decodeMessages>['groups']
  readonly counts: Pick<ProcessedAnswer, 'nextOffset' | 'messageCount' | 'logCount' | 'responseBytes' | 'poison'>
}

function decode(task: BatchTask, world: BatchWorld): Decoded {
  const response = openResponse(task, world.responseBytesMax)
  // As the response has it, before any cut: the main thread compares it with what it peeked.
  world.post({
    kind: 'next-offset',
    batchId: task.batchId,
    nextOffset: response.nextOffset,
    messageCount: response.messages.length
  })
  const { nextOffset, messages } = cutAtEnd(response, task.startOffset, task.endOffset)
  const { groups, logCount, poison } = decodeMessages(messages)
  const { responseBytes } = response
  return { groups, counts: { nextOffset, messageCount: messages.length, logCount, responseBytes, poison } }
}

function failed(stage: FailedAnswer['stage'], failure: Failure): FailedAnswer {
  return { kind: 'failed', stage, failure }
}

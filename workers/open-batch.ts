/**
 * One batch on its thread: decode, say the next offset, run the processor, answer.
 *
 * In: a batch task and the thread's world. Out: one answer, and the next offset by the port before `process` runs. Must
 * never happen: a start after an abort or after the lease's end (I12), a view that can be read after the answer, a memory that
 * goes to another batch while a view can still be read, or a save, a rewind or a letter of an attempt that failed.
 *
 * Several batches may be open on one thread; nothing here is shared between them.
 */
import type { BatchAnswer, BatchTask, FailedAnswer, FromThread, ProcessedAnswer } from '../src/dispatch/messages.ts'
import { type ErrorPlace, type Failure, toFailure } from '../src/errors.ts'
import type { Aborts } from './aborts.ts'
import { openBatch } from './batch-view.ts'
import { type DecodedResponse, decodeResponse, placeOf } from './decode.ts'
import type { Processor, ProcessorContext, ThreadContext } from './define-processor.ts'
import type { KernelMemory } from './kernel/memory.ts'
import type { MemoryList } from './kernel/memory-list.ts'
import { BatchMarks, type MarkRules } from './marks.ts'
import { copyResult } from './result.ts'
import { userFailure } from './user-failure.ts'

/** What a batch may touch of its thread. */
export interface BatchWorld {
  readonly processor: Processor
  readonly context: ThreadContext
  readonly file: string
  readonly rules: MarkRules
  readonly responseBytesMax: number
  readonly memories: MemoryList
  readonly aborts: Aborts
  monotonic(): number
  leaseEndMs(): number
  post(message: FromThread): void
  receivePending(): void
}

export async function runBatch(task: BatchTask, world: BatchWorld): Promise<BatchAnswer> {
  world.receivePending()
  const signal = world.aborts.begin(task)
  if (signal === undefined) return { kind: 'not-started', reason: 'aborted' }
  try {
    return await decodeInMemory(task, world, signal)
  } finally {
    world.aborts.end(task.batchId)
  }
}

async function decodeInMemory(task: BatchTask, world: BatchWorld, signal: AbortSignal): Promise<BatchAnswer> {
  let memory: KernelMemory
  try {
    memory = world.memories.take()
  } catch (error) {
    return failed('decode', toFailure(error, 'BODY_TOO_LARGE', placeOf(task)))
  }
  try {
    return await decodeAndProcess(task, world, signal, memory)
  } finally {
    world.memories.give(memory)
  }
}

async function decodeAndProcess(
  task: BatchTask,
  world: BatchWorld,
  signal: AbortSignal,
  memory: KernelMemory
): Promise<BatchAnswer> {
  const { batchId } = task
  const beganMs = world.monotonic()
  let decoded: DecodedResponse
  try {
    decoded = decodeResponse(task, memory, world.responseBytesMax, ({ nextOffset, messageCount }) =>
      world.post({ kind: 'next-offset', batchId, nextOffset, messageCount })
    )
  } catch (error) {
    return failed('decode', toFailure(error, 'BODY_CORRUPT', placeOf(task)))
  }
  const decodedMs = world.monotonic()
  const { nextOffset, messageCount, logCount, responseBytes, poison } = decoded
  const answer = {
    kind: 'processed',
    nextOffset,
    messageCount,
    logCount,
    responseBytes,
    poison,
    letters: [],
    isSaved: false,
    result: undefined,
    decodeMs: decodedMs - beganMs,
    processMs: 0
  } as const satisfies ProcessedAnswer
  if (decoded.groupCount === 0) return answer

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
  decoded: DecodedResponse,
  answer: ProcessedAnswer
): Promise<BatchAnswer> {
  const { topicId, partition, startOffset, attempt } = task
  const { options, log } = world.context
  // Written out: new keys behind a spread take Node as long as decoding a small response.
  const place: ErrorPlace = { topicId, partition, offset: startOffset, file: world.file }
  const { nextOffset, messageCount } = decoded
  const goesOn = nextOffset !== undefined && nextOffset > startOffset
  const head = { topicId, partition, startOffset, nextOffset: goesOn ? nextOffset : undefined, messageCount }
  const { batch, access, close, onLateUse } = openBatch(head, decoded, world.file)
  const marks = new BatchMarks(access, world.rules, place)
  const { save, rewind, deadLetter } = marks
  const context: ProcessorContext = {
    options,
    log,
    topicId,
    partition,
    attempt,
    signal,
    save,
    rewind,
    deadLetter
  }

  const beganMs = world.monotonic()
  let returned: unknown
  try {
    returned = await world.processor.process(batch, context)
  } catch (error) {
    return failed('process', userFailure('process', error, 'PROCESSOR_FAILED', place))
  } finally {
    close()
    marks.settle()
  }
  const processMs = world.monotonic() - beganMs
  const { letters, isSaved, rewindOffset } = marks
  let result: unknown
  try {
    // That of a rewind is delivered to nobody.
    if (rewindOffset === undefined) result = copyResult(returned, place)
  } catch (error) {
    return failed('process', toFailure(error, 'RESULT_NOT_CLONEABLE', place))
  }
  // Work that goes on now was not awaited: this batch is about to count as done although it is not, or the partition
  // goes on wherever it was rewound to. One that failed or was aborted is read again, and what it left running does no
  // harm.
  onLateUse(error => world.post({ kind: 'broken', failure: toFailure(error, 'BATCH_CLOSED', place) }))
  if (rewindOffset !== undefined) return { kind: 'rewound', offset: rewindOffset }
  return { ...answer, letters, isSaved, result, processMs }
}

function failed(stage: FailedAnswer['stage'], failure: Failure): FailedAnswer {
  return { kind: 'failed', stage, failure }
}

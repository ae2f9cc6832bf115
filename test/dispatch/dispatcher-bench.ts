/** A dispatcher on threads that the test answers, kills and replaces; what it tells is kept. */
import type { Batch, Epoch } from '../../src/batch.ts'
import { Dispatcher } from '../../src/dispatch/dispatcher.ts'
import type { BatchAnswer, CommitMode } from '../../src/dispatch/messages.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { createFakeTime, createKeptLog } from '../cls/fakes.ts'
import { Calls, turn } from '../support/calls.ts'
import { bodyOf } from '../support/fake-data.ts'
import { FakeThreads } from '../support/fake-threads.ts'

export const BOUNDED = { timeout: 10_000 }
export const PATIENCE_MS = 30_000
export const GRACE_MS = 5000
export const EXIT_MS = 10_000
export const HOOK_MS = 60_000
/** What `process` may take. */
export const PROCESS_MS = 600_000
/** The bench tries a batch so often, and waits so long for each further attempt. */
export const ATTEMPTS = 3
export const BACKOFF_MS = 500
export const BODY = bodyOf('a body')
/** The bench's handler breaks on this offset. */
export const PLANTED = 666n

export const epochOf = (partition: number, epoch = 1): Epoch => ({ topicId: 't', partition, epoch })

interface BenchOptions {
  readonly threads?: number
  readonly batchesPerThread?: number
  /** Decoded bytes that may be open; one batch always may. */
  readonly memoryBytes?: number
  /** With `onResult`, and so many results that may wait for it. */
  readonly resultsMax?: number
  readonly balanceIntervalMs?: number
  readonly commitMode?: CommitMode
}

export function bench(options: BenchOptions = {}) {
  const {
    threads: threadCount = 1,
    batchesPerThread = 4,
    memoryBytes = 1e9,
    resultsMax,
    balanceIntervalMs = 0,
    commitMode = 'auto'
  } = options
  const time = createFakeTime()
  const threads = new FakeThreads(threadCount, batchesPerThread)
  const log = createKeptLog()
  const answered = new Calls<{ batch: Batch; answer: BatchAnswer; attempt: number }, void>()
  answered.always = () => undefined
  const rewinds = new Calls<{ batch: Batch; offset: bigint }, ClsConsumerError | undefined>()
  rewinds.always = () => undefined
  const dropped: number[] = []
  const retried: string[] = []
  const errors: ClsConsumerError[] = []
  /** Their codes. */
  const broken: string[] = []
  const nextOffsets: string[] = []
  const policies: string[] = []
  const saved: Epoch[] = []
  const stateLost: Epoch[] = []
  /** What the consumer does as it hears of it. */
  const whenStateLost: ((epoch: Epoch) => void)[] = []
  const forbidden = new Set<number>()
  const memory = { openBytes: 0, openCount: 0 }
  const leaseEndMs = new SharedArrayBuffer(8)
  const dispatcher = new Dispatcher({
    world: { clock: time.clock, timers: time.timers, threads, log },
    settings: {
      abortGraceMs: GRACE_MS,
      threadExitMs: EXIT_MS,
      hookTimeoutMs: HOOK_MS,
      processTimeoutMs: PROCESS_MS,
      responseBytesMax: 1000,
      heldBytesMax: 16_000,
      commitMode,
      balanceIntervalMs,
      deadLetterDirectory: undefined,
      onResult: resultsMax === undefined ? undefined : () => undefined,
      resultsMax: resultsMax ?? 1
    },
    processor: { file: '/processor.mjs', options: { some: 'option' } },
    leaseEndMs,
    handlers: {
      mayStart: batch => !forbidden.has(batch.batchId),
      tryOpen: bytes => {
        if (memory.openCount > 0 && memory.openBytes + bytes > memoryBytes) return false
        memory.openBytes += bytes
        memory.openCount += 1
        return true
      },
      close: bytes => {
        memory.openBytes -= bytes
        memory.openCount -= 1
      },
      nextOffset: ({ batchId }, nextOffset) => {
        if (nextOffset === PLANTED) throw new ClsConsumerError('INVARIANT_BROKEN', 'I2: planted')
        nextOffsets.push(`${batchId} ${nextOffset}`)
      },
      policy: onFailure => policies.push(onFailure),
      saved: epoch => saved.push(epoch),
      stateLost: epoch => {
        stateLost.push(epoch)
        for (const act of whenStateLost) act(epoch)
      },
      rewindFault: (batch, offset) => rewinds.make({ batch, offset }),
      answered: (batch, answer, attempt) => answered.make({ batch, answer, attempt }),
      dropped: ({ batchId }) => dropped.push(batchId),
      retryDelayMs: lossCount => (lossCount < ATTEMPTS ? BACKOFF_MS * lossCount : undefined),
      retried: ({ batchId }, error, waitMs) => retried.push(`${batchId} ${error.code} ${waitMs}`),
      broken: error => {
        errors.push(error)
        broken.push(error.code)
      }
    }
  })
  let batchCount = 0
  const batchOf = (partition: number, over: Partial<Batch> = {}): Batch => {
    batchCount += 1
    return {
      ...epochOf(partition),
      batchId: batchCount,
      startOffset: BigInt(batchCount) * 10n,
      endOffset: undefined,
      peekedOffset: undefined,
      body: BODY,
      decodedBytes: 100,
      ...over
    }
  }
  return {
    time,
    threads,
    log,
    answered,
    rewinds,
    dropped,
    retried,
    errors,
    broken,
    nextOffsets,
    policies,
    saved,
    stateLost,
    whenStateLost,
    forbidden,
    memory,
    leaseEndMs,
    dispatcher,
    batchOf,
    answeredIds: () => answered.asks.map(({ batch, answer }) => `${batch.batchId} ${answer.kind}`),
    /** Enqueues a new batch and returns its number. */
    enqueue(partition: number, over: Partial<Batch> = {}): number {
      const batch = batchOf(partition, over)
      dispatcher.enqueue(batch)
      return batch.batchId
    },
    async start(...partitions: number[]): Promise<void> {
      await dispatcher.start()
      for (const partition of partitions) dispatcher.assign(epochOf(partition))
      await turn()
    }
  }
}

/** The state of a promise, without waiting for it. */
export async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'resolved' | 'rejected'> {
  await turn()
  const pending = Symbol('pending')
  try {
    return (await Promise.race([promise, Promise.resolve(pending)])) === pending ? 'pending' : 'resolved'
  } catch {
    return 'rejected'
  }
}

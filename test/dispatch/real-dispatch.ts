/** Dispatchers on real threads that they share: each one's answers, lines and troubles are kept, and can be awaited. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext } from 'node:test'
import type { Batch, Epoch } from '../../src/batch.ts'
import { Dispatcher, type DispatchHandlers } from '../../src/dispatch/dispatcher.ts'
import type { ProcessorSource } from '../../src/dispatch/messages.ts'
import { SharedThreads, type SharedThreadsOptions } from '../../src/dispatch/shared-threads.ts'
import { realClock, realTimers } from '../../src/real-world.ts'
import type { Logger } from '../../src/world.ts'
import { bodyOf } from '../support/fake-data.ts'
import { messagesOf, responseText } from '../workers/bodies.ts'

export const BOUNDED = { timeout: 20_000 }
export const PARTITION: Epoch = { topicId: 't', partition: 0, epoch: 1 }
const PARTITIONS = [0, 1, 2]
/** Tried so often, after this. */
export const ATTEMPTS = 3
const BACKOFF_MS = 20

let scratch = ''
let moduleCount = 0

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'cls-shared-'))
})
after(() => rm(scratch, { recursive: true }))

export const folder = (): string => scratch

export async function processorFile(source: string): Promise<string> {
  const file = join(scratch, `processor-${moduleCount++}.mjs`)
  await writeFile(file, source)
  return file
}

export interface Answered {
  readonly batchId: number
  readonly result: unknown
}

interface Limits {
  readonly abortGraceMs?: number
  readonly hookTimeoutMs?: number
  readonly processTimeoutMs?: number
}

/** Consumers that share threads; whatever is left of them ends with the test. */
export function sharers(t: TestContext, options: SharedThreadsOptions) {
  const shared = new SharedThreads({ threadExitMs: 5000, ...options })
  const ends: (() => Promise<void>)[] = []
  // An idle pool lets the process end: what is awaited here would never come.
  const stayUp = setInterval(() => undefined, 60_000)
  t.after(async () => {
    for (const end of ends) await end()
    clearInterval(stayUp)
  })

  /** One that has not started. */
  async function idle(source: string | ProcessorSource, limits: Limits = {}, processorOptions: unknown = null) {
    const processor =
      typeof source === 'string' ? { file: await processorFile(source), options: processorOptions } : source
    const sharer = sharerOf(shared, processor, limits)
    ends.push(sharer.stop)
    return sharer
  }

  /** One that has started, with three partitions. */
  async function consumer(...given: Parameters<typeof idle>) {
    const sharer = await idle(...given)
    await sharer.start()
    return sharer
  }
  return { idle, consumer, write: processorFile }
}

function sharerOf(shared: SharedThreads, processor: ProcessorSource, limits: Limits) {
  const noted = new Notes()
  const responseBytesMax = 1 << 20
  const world = { log: noted.log, clock: realClock, timers: realTimers, env: process.env, responseBytesMax }
  const { threads } = shared.client(world)
  const leaseEndMs = new SharedArrayBuffer(8)
  new Float64Array(leaseEndMs)[0] = Number.POSITIVE_INFINITY
  const { handlers, openCount } = notingHandlers(noted)
  const dispatcher = new Dispatcher({
    world: { clock: realClock, timers: realTimers, threads, log: noted.log },
    settings: {
      abortGraceMs: 20,
      threadExitMs: 5000,
      hookTimeoutMs: 10_000,
      processTimeoutMs: 60_000,
      balanceIntervalMs: 0,
      responseBytesMax,
      heldBytesMax: 1 << 28,
      commitMode: 'auto',
      deadLetterDirectory: undefined,
      onResult: undefined,
      resultsMax: 1,
      ...limits
    },
    processor,
    leaseEndMs,
    handlers
  })
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= dispatcher.stop()
    return stopped
  }
  const start = async (signal?: AbortSignal): Promise<void> => {
    try {
      await dispatcher.start(signal)
    } catch (error) {
      await stop()
      throw error
    }
    for (const partition of PARTITIONS) dispatcher.assign({ ...PARTITION, partition })
  }
  let batchCount = 0
  return {
    dispatcher,
    threads,
    start,
    stop,
    retried: noted.retried,
    broken: noted.broken,
    lines: noted.lines,
    openCount,
    enqueue: (partition = 0) => {
      batchCount += 1
      dispatcher.enqueue(batchOf(batchCount, partition))
    },
    failed: (count: number) => noted.when(noted.broken, found => found.length >= count),
    failures: (count: number) => noted.when(noted.failures, found => found.length >= count),
    answers: (count: number) => noted.when(noted.answers, found => found.length >= count),
    said: (line: string, count = 1) =>
      noted.when(noted.lines, lines => lines.filter(said => said === line).length >= count)
  }
}

/** They note what they are told, and count the batches that are open. */
function notingHandlers(noted: Notes): { readonly handlers: DispatchHandlers; readonly openCount: () => number } {
  let openCount = 0
  const handlers: DispatchHandlers = {
    mayStart: () => true,
    tryOpen: () => {
      openCount += 1
      return true
    },
    close: () => {
      openCount -= 1
    },
    nextOffset: () => undefined,
    policy: () => undefined,
    saved: () => undefined,
    stateLost: () => undefined,
    answered: async ({ batchId }, answer, attempt) => {
      if (answer.kind === 'failed') noted.add(noted.failures, `${batchId} ${attempt} ${answer.failure.message}`)
      else {
        assert.ok(answer.kind === 'processed', answer.kind)
        noted.add(noted.answers, { batchId, result: answer.result })
      }
    },
    rewindFault: async () => undefined,
    dropped: () => undefined,
    retryDelayMs: lossCount => (lossCount < ATTEMPTS ? BACKOFF_MS : undefined),
    retried: ({ batchId }, error) => noted.retried.push(`${batchId} ${error.code}`),
    broken: error => noted.add(noted.broken, error.message)
  }
  return { handlers, openCount: () => openCount }
}

function batchOf(batchId: number, partition: number): Batch {
  return {
    ...PARTITION,
    partition,
    batchId,
    startOffset: BigInt(batchId),
    endOffset: undefined,
    peekedOffset: undefined,
    body: bodyOf(responseText(BigInt(batchId + 1), messagesOf({ a: '1' }))),
    decodedBytes: 100
  }
}

/** What a consumer has told so far, and who waits for more. */
class Notes {
  readonly answers: Answered[] = []
  /** Of batches, as `<batch> <attempt> <message>`. */
  readonly failures: string[] = []
  readonly lines: string[] = []
  readonly retried: string[] = []
  readonly broken: string[] = []
  readonly log: Logger
  readonly #waiting = new Set<() => void>()

  constructor() {
    const line = (message: string): void => this.add(this.lines, message)
    this.log = { debug: line, info: line, warn: line, error: line }
  }

  add<T>(list: T[], item: T): void {
    list.push(item)
    for (const look of this.#waiting) look()
  }

  when<T>(list: T[], isEnough: (list: T[]) => boolean): Promise<T[]> {
    return new Promise(resolve => {
      const look = () => {
        if (!isEnough(list)) return
        this.#waiting.delete(look)
        resolve(list)
      }
      this.#waiting.add(look)
      look()
    })
  }
}

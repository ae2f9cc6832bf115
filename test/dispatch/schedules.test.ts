/**
 * Failures, deaths, moves, drains and new epochs in any order: nothing is lost, runs twice at a time, or is freed twice.
 *
 * A model of the consumer stands beside the dispatcher: what of a partition was not answered in its current epoch is given
 * to it again in the next one, as pulls would.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Batch, Epoch } from '../../src/batch.ts'
import type { FailedAnswer } from '../../src/dispatch/messages.ts'
import { toFailure } from '../../src/errors.ts'
import { ATTEMPTS, BACKOFF_MS, bench, epochOf, GRACE_MS, PATIENCE_MS, PROCESS_MS } from './dispatcher-bench.ts'

const THREADS = 2
const FAILED: FailedAnswer = {
  kind: 'failed',
  stage: 'process',
  failure: toFailure(new Error('no'), 'PROCESSOR_FAILED')
}

interface Place {
  epoch: number
  phase: 'seated' | 'draining'
  /** Not answered in this epoch, in order. */
  offsets: bigint[]
  lastOffset: bigint
  /** How many retries had been told of when its failures were last forgotten. */
  countedFrom: number
}

type Kind = 'enqueue' | 'finish' | 'fail' | 'die' | 'kill' | 'hang' | 'seek' | 'drop' | 'move' | 'drain' | 'wait'

class Model {
  readonly bench: ReturnType<typeof bench>
  readonly places: readonly Place[]
  readonly #batches = new Map<number, Batch>()

  constructor(batchesPerThread: number, resultsMax: number, keepsState: boolean) {
    this.bench = bench({ threads: THREADS, batchesPerThread, resultsMax, memoryBytes: 500 })
    this.places = [0, 1, 2].map(() => ({ epoch: 1, phase: 'seated', offsets: [], lastOffset: 0n, countedFrom: 0 }))
    const { answered, whenStateLost } = this.bench
    answered.always = ({ batch, answer }) => this.#answered(batch, answer.kind === 'failed')
    if (keepsState) whenStateLost.push(epoch => this.#renew(epoch, false))
  }

  async act(kind: Kind, pick: number): Promise<void> {
    const { threads, dispatcher, time } = this.bench
    const partition = pick % this.places.length
    const place = this.#place(partition)
    const batchId = threads.openBatchIds[pick % Math.max(1, threads.openBatchIds.length)]
    switch (kind) {
      case 'enqueue':
        place.lastOffset += 10n
        place.offsets.push(place.lastOffset)
        if (place.phase === 'seated') this.#give(partition, place.lastOffset)
        return
      case 'finish':
        if (batchId !== undefined) await threads.finish(batchId)
        return
      case 'fail':
        if (batchId !== undefined) threads.batch(batchId).call.answer(FAILED)
        return await time.advance(0)
      case 'kill':
        void threads.kill(pick % THREADS)
        return await this.#replace(pick % THREADS)
      case 'die':
        return await this.#replace(pick % THREADS)
      case 'hang':
        if (batchId !== undefined) await this.#hang(batchId)
        return
      case 'seek':
        if (place.phase === 'seated') this.#renew(epochOf(partition, place.epoch), true)
        return
      case 'drop':
        if (place.phase === 'seated') this.#drop(partition, place)
        return
      case 'move':
        void dispatcher.move(epochOf(partition, place.epoch), (pick >> 2) % THREADS)
        return
      case 'drain':
        if (place.phase === 'seated') void this.#drain(partition, place)
        return
      case 'wait':
        await time.advance(20 * pick)
    }
  }

  /** After every act. */
  check(): void {
    const { threads, memory, dropped, answered, broken } = this.bench
    const open = threads.runs.open.flatMap(({ ask: { thread, task } }) =>
      task.kind === 'batch' ? [{ thread, task }] : []
    )
    const partitions = open.map(({ task }) => task.partition)
    assert.equal(new Set(partitions).size, partitions.length, 'I2: one batch of a partition')
    for (const { thread, task } of open) {
      assert.equal(threads.homeOf(task.partition), thread, 'where `assign` ran last, and no `revoke` since')
      const { epoch, offsets } = this.#place(task.partition)
      if (task.epoch === epoch) assert.equal(task.startOffset, offsets[0], 'I2: in order')
    }
    assert.equal(memory.openCount, open.length)
    const ended = [...dropped, ...answered.asks.map(({ batch }) => batch.batchId)]
    assert.equal(new Set(ended).size, ended.length, 'answered or dropped, and once')
    assert.deepEqual(broken, [])
  }

  /** Nothing goes wrong any more. */
  async finishAll(): Promise<void> {
    const { threads, time } = this.bench
    for (let round = 0; round < 300 && !this.isDone; round++) {
      await time.advance(ATTEMPTS * BACKOFF_MS)
      for (const { ask } of threads.kills.open) await this.#replace(ask)
      for (const batchId of threads.openBatchIds) await threads.finish(batchId)
      this.check()
    }
    assert.ok(this.isDone, 'every offset was answered in the end')
    const { dropped, answered } = this.bench
    assert.equal(dropped.length + answered.all.length, this.#batches.size, 'every batch has come to its end')
    await time.advance(ATTEMPTS * BACKOFF_MS)
    assert.equal(time.pendingCount, 0, 'nothing waits')
  }

  get isDone(): boolean {
    const isRunning = this.bench.threads.openBatchIds.length > 0
    return !isRunning && this.places.every(({ phase, offsets }) => phase === 'seated' && offsets.length === 0)
  }

  #place(partition: number): Place {
    const place = this.places[partition]
    assert.ok(place !== undefined)
    return place
  }

  #give(partition: number, startOffset: bigint): void {
    const { batchOf, dispatcher } = this.bench
    const batch = batchOf(partition, { epoch: this.#place(partition).epoch, startOffset })
    this.#batches.set(batch.batchId, batch)
    dispatcher.enqueue(batch)
  }

  #answered(batch: Batch, isFailed: boolean): void {
    const place = this.#place(batch.partition)
    // The consumer disregards it (I3).
    if (batch.epoch !== place.epoch) return
    assert.equal(batch.startOffset, place.offsets.shift(), 'I2: in order')
    if (!isFailed) return
    const told = this.bench.retried.slice(place.countedFrom).map(line => this.#batches.get(Number(line.split(' ')[0])))
    const retries = told.filter(
      other => other?.partition === batch.partition && other.startOffset === batch.startOffset
    )
    assert.ok(retries.length >= ATTEMPTS - 1, `failed for good after ${retries.length} retries`)
  }

  #renew({ partition, epoch }: Epoch, isNewTry: boolean): void {
    const place = this.#place(partition)
    if (place.epoch !== epoch || place.phase !== 'seated') return
    place.epoch += 1
    if (isNewTry) place.countedFrom = this.bench.retried.length
    this.bench.dispatcher.renew(epochOf(partition, epoch), epochOf(partition, place.epoch), isNewTry)
    for (const offset of place.offsets) this.#give(partition, offset)
  }

  /** As where an offset that was peeked turns out to be wrong: what waits is pulled again. */
  #drop(partition: number, { epoch, offsets }: Place): void {
    const { dispatcher, dropped } = this.bench
    const countBefore = dropped.length
    dispatcher.dropQueued(epochOf(partition, epoch))
    const droppedCount = dropped.length - countBefore
    for (const offset of offsets.slice(offsets.length - droppedCount)) this.#give(partition, offset)
  }

  async #drain(partition: number, place: Place): Promise<void> {
    const { dispatcher, retried } = this.bench
    place.phase = 'draining'
    const { epoch } = place
    await dispatcher.drain(epochOf(partition, epoch), PATIENCE_MS, 'revoked')
    place.phase = 'seated'
    place.epoch += 1
    place.countedFrom = retried.length
    dispatcher.assign(epochOf(partition, place.epoch))
    for (const offset of place.offsets) this.#give(partition, offset)
  }

  async #replace(thread: number): Promise<void> {
    await this.bench.threads.exit(thread)
    await this.bench.threads.replace(thread)
  }

  async #hang(batchId: number): Promise<void> {
    const { threads, time } = this.bench
    const { thread } = threads.batch(batchId).call.ask
    threads.tell(thread, { kind: 'next-offset', batchId, nextOffset: 1n, messageCount: 1 })
    await time.advance(PROCESS_MS + GRACE_MS)
    for (const { ask } of threads.kills.open)
      if (threads.kills.open.some(call => call.ask === ask)) await this.#replace(ask)
  }
}

test('I2: whatever fails, dies, moves or begins anew: each offset is answered, in order, each batch ends once', {
  timeout: 60_000
}, async () => {
  const act = fc.record({
    kind: fc.constantFrom<Kind>(
      ...(['enqueue', 'enqueue', 'enqueue', 'finish', 'fail', 'fail', 'die', 'kill', 'hang', 'seek'] as const),
      ...(['drop', 'move', 'drain', 'wait', 'wait'] as const)
    ),
    pick: fc.nat(99)
  })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      fc.array(act, { maxLength: 60, size: 'max' }),
      async (batchesPerThread, resultsMax, keepsState, acts) => {
        const model = new Model(batchesPerThread, resultsMax, keepsState)
        await model.bench.start(0, 1, 2)
        for (const { kind, pick } of acts) {
          await model.act(kind, pick)
          model.check()
        }
        await model.finishAll()
      }
    ),
    { numRuns: 200 }
  )
})

/** A pull chain on virtual time: service and scout answer when the test says so. */
import assert from 'node:assert/strict'
import type { Batch } from '../../src/batch.ts'
import { ClsConsumerError, type ErrorCode, type ErrorExtras } from '../../src/errors.ts'
import { ByteBudget } from '../../src/fetch/budget.ts'
import { type PullBound, PullChain } from '../../src/fetch/pull-chain.ts'
import { chance, createFakeTime } from '../cls/fakes.ts'
import { createFakeData, createFakeScout } from '../support/fake-data.ts'

export const BOUNDED = { timeout: 10_000 }
export const PULL_BYTES = 64 * 1024
export const RESPONSE_BYTES_MAX = 1024 * 1024
export const fail = (code: ErrorCode, extras: ErrorExtras = {}) => new ClsConsumerError(code, `said ${code}`, extras)

export interface BenchOptions {
  readonly startOffset?: bigint
  readonly bound?: PullBound
  readonly heldBytesMax?: number
  readonly query?: string
  readonly pollIntervalMs?: number
  readonly pullBytes?: number
  readonly budget?: ByteBudget
  readonly data?: ReturnType<typeof createFakeData>
  readonly time?: ReturnType<typeof createFakeTime>
  readonly partitionCount?: () => number
  readonly topicId?: string
  readonly partition?: number
  readonly onBatch?: () => void
  readonly onAnswered?: (told: string[]) => void
}

export function bench(options: BenchOptions = {}) {
  const { startOffset = 100n, bound, heldBytesMax = 100 * PULL_BYTES, query } = options
  const { pollIntervalMs = 1000, pullBytes = PULL_BYTES } = options
  const time = options.time ?? createFakeTime()
  const data = options.data ?? createFakeData()
  const scout = createFakeScout()
  const budget = options.budget ?? new ByteBudget(heldBytesMax)
  /** In order: `batch 100`, `advanced 100 200`, `ended`, `retried CODE 100 75`, `failed CODE 100`. */
  const told: string[] = []
  const batches: Batch[] = []
  /** What the chain gave up on. */
  const errors: ClsConsumerError[] = []
  let batchCount = 0
  let answeredCount = 0
  const chain = new PullChain({
    world: { clock: time.clock, timers: time.timers, random: chance(0.5), data: data.api, scout: scout.api },
    settings: { pullBytes, responseBytesMax: RESPONSE_BYTES_MAX, pollIntervalMs, query },
    epoch: { topicId: options.topicId ?? 't', partition: options.partition ?? 3, epoch: 7 },
    startOffset,
    bound,
    budget,
    partitionCount: options.partitionCount ?? (() => 1),
    nextBatchId: () => {
      batchCount += 1
      return batchCount
    },
    handlers: {
      batch: batch => {
        options.onBatch?.()
        told.push(`batch ${batch.startOffset}`)
        batches.push(batch)
      },
      advanced: (from, to) => told.push(`advanced ${from} ${to}`),
      answered: () => {
        answeredCount += 1
        options.onAnswered?.(told)
      },
      ended: () => told.push('ended'),
      retried: (error, offset, waitMs) => told.push(`retried ${error.code} ${offset} ${waitMs}`),
      failed: (error, offset) => {
        errors.push(error)
        told.push(`failed ${error.code} ${offset}`)
      }
    }
  })
  const batchFrom = (offset: bigint): Batch => {
    const batch = batches.findLast(each => each.startOffset === offset)
    assert.ok(batch !== undefined, `no batch from ${offset}`)
    return batch
  }
  return { time, data, scout, budget, told, batches, errors, chain, batchFrom, answeredCount: () => answeredCount }
}

/** What is told since. */
export function news(told: readonly string[]): () => string[] {
  let seen = 0
  return () => {
    const fresh = told.slice(seen)
    seen = told.length
    return fresh
  }
}

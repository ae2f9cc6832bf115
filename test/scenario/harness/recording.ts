/**
 * Runs one consumer and writes what it tells into its ledger.
 *
 * In: a spec that can cross to another process. Out: lines of the ledger; the consumer. Each event is written in the
 * turn in which it is told.
 */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Consumer } from '../../../src/consumer.ts'
import type { PartitionId } from '../../../src/dispatch/messages.ts'
import { ClsConsumerError } from '../../../src/errors.ts'
import { createLogger } from '../../../src/observe/logger.ts'
import type { ConsumerOptions, OnResult } from '../../../src/options.ts'
import type { Behaviour } from './behaviour.ts'
import { appendLine, type EventLine } from './lines.ts'
import { nowMs } from './until.ts'

export interface ResultBehaviour {
  /** Calls for `partition`, or all, wait while this file exists. */
  readonly gateFile?: string
  readonly partition?: number
  /** Throws where the batch holds this log: each time, or while this file exists. */
  readonly failOn?: string
  readonly failWhile?: string
  /** Each call takes this long. */
  readonly resultMs?: number
}

export interface ConsumerSpec {
  /** Unique for each consumer of a scenario; also its name in the group, unless `options` has another. */
  readonly process: string
  readonly ledgerFile: string
  readonly options: Omit<ConsumerOptions, 'processor' | 'processorOptions' | 'onResult'>
  readonly behaviour: Omit<Behaviour, 'ledgerFile' | 'process'>
  /** Another processor than the ledger's own, that writes the same. */
  readonly processor?: string
  /** Records the calls of `onResult`. */
  readonly onResult?: ResultBehaviour
}

const LOOK_INTERVAL_MS = 10
const PROCESSOR = fileURLToPath(new URL('./ledger-processor.js', import.meta.url))
export const SKIPPING_PROCESSOR = fileURLToPath(new URL('./skipping-processor.js', import.meta.url))
export const OTHER_PROCESSOR = fileURLToPath(new URL('./other-processor.js', import.meta.url))

/** Starts it. How it ends is told by the lines `finished`, after all else, and `start-failed`. */
export function record(spec: ConsumerSpec, writeLog: (line: string) => void): Consumer {
  const { process, ledgerFile, options, behaviour, onResult } = spec
  const write: Write = (name, fields = {}) =>
    appendLine(ledgerFile, { kind: 'event', process, name, atMs: nowMs(), ...fields })
  const consumer = new Consumer(
    {
      consumer: process,
      ...options,
      processor: spec.processor ?? PROCESSOR,
      processorOptions: { ...behaviour, ledgerFile, process },
      ...(onResult === undefined ? {} : { onResult: recordResults(onResult, write) })
    },
    { log: createLogger({ level: 'debug', write: writeLog }) }
  )
  consumer.on('joined', () => write('joined'))
  consumer.on('assigned', ({ topicId, partition, epoch, startOffset, reason }) =>
    write('assigned', { topicId, partition, epoch, offset: startOffset, text: reason })
  )
  consumer.on('revoked', ({ topicId, partition }) => write('revoked', { topicId, partition }))
  consumer.on('released', ({ topicId, partition, committedOffset }) =>
    write('released', { topicId, partition, ...(committedOffset === undefined ? {} : { offset: committedOffset }) })
  )
  consumer.on('committed', ({ topicId, partition, offset }) => write('committed', { topicId, partition, offset }))
  consumer.on('leaseLost', ({ partitions }) => {
    for (const { topicId, partition } of partitions) write('leaseLost', { topicId, partition })
  })
  consumer.on('commitFailed', ({ error }) => write('commitFailed', { code: error.code, text: error.message }))
  consumer.on('retried', ({ error, place: { topicId, partition, offset } }) =>
    write('retried', {
      code: error.code,
      text: error.message,
      ...(topicId === undefined || partition === undefined ? {} : { topicId, partition }),
      ...(offset === undefined ? {} : { offset })
    })
  )
  consumer.on('batch', ({ topicId, partition, startOffset, nextOffset }) =>
    write('batch', { topicId, partition, offset: startOffset, nextOffset })
  )
  consumer.on('topicRefused', ({ topicId, error }) =>
    write('topicRefused', { topicId, code: error.code, text: error.message })
  )
  consumer.on('topicRestored', ({ topicId }) => write('topicRestored', { topicId }))
  consumer.on('partitionDone', ({ topicId, partition, nextOffset }) =>
    write('partitionDone', { topicId, partition, nextOffset })
  )
  recordTroubles(consumer, write)
  consumer.on('failed', ({ code, message }) => write('failed', { code, text: message }))
  consumer.start().catch(error => write('start-failed', describe(error)))
  consumer.finished.then(
    () => write('finished'),
    error => write('finished', describe(error))
  )
  return consumer
}

/** What the policy, the user or the stall watch has done to a partition. */
function recordTroubles(consumer: Consumer, write: Write): void {
  const id = ({ topicId, partition }: PartitionId): PartitionId => ({ topicId, partition })
  const from = (offset: bigint | undefined) => (offset === undefined ? {} : { offset })
  const to = (nextOffset: bigint | undefined) => (nextOffset === undefined ? {} : { nextOffset })
  const why = (error: ClsConsumerError | undefined) =>
    error === undefined ? {} : { code: error.code, text: error.message }
  consumer.on('skipped', ({ startOffset, nextOffset, messageCount, error, ...place }) =>
    write('skipped', {
      ...id(place),
      offset: startOffset,
      nextOffset,
      ...why(error),
      ...(messageCount === undefined ? {} : { count: messageCount })
    })
  )
  consumer.on('deadLettered', ({ startOffset, nextOffset, letterCount, error, ...place }) =>
    write('deadLettered', { ...id(place), offset: startOffset, ...to(nextOffset), count: letterCount, ...why(error) })
  )
  consumer.on('parked', ({ offset, error, ...place }) => write('parked', { ...id(place), offset, ...why(error) }))
  consumer.on('paused', place => write('paused', id(place)))
  consumer.on('repositioned', ({ fromOffset, toOffset, reason, ...place }) =>
    write('repositioned', { ...id(place), ...from(fromOffset), nextOffset: toOffset, text: reason })
  )
  consumer.on('stalled', ({ offset, reason, ...place }) =>
    write('stalled', { ...id(place), ...from(offset), text: reason })
  )
}

type Write = (name: string, fields?: Omit<Partial<EventLine>, 'kind' | 'process' | 'name' | 'atMs'>) => void

function recordResults(behaviour: ResultBehaviour, write: Write): OnResult {
  const { gateFile, failOn, failWhile, resultMs } = behaviour
  return async (result, { topicId, partition, startOffset, nextOffset }) => {
    const ids = idsOf(result)
    const fields = { topicId, partition, offset: startOffset, nextOffset, ids }
    write('deliver', fields)
    if (resultMs !== undefined) await sleep(resultMs)
    const isGated = behaviour.partition === undefined || behaviour.partition === partition
    while (isGated && gateFile !== undefined && existsSync(gateFile)) await sleep(LOOK_INTERVAL_MS)
    const isRefused = failOn !== undefined && ids.includes(failOn) && (failWhile === undefined || existsSync(failWhile))
    if (isRefused) throw new Error(`the receiver refuses ${failOn}`)
    write('delivered', fields)
  }
}

function idsOf(result: unknown): string[] {
  const ids = typeof result === 'object' && result !== null && 'ids' in result ? result.ids : undefined
  return Array.isArray(ids) ? ids.map(String) : []
}

function describe(error: unknown): { code: string; text: string } {
  const text = error instanceof Error ? error.message : String(error)
  return { code: error instanceof ClsConsumerError ? error.code : 'not one of ours', text }
}

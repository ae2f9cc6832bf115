/**
 * A whole `Consumer` on virtual time, for tests: service and threads answer when the test says so.
 *
 * What it says in its log and by its events is kept; at the end of the test it is stopped, whatever state it is in.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { Consumer } from '../../src/consumer.ts'
import type { ProcessedAnswer } from '../../src/dispatch/messages.ts'
import { ClsConsumerError, type ErrorCode, toFailure } from '../../src/errors.ts'
import type { ConsumerOptions } from '../../src/options.ts'
import type { TopicPartitions } from '../../src/world.ts'
import { chance, createFakeTime, createKeptLog } from '../cls/fakes.ts'
import { turn } from './calls.ts'
import { createFakeControl } from './fake-control.ts'
import { createFakeData, createFakeScout, withMessages } from './fake-data.ts'
import { FakeFiles } from './fake-files.ts'
import { FakeThreads } from './fake-threads.ts'
import { REQUIRED } from './settings.ts'

export const BOUNDED = { timeout: 10_000 }
export const INTERVAL_MS = 20_000
export const NOW_S = 1_700_000_000
export const fail = (code: ErrorCode) => new ClsConsumerError(code, `said ${code}`)

/** Partitions 0 and 1 have logs from 10 to 90. The service keeps what is committed. */
export function bench(t: TestContext, options: Partial<ConsumerOptions> = {}) {
  const time = createFakeTime(NOW_S * 1000)
  let stoppedMs = 0
  const clock = { now: () => time.clock.now() + stoppedMs, monotonic: () => time.clock.monotonic() + stoppedMs }
  const control = createFakeControl()
  const data = createFakeData()
  const threads = new FakeThreads(options.threads ?? 1)
  const scout = createFakeScout()
  const files = new FakeFiles()
  const log = createKeptLog()
  const committed = new Map<number, bigint>()
  let granted: readonly number[] = [0]
  scout.calls.always = () => undefined
  /** What reached the outside, in order. */
  const seen: string[] = []
  const grants = (): TopicPartitions[] => topicIds.map(topicId => ({ topicId, partitions: granted }))

  const topicIds = options.topicIds ?? ['topic-a']
  control.groups.always = () => [{ group: 'group', timeoutSeconds: (2 * INTERVAL_MS) / 1000, topicIds }]
  control.partitions.always = () =>
    [0, 1].map(partition => ({
      partition,
      status: 'readwrite',
      beginKey: String(partition).repeat(32),
      endKey: String(partition + 1).repeat(32),
      createTime: ''
    }))
  control.heartbeats.always = ({ held }) => {
    seen.push(`heartbeat ${held.flatMap(({ partitions }) => partitions).join('+') || '-'}`)
    return grants()
  }
  control.offsets.always = ({ from, own }) =>
    new Map(
      [0, 1].map(partition => {
        const named = from === 'begin' ? 10n : 90n
        return [partition, (own === true ? undefined : committed.get(partition)) ?? named]
      })
    )
  control.commits.always = ({ offsets }) => {
    for (const { partition, offset } of offsets) {
      seen.push(`commit ${partition}:${offset}`)
      committed.set(partition, offset)
    }
  }
  const pull = data.api.pull.bind(data.api)
  const world = {
    clock,
    timers: time.timers,
    random: chance(0.5),
    log,
    control: control.api,
    data: {
      ...data.api,
      pull: (...args: Parameters<typeof pull>) => {
        seen.push(`pull ${args[0].partition}:${args[0].startOffset}`)
        return pull(...args)
      }
    },
    scout: scout.api,
    files,
    threads,
    close: async () => void seen.push('closed')
  }
  const consumer = new Consumer({ ...REQUIRED, heartbeatIntervalMs: INTERVAL_MS, threads: 1, ...options }, { world })
  const end = async (): Promise<void> => {
    for (const each of control.heartbeats.open) each.answer([])
    control.heartbeats.always = () => []
    control.commits.always = () => undefined
    for (const each of control.commits.open) each.answer()
    threads.exitsWhenKilled = true
    files.fault = () => undefined
    for (const each of threads.kills.open) await threads.exit(each.ask)
    await time.settle(consumer.stop())
  }
  t.after(end, BOUNDED)
  const idFrom = (offset: bigint): number => {
    for (const { task } of threads.runs.open.map(({ ask }) => ask))
      if (task.kind === 'batch' && task.startOffset === offset) return task.batchId
    assert.fail(`no batch from ${offset} is with a thread`)
  }
  return {
    time,
    control,
    data,
    threads,
    scout,
    files,
    log,
    seen,
    committed,
    consumer,
    grant: (...partitions: number[]) => {
      granted = partitions
    },
    stopProcess: (ms: number) => {
      stoppedMs += ms
    },
    /** What was seen since the last look. */
    news: () => seen.splice(0),
    hasLogged: (message: string) => log.lines.some(line => line.message === message),
    /** A batch that a thread has, by its start. */
    idFrom,
    /** Batches of ten offsets each, from there on: the first is with a thread, the others wait. */
    async fill(offset: bigint, count = 1): Promise<void> {
      for (let start = offset; start < offset + 10n * BigInt(count); start += 10n) {
        data.from(start).arrive(withMessages(start + 10n))
        await data.from(start).complete(withMessages(start + 10n))
      }
    },
    async finish(offset: bigint, answer: Partial<ProcessedAnswer> = {}): Promise<void> {
      await threads.finish(idFrom(offset), { nextOffset: offset + 10n, ...answer })
    },
    async failBatch(offset: bigint, code: ErrorCode = 'PROCESSOR_FAILED', stage: 'decode' | 'process' = 'process') {
      const failure = toFailure(fail(code), code, { offset })
      threads.batch(idFrom(offset)).call.answer({ kind: 'failed', stage, failure })
      await turn()
    },
    /** The partition as the consumer sees it now. */
    partition: (wanted = 0) =>
      consumer.snapshot().partitions.find(({ partition }) => partition === wanted) ??
      assert.fail(`partition ${wanted} is not held`),
    async start(): Promise<void> {
      await consumer.start()
      await turn()
    }
  }
}

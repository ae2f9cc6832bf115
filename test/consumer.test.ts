/** A whole consumer on virtual time: what of it is visible, how it starts, and how it ends. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { Consumer } from '../src/consumer.ts'
import type { ConsumerEvents } from '../src/consumer-events.ts'
import { toFailure } from '../src/errors.ts'
import type { ConsumerOptions } from '../src/options.ts'
import { turn } from './support/calls.ts'
import { BOUNDED, bench, fail, INTERVAL_MS } from './support/consumer-bench.ts'
import { bodyOf, withMessages, withoutMessages } from './support/fake-data.ts'
import { systemError } from './support/fake-files.ts'
import { REQUIRED } from './support/settings.ts'

const RATE_MS = 10_000
const COMMIT_MS = 3000
const ZERO = { topicId: 'topic-a', partition: 0 }
const ONE = { topicId: 'topic-a', partition: 1 }

type EventName = keyof ConsumerEvents
const EVENT_NAMES = Object.keys({
  joined: 0,
  assigned: 0,
  revoked: 0,
  released: 0,
  committed: 0,
  commitFailed: 0,
  retried: 0,
  topicRefused: 0,
  topicRestored: 0,
  groupLost: 0,
  skipped: 0,
  deadLettered: 0,
  parked: 0,
  paused: 0,
  repositioned: 0,
  stalled: 0,
  leaseLost: 0,
  partitionDone: 0,
  batch: 0,
  rate: 0,
  failed: 0,
  stopped: 0
} satisfies Record<EventName, 0>)

function isEventName(name: string): name is EventName {
  return EVENT_NAMES.includes(name)
}

function stayOpen(calls: { always: unknown }): void {
  calls.always = undefined
}

/** A bench that keeps every event, in order. */
function visible(t: TestContext, options: Partial<ConsumerOptions> = {}) {
  const made = bench(t, { consumer: 'c-1', ...options })
  const events: { readonly name: string; readonly told: readonly unknown[] }[] = []
  for (const name of EVENT_NAMES)
    if (isEventName(name)) made.consumer.on(name, (...told: unknown[]) => void events.push({ name, told }))
  return {
    ...made,
    events,
    /** All that was logged since the last look, but for the rates, which come by the clock. */
    lines: () =>
      made.log.lines
        .splice(0)
        .filter(({ message }) => message !== 'rate')
        .map(({ level, message, fields }) => [level, message, fields]),
    /** What was told by the events of one name, in order. */
    told: (wanted: EventName) => events.filter(({ name }) => name === wanted).flatMap(({ told }) => told),
    count: (wanted: EventName) => events.filter(({ name }) => name === wanted).length
  }
}

describe('what happens is visible', () => {
  test(
    'joined and assigned: one line and one event each, with the start offset and why it is that',
    BOUNDED,
    async t => {
      const { start, time, grant, committed, lines, told } = visible(t)
      grant(0, 1)
      committed.set(1, 55n)
      await start()
      assert.deepEqual(lines(), [
        ['info', 'joined', { group: 'group', consumer: 'c-1', topics: 1, threads: 1 }],
        ['info', 'assigned', { ...ZERO, startOffset: 90n, reason: 'nothing committed, startFrom end' }],
        ['info', 'assigned', { ...ONE, startOffset: 55n, reason: 'committed, or empty' }]
      ])
      // The same partitions are granted again and again: that is no news.
      await time.advance(3 * INTERVAL_MS)
      assert.deepEqual(lines(), [])
      assert.deepEqual(told('joined'), [{ group: 'group', consumer: 'c-1' }])
      assert.deepEqual(told('assigned'), [
        { ...ZERO, epoch: 1, startOffset: 90n, reason: 'nothing committed, startFrom end' },
        { ...ONE, epoch: 2, startOffset: 55n, reason: 'committed, or empty' }
      ])
    }
  )

  test('revoked and released: one line and one event each, with what was committed and why', BOUNDED, async t => {
    const { start, time, data, threads, idFrom, grant, lines, told } = visible(t)
    await start()
    await data.from(90n).complete(withMessages(100n))
    lines()
    grant()
    await time.advance(INTERVAL_MS)
    assert.deepEqual(lines(), [['info', 'revoked', ZERO]])
    assert.deepEqual(told('released'), [], 'its batch is still open')
    await threads.finish(idFrom(90n), { nextOffset: 100n })
    assert.deepEqual(lines(), [['info', 'released', { ...ZERO, committedOffset: 100n, reason: 'revoked' }]])
    await time.advance(2 * INTERVAL_MS)
    assert.deepEqual(lines(), [])
    assert.deepEqual(told('revoked'), [ZERO])
    assert.deepEqual(told('released'), [{ ...ZERO, committedOffset: 100n }])
  })

  test('commit failed: one line and one event a failed call; a success is an event alone', BOUNDED, async t => {
    const { start, time, control, data, threads, idFrom, lines, told } = visible(t)
    await start()
    await data.from(90n).complete(withMessages(100n))
    await threads.finish(idFrom(90n), { nextOffset: 100n })
    lines()
    const error = fail('API_UNAVAILABLE')
    const accept = control.commits.always
    control.commits.always = () => {
      throw error
    }
    await time.advance(COMMIT_MS)
    control.commits.always = accept
    assert.deepEqual(lines(), [
      ['warn', 'commit failed', { partitions: 1, code: 'API_UNAVAILABLE', error: 'said API_UNAVAILABLE' }]
    ])
    assert.deepEqual(told('commitFailed'), [{ error, partitionCount: 1 }])
    await time.advance(COMMIT_MS)
    assert.deepEqual(lines(), [])
    assert.deepEqual(told('committed').at(-1), { ...ZERO, offset: 100n })
  })

  test(
    'retried, after a pull that failed: one line and one event, with the place, the error and the wait',
    BOUNDED,
    async t => {
      const { start, time, data, lines, told } = visible(t)
      await start()
      lines()
      const error = fail('API_UNAVAILABLE')
      await data.from(90n).fail(error)
      // Pulls are tried again without an end.
      const tries = { attempt: 1, of: undefined }
      const why = { code: 'API_UNAVAILABLE', error: 'said API_UNAVAILABLE' }
      assert.deepEqual(lines(), [['warn', 'retried', { ...ZERO, offset: 90n, ...why, ...tries, waitMs: 75 }]])
      assert.deepEqual(told('retried'), [{ error, place: { ...ZERO, offset: 90n }, ...tries, waitMs: 75 }])
      assert.deepEqual(data.openOffsets, [])
      await time.advance(75)
      assert.deepEqual([data.openOffsets, lines()], [[90n], []])
    }
  )

  test('retried, after a body that a thread could not decode: one line and one event', BOUNDED, async t => {
    const { start, time, data, threads, idFrom, lines, told } = visible(t)
    await start()
    lines()
    await data.from(90n).complete(withMessages(100n))
    const failure = toFailure(fail('BODY_CORRUPT'), 'BODY_CORRUPT')
    threads.batch(idFrom(90n)).call.answer({ kind: 'failed', stage: 'decode', failure })
    await turn()
    const tries = { attempt: 1, of: 5, waitMs: 375 }
    const fields = { ...ZERO, offset: 90n, code: 'BODY_CORRUPT', error: 'said BODY_CORRUPT', ...tries }
    assert.deepEqual(lines(), [['warn', 'retried', fields]])
    assert.equal(told('retried').length, 1)
    await time.advance(375)
    assert.deepEqual(data.openOffsets, [90n])
  })

  test('retried, after a process that failed: each time, with the attempt and how many there are', BOUNDED, async t => {
    const { start, time, fill, failBatch, lines, told } = visible(t, { attempts: 3, onFailure: 'park' })
    await start()
    await fill(90n)
    lines()
    const tries = [1, 2].map(attempt => ({ attempt, of: 3, waitMs: 375 * attempt }))
    for (const { waitMs } of tries) {
      await failBatch(90n)
      await time.advance(waitMs)
    }
    await failBatch(90n)
    const why = { ...ZERO, offset: 90n, code: 'PROCESSOR_FAILED', error: 'said PROCESSOR_FAILED' }
    assert.deepEqual(
      lines()
        .filter(([, message]) => message === 'retried')
        .map(([, , fields]) => fields),
      tries.map(fields => ({ ...why, ...fields }))
    )
    assert.equal(told('retried').length, 2, 'the last attempt has no other behind it')
  })

  test('retried, after an onResult that threw: with the attempt and how many there are', BOUNDED, async t => {
    let callCount = 0
    const onResult = (): void => {
      callCount += 1
      if (callCount === 1) throw new Error('the sink is full')
    }
    const { start, time, fill, finish, consumer } = visible(t, { attempts: 3, onResult })
    const tries: unknown[] = []
    consumer.on('retried', ({ error, attempt, of, waitMs }) => tries.push([error.code, attempt, of, waitMs]))
    await start()
    await fill(90n)
    await finish(90n, { logCount: 1, result: 1 })
    assert.deepEqual(tries, [['ON_RESULT_FAILED', 1, 3, 375]])
    await time.advance(375)
    assert.equal(callCount, 2)
  })

  test('retried, after letters that were not written: with the attempt and how many there are', BOUNDED, async t => {
    const options = { attempts: 3, deadLetterDirectory: '/dead' }
    const { start, time, fill, finish, files, consumer } = visible(t, options)
    const tries: unknown[] = []
    consumer.on('retried', ({ error, attempt, of, waitMs }) => tries.push([error.code, attempt, of, waitMs]))
    await start()
    await fill(90n)
    files.fault = call => {
      if (call === 'sync') throw systemError('EIO')
      return undefined
    }
    await finish(90n, {
      letters: [{ kind: 'log', messageIndex: 0, logIndex: 0, reason: 'odd', raw: Buffer.from('log') }]
    })
    assert.deepEqual(tries, [['DEAD_LETTER_WRITE', 1, 3, 375]])
    files.fault = () => undefined
    await time.advance(375)
    assert.equal(consumer.snapshot().deadLetterCount, 1)
  })

  test('lease lost: one line and one event for all partitions, then one release each', BOUNDED, async t => {
    const { start, control, stopProcess, grant, time, lines, told } = visible(t)
    grant(0, 1)
    await start()
    lines()
    control.heartbeats.always = () => {
      throw fail('API_UNREACHABLE')
    }
    stopProcess(2 * INTERVAL_MS)
    // The heartbeat that was due long ago.
    await time.advance(INTERVAL_MS)
    const reason = 'the lease has ended'
    const visibleLines = lines().filter(([, message]) => message !== 'heartbeat failed')
    assert.deepEqual(visibleLines, [
      ['warn', 'lease lost', { partitions: 2, reason }],
      ['info', 'released', { ...ZERO, committedOffset: undefined, reason }],
      ['info', 'released', { ...ONE, committedOffset: undefined, reason }]
    ])
    assert.deepEqual(told('leaseLost'), [{ partitions: [ZERO, ONE] }])
    assert.deepEqual(told('revoked'), [])
  })

  test(
    'lease lost, of one partition whose commit was refused: one line and one event, with the reason',
    BOUNDED,
    async t => {
      const { start, time, control, data, threads, idFrom, consumer, lines, told } = visible(t)
      await start()
      await data.from(90n).complete(withMessages(100n))
      await threads.finish(idFrom(90n), { nextOffset: 100n })
      lines()
      const accept = control.commits.always
      control.commits.always = () => {
        throw fail('API_REFUSED')
      }
      // Whoever owned it meanwhile has released it: the epoch that follows is not refused.
      consumer.on('leaseLost', () => {
        control.commits.always = accept
      })
      await time.advance(COMMIT_MS)
      const warned = lines().filter(([level]) => level === 'warn')
      assert.deepEqual(warned, [
        ['warn', 'commit refused', { ...ZERO, code: 'API_REFUSED', error: 'said API_REFUSED' }],
        ['warn', 'lease lost', { partitions: 1, reason: 'its commit was refused' }]
      ])
      assert.deepEqual(told('leaseLost'), [{ partitions: [ZERO] }])
    }
  )

  test('a rate line and a rate event every 10 s, each over the 10 s before it, until the end', BOUNDED, async t => {
    const { start, time, data, threads, idFrom, log, told, consumer } = visible(t)
    await start()
    const body = bodyOf(`{"Response":{"NextOffset":100,"Message":["${'QUFB'.repeat(1_000_000)}"]}}`, 'none')
    await data.from(90n).completeWith(body)
    await time.advance(200)
    await threads.finish(idFrom(90n), { nextOffset: 100n, logCount: 1000, responseBytes: 30_000_000 })
    const rates = () => log.lines.filter(({ message }) => message === 'rate')
    await time.advance(RATE_MS - 201)
    assert.equal(rates().length, 0)
    await time.advance(1)
    const still = { heldMB: '2.1', heldMaxMB: '268.4', partitions: 1 }
    const busy = { logsPerSecond: 100, bodyMBPerSecond: '0.4', responseMBPerSecond: '3.0', ...still }
    assert.deepEqual(rates(), [
      { level: 'info', message: 'rate', fields: { ...busy, batchP50Ms: 200, batchP99Ms: 200 } }
    ])
    await time.advance(2 * RATE_MS)
    const idle = { logsPerSecond: 0, bodyMBPerSecond: '0.0', responseMBPerSecond: '0.0', ...still }
    assert.deepEqual(
      rates().map(({ fields }) => fields),
      [
        { ...busy, batchP50Ms: 200, batchP99Ms: 200 },
        ...[0, 0].map(ms => ({ ...idle, batchP50Ms: ms, batchP99Ms: ms }))
      ]
    )
    const [first, ...later] = told('rate')
    assert.deepEqual(first, {
      logsPerSecond: 100,
      bodyBytesPerSecond: body.byteCount / 10,
      responseBytesPerSecond: 3_000_000,
      heldBytes: 2 * 1024 * 1024,
      heldBytesMax: 256 * 1024 * 1024,
      partitionCount: 1,
      latency: { p50Ms: 200, p99Ms: 200, maxMs: 200 },
      skippedBatchCount: 0,
      skippedMessageCount: 0,
      deadLetterCount: 0
    })
    assert.equal(later.length, 2)
    await time.settle(consumer.stop())
    await time.advance(3 * RATE_MS)
    assert.equal(rates().length, 3)
  })
})

describe('what is given up is told and counted', () => {
  const poison = (...indexes: readonly number[]) =>
    indexes.map(messageIndex => ({ messageIndex, bytePosition: 7, reason: 'cut', raw: Buffer.from('""') }))

  test(
    'I6: what the policy skips: a batch, messages, a body; each with its offsets and how much it is',
    BOUNDED,
    async t => {
      const it = visible(t, { onFailure: 'skip', attempts: 1 })
      const { start, fill, finish, failBatch, threads, idFrom, consumer, lines, control, time } = it
      const skips: unknown[] = []
      const rates: unknown[] = []
      consumer.on('skipped', ({ kind, messageCount }) => skips.push([kind, messageCount]))
      consumer.on('rate', rate => rates.push([rate.skippedBatchCount, rate.skippedMessageCount]))
      await start()
      await fill(90n, 2)
      lines()
      threads.tell(0, { kind: 'next-offset', batchId: idFrom(90n), nextOffset: 100n, messageCount: 17 })
      await failBatch(90n)
      await turn()
      await finish(100n, { poison: poison(2, 5) })
      const why = { code: 'PROCESSOR_FAILED', error: 'said PROCESSOR_FAILED' }
      const at = { ...ZERO, startOffset: 90n, nextOffset: 100n, messages: 17 }
      const [batchLine, messagesLine] = lines()
      assert.deepEqual(batchLine, [
        'warn',
        'skipped',
        { kind: 'batch', ...at, firstMessage: undefined, offset: undefined, ...why }
      ])
      const poisoned = '2 undecodable messages; the first is message 2: cut at byte 7'
      assert.deepEqual(messagesLine, [
        'warn',
        'skipped',
        {
          kind: 'messages',
          ...ZERO,
          startOffset: 100n,
          nextOffset: 110n,
          messages: 2,
          firstMessage: 2,
          offset: undefined,
          code: 'MESSAGE_CORRUPT',
          error: poisoned
        }
      ])
      assert.deepEqual(skips, [
        ['batch', 17],
        ['messages', 2]
      ])
      const { skippedBatchCount, skippedMessageCount, deadLetterCount, logCount } = consumer.snapshot()
      assert.deepEqual([skippedBatchCount, skippedMessageCount, deadLetterCount], [1, 19, 0])
      control.heartbeats.always = () => []
      await time.advance(RATE_MS)
      assert.deepEqual(rates[0], [1, 19])
      await time.settle(consumer.stop())
      assert.deepEqual(lines().at(-1), [
        'info',
        'stopped',
        { consumer: 'c-1', batches: 1, logs: logCount, skippedBatches: 1, skippedMessages: 19 }
      ])
    }
  )

  test('letters are counted in the snapshot and in the last line', BOUNDED, async t => {
    const { start, fill, finish, consumer, lines, time } = visible(t, { deadLetterDirectory: '/dead' })
    await start()
    await fill(90n)
    const raw = Buffer.from('log')
    const letters = [0, 1, 2].map(logIndex => ({ kind: 'log', messageIndex: 0, logIndex, reason: 'odd', raw }) as const)
    await finish(90n, { letters })
    await time.settle(consumer.stop())
    assert.equal(consumer.snapshot().deadLetterCount, 3)
    const told = lines()
    const at = { ...ZERO, startOffset: 90n, nextOffset: 100n, letters: 3 }
    assert.deepEqual(
      told.filter(([, message]) => message === 'dead letters'),
      [['warn', 'dead letters', at]]
    )
    const [level, message, fields] = told.at(-1) ?? []
    assert.deepEqual([level, message], ['info', 'stopped'])
    assert.match(JSON.stringify(fields), /"deadLetters":3\}$/)
  })
})

describe('a listener that throws', () => {
  /** Everything that can be told, once around: joined to stopped, with every trouble on the way. */
  async function roundTrip(t: TestContext, listen: (consumer: Consumer) => void) {
    const made = visible(t, { onFailure: 'park', attempts: 1, deadLetterDirectory: '/dead', stallMs: 1000 })
    const { start, time, control, data, grant, consumer, fill, finish, failBatch } = made
    listen(consumer)
    const accept = control.commits.always
    const beat = control.heartbeats.always
    await start()
    await data.from(90n).fail(fail('API_UNAVAILABLE'))
    await time.advance(75)
    await fill(90n, 2)
    control.commits.always = () => {
      throw fail('API_UNAVAILABLE')
    }
    await finish(90n, {
      letters: [{ kind: 'log', messageIndex: 0, logIndex: 0, reason: 'odd', raw: Buffer.from('log') }]
    })
    await time.advance(COMMIT_MS)
    control.commits.always = accept
    await failBatch(100n)
    await time.advance(1000)
    consumer.pause('topic-a', 0)
    assert.equal(await consumer.resume(), 1)
    grant()
    await time.advance(INTERVAL_MS)
    grant(0)
    await time.advance(INTERVAL_MS)
    control.heartbeats.always = () => {
      throw fail('API_UNREACHABLE')
    }
    await time.advance(2 * INTERVAL_MS)
    control.heartbeats.always = beat
    await time.advance(INTERVAL_MS)
    control.heartbeats.always = () => {
      throw fail('API_UNAUTHORIZED')
    }
    await assert.rejects(time.settle(consumer.finished), { code: 'API_UNAUTHORIZED' })
    return made
  }

  test(
    'does not stop a stage: the consumer does just what it does without, and the log tells of it',
    BOUNDED,
    async t => {
      const quiet = await roundTrip(t, () => undefined)
      const names = quiet.events.map(({ name }) => name)
      assert.deepEqual(
        EVENT_NAMES.filter(name => !names.includes(name)),
        ['topicRefused', 'topicRestored', 'groupLost', 'skipped', 'partitionDone'],
        'every event but those of refusals, of bounded runs and of the other policy was told'
      )
      const loud = await roundTrip(t, consumer => {
        for (const name of EVENT_NAMES)
          if (isEventName(name))
            consumer.on(name, () => {
              throw new Error(`of ${name}`)
            })
      })
      assert.deepEqual(loud.seen, quiet.seen)
      const threw = loud.log.lines.filter(({ message }) => message === 'a listener threw')
      assert.deepEqual(
        threw.map(({ level, fields }) => [level, fields.error]),
        names.map(name => ['error', `Error: of ${name}`])
      )
      const others = loud.log.lines.filter(({ message }) => message !== 'a listener threw')
      assert.deepEqual(others, quiet.log.lines)
    }
  )

  test('does not keep a bounded run from its end', BOUNDED, async t => {
    const { start, time, data, threads, idFrom, consumer } = visible(t, { stopAt: 'now', startFrom: 'begin' })
    consumer.on('partitionDone', () => {
      throw new Error('of mine')
    })
    await start()
    await data.from(10n).complete(withMessages(90n))
    await threads.finish(idFrom(10n), { nextOffset: 90n })
    await time.settle(consumer.finished)
  })
})

describe('starting', () => {
  test('start() is for a new consumer alone: else CONSUMER_STATE, and nothing changes', BOUNDED, async t => {
    const { start, time, control, consumer, news } = visible(t)
    const again = () => assert.rejects(consumer.start(), { code: 'CONSUMER_STATE' })
    control.groups.always = undefined
    const starting = start()
    await again()
    control.groups.only.answer([{ group: 'group', timeoutSeconds: 40, topicIds: ['topic-a'] }])
    await starting
    await again()
    assert.equal(consumer.snapshot().phase, 'running')
    assert.deepEqual(news(), ['heartbeat -', 'commit 0:90', 'pull 0:90'])
    await time.settle(consumer.stop())
    await again()
    await consumer.finished
  })

  test(
    'start() rejects with what kept it from joining, as `finished` does, and what it began is ended',
    BOUNDED,
    async t => {
      const { time, control, threads, consumer, lines, told, count, news } = visible(t)
      threads.doneAtOnce.delete('start')
      const starting = consumer.start()
      let phaseAtRejection = ''
      starting.catch(() => {
        phaseAtRejection = consumer.snapshot().phase
      })
      await turn()
      const failure = toFailure(fail('PROCESSOR_START_FAILED'), 'PROCESSOR_START_FAILED')
      threads.hook('start@0').answer({ kind: 'failed', stage: 'process', failure })
      await assert.rejects(time.settle(starting), { code: 'PROCESSOR_START_FAILED' })
      assert.equal(phaseAtRejection, 'stopped')
      const error = await starting.catch(thrown => thrown)
      assert.equal(await consumer.finished.catch(thrown => thrown), error)
      assert.deepEqual(told('failed'), [error])
      assert.equal(count('stopped'), 1)
      assert.deepEqual(
        lines().map(([level, message]) => [level, message]),
        [
          ['error', 'stopping on an error'],
          ['info', 'stopped']
        ]
      )
      assert.deepEqual([control.heartbeats.asks, news(), threads.closeCount], [[], ['closed'], 1])
      assert.equal(time.pendingCount, 0, 'nothing is left behind')
    }
  )
})

describe('stopping', () => {
  test('stop() before start() ends it: finished resolves, nothing is asked of the service', BOUNDED, async t => {
    const { time, control, threads, consumer, news } = visible(t)
    await time.settle(consumer.stop())
    await consumer.finished
    assert.equal(consumer.snapshot().phase, 'stopped')
    assert.deepEqual([control.groups.asks, news(), threads.closeCount], [[], ['closed'], 1])
    await assert.rejects(consumer.start(), { code: 'CONSUMER_STATE' })
  })

  test('stop() before start() ends real threads and connections that were never begun', BOUNDED, async () => {
    const consumer = new Consumer({ ...REQUIRED, threads: 2, logLevel: 'silent' })
    await consumer.stop()
    await consumer.finished
  })

  const MOMENTS: readonly (readonly [string, (made: ReturnType<typeof bench>) => void])[] = [
    ['while the group is looked at', ({ control }) => stayOpen(control.groups)],
    ['while the topics are described', ({ control }) => stayOpen(control.partitions)],
    ['while the threads start', ({ threads }) => void threads.doneAtOnce.delete('start')],
    ['while the first heartbeat is on its way', ({ control }) => stayOpen(control.heartbeats)]
  ]
  for (const [moment, holdUp] of MOMENTS) {
    test(`stop() during start(), ${moment}: both resolve, it never joins, nothing is left`, BOUNDED, async t => {
      const made = visible(t)
      const { time, threads, consumer, lines, news, told } = made
      holdUp(made)
      const starting = consumer.start()
      await turn()
      assert.equal(consumer.snapshot().phase, 'starting')
      const stopping = consumer.stop()
      assert.equal(consumer.stop(), stopping, 'there is one ending')
      for (const { ask, answer } of threads.runs.open) if (ask.task.kind === 'start') answer({ kind: 'done' })
      await time.settle(Promise.all([starting, stopping, consumer.finished]))
      assert.deepEqual(lines(), [['info', 'stopped', { consumer: 'c-1', batches: 0, logs: 0 }]])
      assert.deepEqual([told('joined'), told('failed'), news()], [[], [], ['closed']])
      assert.deepEqual([consumer.snapshot().phase, threads.closeCount, time.pendingCount], ['stopped', 1, 0])
    })
  }

  test('stop() that comes with the answer before the threads: none of them starts', BOUNDED, async t => {
    const { time, control, threads, consumer } = visible(t)
    stayOpen(control.partitions)
    const starting = consumer.start()
    await turn()
    control.partitions.only.answer([])
    await time.settle(Promise.all([consumer.stop(), starting]))
    assert.deepEqual(threads.tasks, [])
  })

  test('I8: a processor whose start never returns holds stop() up for its limit, no longer', BOUNDED, async t => {
    const { time, threads, consumer } = visible(t)
    threads.doneAtOnce.delete('start')
    const starting = consumer.start()
    await turn()
    await time.settle(Promise.all([starting, consumer.stop(), consumer.finished]))
    assert.equal(time.clock.monotonic(), 60_000)
    assert.equal(threads.closeCount, 1)
  })
})

describe('finished', () => {
  test(
    'resolves after stop(), once threads and connections are closed, and `stopped` is told once',
    BOUNDED,
    async t => {
      const { start, time, data, threads, consumer, idFrom, news, told, count } = visible(t)
      await start()
      await data.from(90n).complete(withMessages(100n))
      let isFinished = false
      void consumer.finished.then(() => {
        isFinished = true
      })
      const stopping = consumer.stop()
      await turn()
      assert.equal(isFinished, false, 'a batch is open')
      await threads.finish(idFrom(90n), { nextOffset: 100n })
      await time.settle(stopping)
      assert.deepEqual([isFinished, news().at(-1), threads.closeCount], [true, 'closed', 1])
      await consumer.stop()
      assert.deepEqual([count('stopped'), told('failed')], [1, []])
    }
  )

  test(
    'rejects with the first error; stop() resolves all the same, and a later error is a line alone',
    BOUNDED,
    async t => {
      const { start, time, control, threads, consumer, lines, told } = visible(t)
      await start()
      lines()
      const error = fail('API_UNAUTHORIZED')
      const beat = control.heartbeats.always
      control.heartbeats.always = () => {
        control.heartbeats.always = beat
        throw error
      }
      threads.closeError = fail('THREAD_STUCK')
      await time.advance(INTERVAL_MS)
      await time.settle(consumer.stop())
      assert.equal(await consumer.finished.catch(thrown => thrown), error)
      assert.deepEqual(told('failed'), [error])
      assert.deepEqual(
        lines().filter(([level]) => level === 'error'),
        [
          ['error', 'stopping on an error', { code: 'API_UNAUTHORIZED', error: 'said API_UNAUTHORIZED' }],
          ['error', 'another error while stopping', { code: 'THREAD_STUCK', error: 'said THREAD_STUCK' }]
        ]
      )
    }
  )

  test('may be left alone: an error that nobody awaits does not end the process', BOUNDED, async t => {
    const unhandled: unknown[] = []
    const keep = (reason: unknown) => void unhandled.push(reason)
    process.on('unhandledRejection', keep)
    t.after(() => void process.off('unhandledRejection', keep))
    const { start, time, control, consumer, told } = visible(t)
    await start()
    control.heartbeats.always = () => {
      throw fail('API_UNAUTHORIZED')
    }
    await time.advance(INTERVAL_MS)
    await time.settle(consumer.stop())
    await turn()
    assert.equal(told('failed').length, 1)
    assert.deepEqual(unhandled, [])
  })
})

describe('a consumer that is given no partition', () => {
  /** Four heartbeats and its former owner's drain: longer than any hand-over takes. */
  const HAND_OVER_MS = 4 * INTERVAL_MS + 30_000

  test('ends by itself in a bounded run, after longer than any hand-over takes', BOUNDED, async t => {
    const { start, time, grant, consumer, told } = visible(t, { stopAt: 'now' })
    grant()
    await start()
    await time.settle(consumer.finished)
    assert.equal(time.clock.monotonic(), HAND_OVER_MS)
    assert.deepEqual(told('failed'), [])
  })

  test('goes on in a bounded run once it is given one in time', BOUNDED, async t => {
    const { start, time, grant, data, consumer } = visible(t, { stopAt: 'now', startFrom: 'begin' })
    grant()
    await start()
    await time.advance(HAND_OVER_MS - INTERVAL_MS)
    grant(0)
    await time.advance(2 * HAND_OVER_MS)
    assert.deepEqual([consumer.snapshot().phase, data.openOffsets], ['running', [10n]])
  })

  test('waits as long again in a bounded run after its last one was taken away', BOUNDED, async t => {
    const { start, time, grant, consumer } = visible(t, { stopAt: 'now', startFrom: 'begin' })
    await start()
    await time.advance(HAND_OVER_MS)
    const revokedMs = Math.ceil(HAND_OVER_MS / INTERVAL_MS) * INTERVAL_MS
    grant()
    await time.settle(consumer.finished)
    assert.equal(time.clock.monotonic(), revokedMs + HAND_OVER_MS)
  })

  test('waits for ever in a run without an end', BOUNDED, async t => {
    const { start, time, grant, data, consumer } = visible(t)
    grant()
    await start()
    await time.advance(5 * HAND_OVER_MS)
    assert.equal(consumer.snapshot().phase, 'running')
    grant(0)
    await time.advance(INTERVAL_MS)
    await data.from(90n).complete(withoutMessages(95n))
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type LogRules, PartitionLog, type Window } from '../../src/emulator/partition-log.ts'

const RULES: LogRules = {
  startOffset: 0n,
  gapEvery: 0,
  gapOffsets: 1n,
  retentionBytes: Number.POSITIVE_INFINITY,
  retentionMs: Number.POSITIVE_INFINITY
}

const ALL: Window = {
  fromOffset: 0n,
  startMs: 0,
  endMs: Number.POSITIVE_INFINITY,
  sizeBytes: 1e9,
  messageCountMax: 1e9
}

function logOf(rules: Partial<LogRules>, times: readonly number[], bytes = 10): PartitionLog {
  const log = new PartitionLog({ ...RULES, ...rules })
  for (const time of times) log.append(time, () => new Uint8Array(bytes))
  return log
}

function offsets(log: PartitionLog, window: Partial<Window> = {}): bigint[] {
  return log.read({ ...ALL, ...window }).messages.map(message => message.offset)
}

test('offsets start where they are told to, and are exact above 2^53', () => {
  const log = logOf({ startOffset: 2n ** 53n }, [1, 1, 1])
  assert.deepEqual(offsets(log), [2n ** 53n, 2n ** 53n + 1n, 2n ** 53n + 2n])
  assert.deepEqual([log.begin, log.end], [2n ** 53n, 2n ** 53n + 3n])
})

test('every Nth message leaves a gap, and a read from within a gap finds the message after it', () => {
  const log = logOf({ gapEvery: 2, gapOffsets: 5n }, [1, 1, 1, 1])
  assert.deepEqual(offsets(log), [0n, 6n, 7n, 13n])
  assert.deepEqual(offsets(log, { fromOffset: 3n }), [6n, 7n, 13n])
  assert.equal(log.end, 14n)
})

test('a read ends before the size is passed, but holds one message in any case', () => {
  const log = logOf({}, [1, 1, 1])
  assert.deepEqual(log.read({ ...ALL, sizeBytes: 29 }).followedBy, 'more')
  assert.deepEqual(offsets(log, { sizeBytes: 29 }), [0n, 1n])
  assert.deepEqual(offsets(log, { sizeBytes: 30 }), [0n, 1n, 2n])
  assert.deepEqual(offsets(log, { sizeBytes: 1 }), [0n])
})

test('a read holds what came from the start on and before the end', () => {
  const log = logOf({}, [10, 20, 20, 30])
  assert.deepEqual(offsets(log, { startMs: 20, endMs: 30 }), [1n, 2n])
  assert.equal(log.read({ ...ALL, endMs: 30 }).followedBy, 'past-end')
  assert.equal(log.read({ ...ALL, endMs: 31 }).followedBy, 'nothing')
})

test('times never go back, even where the clock does', () => {
  const log = logOf({}, [10, 5, 12])
  assert.deepEqual(
    log.read(ALL).messages.map(message => message.receiptMs),
    [10, 10, 12]
  )
})

test('the offset at a time is that of the first message then or later, else the end', () => {
  const log = logOf({}, [10, 20, 30])
  assert.deepEqual(
    [0, 10, 11, 30, 31].map(time => log.offsetAt(time)),
    [0n, 0n, 1n, 2n, 3n]
  )
})

test('retention by bytes moves the begin, and keeps the newest messages', () => {
  const log = logOf({ retentionBytes: 25 }, [1, 1, 1, 1])
  assert.deepEqual(offsets(log), [2n, 3n])
  assert.deepEqual([log.begin, log.end, log.messageCount, log.storedBytes], [2n, 4n, 2, 20])
})

test('retention by age moves the begin up to the end, which stays', () => {
  const log = logOf({ retentionMs: 100 }, [0, 50])
  log.retire(101)
  assert.deepEqual([log.begin, log.end], [1n, 2n])
  log.retire(1000)
  assert.deepEqual([log.begin, log.end, log.messageCount], [2n, 2n, 0])
  log.append(1000, () => new Uint8Array(1))
  assert.deepEqual(offsets(log), [2n])
})

test('whatever is stored and dropped, a read gives what a plain list gives', { timeout: 30_000 }, () => {
  const steps = fc.array(fc.record({ wait: fc.nat(30), bytes: fc.integer({ min: 1, max: 40 }) }), { maxLength: 80 })
  fc.assert(
    fc.property(steps, fc.nat(300), fc.nat(60), (appends, retentionBytes, fromOffset) => {
      const rules = { ...RULES, retentionBytes: retentionBytes + 1, retentionMs: 200, gapEvery: 3 }
      const log = new PartitionLog(rules)
      let model: { offset: bigint; time: number; bytes: number }[] = []
      let now = 0
      for (const { wait, bytes } of appends) {
        now += wait
        const { offset } = log.append(now, () => new Uint8Array(bytes))
        model.push({ offset, time: now, bytes })
        while (model.reduce((sum, entry) => sum + entry.bytes, 0) > retentionBytes + 1) model.shift()
        model = model.filter(entry => now - entry.time <= 200)
      }
      const expected = model.filter(entry => entry.offset >= BigInt(fromOffset)).map(entry => entry.offset)
      assert.deepEqual(offsets(log, { fromOffset: BigInt(fromOffset) }), expected)
    }),
    { numRuns: 300 }
  )
})

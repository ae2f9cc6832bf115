import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeBodies, openSource } from '../../../bench/end-to-end/bodies.ts'
import {
  type AnswerPull,
  BASE_OFFSET,
  countsBefore,
  DUE_FIELD,
  dueCountOf,
  idleFeed,
  type PullAnswer,
  rateFeed,
  repeatFeed
} from '../../../bench/end-to-end/feeds.ts'
import { DEFAULT_WORKLOAD, FILTER } from '../../../bench/end-to-end/workload.ts'
import { decompress } from '../../../src/cls/compression.ts'
import { decodeLogGroup, MESSAGE_HEADER_BYTES } from '../../../src/cls/log-group.ts'

const SMALL = { ...DEFAULT_WORKLOAD.data, responseBytes: 60_000, bodyCount: 3, randomShare: 0 }
const BYTES_MAX = 2 ** 25

interface Read {
  readonly next: number
  readonly messageCount: number
  readonly logs: readonly Readonly<Record<string, string>>[]
}

/** As any client would: the two parts are one block. */
function read({ head, tail }: PullAnswer): Read {
  const { Response } = JSON.parse(decompress(Buffer.concat([head, tail]), 'snappy', BYTES_MAX).toString())
  const messages: string[] = Response.Message
  const logs = messages.flatMap(text => {
    const { logs } = decodeLogGroup(Buffer.from(text, 'base64').subarray(MESSAGE_HEADER_BYTES))
    return logs.map(({ contents }) => Object.fromEntries(contents.map(({ key, value }) => [key, value])))
  })
  return { next: Response.NextOffset, messageCount: messages.length, logs }
}

function* chain(answer: AnswerPull, pullCount: number): Generator<Read> {
  for (let offset = BASE_OFFSET, pull = 0; pull < pullCount; pull++) {
    const response = read(answer({ partition: 0, startOffset: offset }, 0))
    offset = response.next
    yield response
  }
}

describe('bodies that repeat', () => {
  test('each pull goes on where the last ended, through all bodies and from the first again', async () => {
    const bodies = await makeBodies(SMALL, FILTER)
    const seen = [...chain(repeatFeed(bodies), 7)]
    let offset = BASE_OFFSET
    for (const { next, messageCount } of seen) {
      assert.equal(next, offset + messageCount)
      offset = next
    }
    assert.deepEqual(seen[3]?.logs, seen[0]?.logs)
    assert.notDeepEqual(seen[1]?.logs, seen[0]?.logs)
  })

  test('what lies before an offset is what a client finds up to there', async () => {
    const bodies = await makeBodies(SMALL, FILTER)
    let [logCount, hitCount] = [0, 0]
    assert.deepEqual(countsBefore(bodies, BASE_OFFSET), { logCount, hitCount })
    for (const { next, logs } of chain(repeatFeed(bodies), 8)) {
      logCount += logs.length
      hitCount += logs.filter(({ status }) => status === FILTER.text).length
      assert.deepEqual(countsBefore(bodies, next), { logCount, hitCount })
    }
    assert.ok(hitCount > 0)
  })

  test('an offset that no response ended at is refused, both to pull and to count', async () => {
    const bodies = await makeBodies(SMALL, FILTER)
    const pull = { partition: 0, startOffset: BASE_OFFSET + 1 }
    assert.throws(() => repeatFeed(bodies)(pull, 0), /no response ends at/)
    assert.throws(() => countsBefore(bodies, BASE_OFFSET + 1), /no response ends at/)
  })

  test('the default is the response that the demands were measured with: 1.26 MB, of 4.5 MB of JSON', async () => {
    const [body] = await makeBodies({ ...DEFAULT_WORKLOAD.data, bodyCount: 1 }, FILTER)
    assert.ok(body !== undefined)
    assert.ok(Math.abs(body.tail.length / 1.26e6 - 1) < 0.03, String(body.tail.length))
    assert.ok(Math.abs(body.tailPlainBytes / 4.5e6 - 1) < 0.03, String(body.tailPlainBytes))
  })

  test('fields and text by chance are as many as asked for, and what the filter looks for stays', async () => {
    for (const fieldCount of [2, 20]) {
      const nextLog = await openSource({ ...SMALL, fieldCount })
      const { contents } = nextLog()
      assert.equal(contents.length, fieldCount)
      assert.ok(contents.some(({ key }) => key === FILTER.key))
    }
    const [plain] = await makeBodies(SMALL, FILTER)
    const [noisy] = await makeBodies({ ...SMALL, randomShare: 0.9 }, FILTER)
    const density = (body = plain) => (body?.tail.length ?? 0) / (body?.tailPlainBytes ?? 1)
    assert.ok(density(noisy) > 0.8 && density(plain) < 0.4, `${density(noisy)}, ${density(plain)}`)
  })
})

test('an idle server answers with the offset that was asked for, and nothing', () => {
  const answer = read(idleFeed()({ partition: 3, startOffset: BASE_OFFSET + 5 }, 0))
  assert.deepEqual(answer, { next: BASE_OFFSET + 5, messageCount: 0, logs: [] })
})

describe('logs that become due', () => {
  const plan = { logsPerSecond: 100, partitionCount: 3, beganMs: 5000 }
  const feed = async (endsAtMs = Number.POSITIVE_INFINITY) => rateFeed(await openSource(SMALL), plan, () => endsAtMs)

  test('come when they are due and not before, over all partitions in turn', async () => {
    const answer = await feed()
    const due = (partition: number, nowMs: number) =>
      read(answer({ partition, startOffset: BASE_OFFSET }, nowMs)).logs.map(log => Number(log[DUE_FIELD]))
    assert.deepEqual(due(0, 4999), [])
    assert.deepEqual(due(0, 5000), [5000])
    assert.deepEqual(due(0, 5029), [5000])
    assert.deepEqual(due(0, 5030), [5000, 5030])
    assert.deepEqual(due(2, 5050), [5020, 5050])
  })

  test('come once each, from where the last pull ended, and none after the feed has ended', async () => {
    const answer = await feed(5100)
    const first = read(answer({ partition: 1, startOffset: BASE_OFFSET }, 5050))
    const second = read(answer({ partition: 1, startOffset: first.next }, 9000))
    const due = [...first.logs, ...second.logs].map(log => Number(log[DUE_FIELD]))
    assert.deepEqual(due, [5010, 5040, 5070, 5100])
    assert.equal(second.next, BASE_OFFSET + dueCountOf(plan, 1, 5100))
    assert.equal(read(answer({ partition: 1, startOffset: second.next }, 9999)).messageCount, 0)
  })

  test('are as many over all partitions as the rate says', () => {
    const counts = (atMs: number) => [0, 1, 2].map(partition => dueCountOf(plan, partition, atMs))
    assert.deepEqual(counts(4999), [0, 0, 0])
    assert.deepEqual(counts(5000), [1, 0, 0])
    assert.deepEqual(counts(6000), [34, 34, 33])
  })
})

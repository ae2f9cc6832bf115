/** Uploading many logs: order per lane, bounded, an honest account of every log, a steady pace. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashKeyOf, topicIndexOf } from '../../src/cli/hash-key.ts'
import type { OutgoingLog } from '../../src/cli/outgoing-log.ts'
import {
  chunkSize,
  HELD_BYTES_MAX,
  UPLOADS_MAX,
  type UploadPlan,
  type UploadTally,
  type UploadWorld,
  uploadLogs
} from '../../src/cli/upload-logs.ts'
import type { LogGroup } from '../../src/cls/log-group.ts'
import type { UploadRequest } from '../../src/cls/upload.ts'
import { realTimers } from '../../src/real-world.ts'
import { createFakeTime } from '../cls/fakes.ts'
import { eventually } from '../support/calls.ts'

const TIMEOUT = { timeout: 20_000 }
const GROUP = { source: 's', logTags: [] }

/** Log i has the id i, stands in line i + 1, and has key `keyOf(i)`. */
function* logs(count: number, valueBytes = 1, keyOf?: (id: number) => string | undefined): Generator<OutgoingLog> {
  for (let id = 0; id < count; id++) {
    const key = keyOf?.(id)
    const contents = [{ key: 'id', value: String(id).padStart(valueBytes, '0') }]
    yield { log: { time: 1n, contents }, line: id + 1, ...(key === undefined ? {} : { key }) }
  }
}

function idsOf(groups: readonly LogGroup[]): number[] {
  return groups.flatMap(group => group.logs.map(log => Number(log.contents[0]?.value)))
}

interface Sent {
  readonly topicId: string
  readonly hashKey: string | undefined
  readonly ids: readonly number[]
  readonly groupSizes: readonly number[]
  readonly atMs: number
}

type AnswerTo = (request: UploadRequest, index: number) => Promise<void>

/** Uploads succeed at once, unless `answer` says otherwise. */
function fakeWorld(answer: AnswerTo = async () => undefined) {
  const time = createFakeTime()
  const controller = new AbortController()
  const uploads: Sent[] = []
  const world: UploadWorld = {
    upload: async request => {
      const { topicId, hashKey, groups } = request
      const groupSizes = groups.map(group => group.logs.length)
      uploads.push({ topicId, hashKey, ids: idsOf(groups), groupSizes, atMs: time.clock.monotonic() })
      await answer(request, uploads.length - 1)
    },
    clock: time.clock,
    timers: time.timers,
    stop: controller.signal
  }
  return { world, uploads, controller, time }
}

function plan(change: Partial<UploadPlan> = {}): UploadPlan {
  return { topicIds: ['a', 'b'], chunkLogCount: 300, group: GROUP, ...change }
}

const NOTHING: UploadTally = {
  storedCount: 0,
  storedBytes: 0,
  doubtCount: 0,
  unstoredCount: 0,
  duplicateCountMax: 0,
  retryCount: 0
}

/** All that was read is in one of the three. */
function readCount({ storedCount, doubtCount, unstoredCount }: UploadTally): number {
  return storedCount + doubtCount + unstoredCount
}

test('every log goes out once, log i to topic i mod n, in order within its topic', TIMEOUT, async () => {
  const { world, uploads, time } = fakeWorld()
  const { tally, failures, storedThroughLine } = await time.settle(uploadLogs(() => logs(1001), plan(), world))
  assert.deepEqual(failures, [])
  assert.deepEqual({ ...tally, storedBytes: 0 }, { ...NOTHING, storedCount: 1001 })
  assert.ok(tally.storedBytes > 1001 * 10)
  assert.equal(storedThroughLine, 1001)
  for (const [first, topicId] of ['a', 'b'].entries()) {
    const ids = uploads.filter(upload => upload.topicId === topicId).flatMap(upload => upload.ids)
    assert.deepEqual(
      ids,
      Array.from({ length: ids.length }, (_, index) => first + 2 * index)
    )
  }
  assert.equal(uploads.flatMap(({ ids }) => ids).length, 1001)
})

test('an upload stays within the limits of the service: 10 groups, and far below 6 MB', TIMEOUT, async () => {
  const { world, uploads, time } = fakeWorld()
  const topicIds = ['a']
  await time.settle(uploadLogs(() => logs(40, 400_000), plan({ chunkLogCount: 1000, topicIds }), world))
  assert.ok(uploads.length >= 10)
  for (const { ids } of uploads) assert.ok(ids.length * 400_000 <= 1_600_000)
  uploads.length = 0
  await time.settle(uploadLogs(() => logs(3, 4_000_000), plan({ chunkLogCount: 1000, topicIds }), world))
  assert.deepEqual(
    uploads.map(({ ids }) => ids),
    [[0], [1], [2]],
    'large ones go alone'
  )
  uploads.length = 0
  await time.settle(uploadLogs(() => logs(2500), plan({ chunkLogCount: 1000, topicIds }), world))
  assert.deepEqual(
    uploads.map(({ groupSizes }) => groupSizes),
    [new Array(10).fill(100), new Array(10).fill(100), new Array(5).fill(100)]
  )
})

test('a topic has one upload under way at a time, and a slow topic holds back reading', TIMEOUT, async () => {
  const open = new Set<string>()
  const releases: (() => void)[] = []
  const { world, uploads } = fakeWorld(async ({ topicId }) => {
    assert.ok(!open.has(topicId))
    open.add(topicId)
    await new Promise<void>(resolve => releases.push(resolve))
    open.delete(topicId)
  })
  let takenCount = 0
  function* source() {
    for (const outgoing of logs(100)) {
      takenCount++
      yield outgoing
    }
  }
  const settled = uploadLogs(source, plan({ chunkLogCount: 10 }), world).then(() => true)
  // Every upload is released one turn of the event loop after the other: nothing may run ahead of that.
  for (let released = 0; released < 10; ) {
    await new Promise(resolve => setImmediate(resolve))
    assert.ok(takenCount <= (released + 2 + 2) * 10, `${takenCount} logs read with ${released} uploads done`)
    const release = releases.shift()
    if (release === undefined) continue
    release()
    released++
  }
  assert.equal(await settled, true)
  assert.equal(uploads.length, 10)
})

test(
  'logs of a key go to one topic under the MD5 of the key, in order, never two uploads at once',
  TIMEOUT,
  async () => {
    const open = new Map<string, number>()
    const { world, uploads, time } = fakeWorld(async ({ topicId, hashKey = '' }, index) => {
      const lane = topicId + hashKey
      open.set(lane, (open.get(lane) ?? 0) + 1)
      assert.equal(open.get(lane), 1)
      await time.timers.sleep((index * 7919) % 50)
      open.set(lane, 0)
    })
    const keyOf = (id: number) => (id % 10 === 0 ? undefined : `key-${(id * id) % 37}`)
    const topicIds = ['a', 'b', 'c']
    const keyed = plan({ topicIds, chunkLogCount: 20 })
    const { tally, failures } = await time.settle(uploadLogs(() => logs(5000, 1, keyOf), keyed, world))
    assert.deepEqual(failures, [])
    assert.deepEqual({ ...tally, storedBytes: 0 }, { ...NOTHING, storedCount: 5000 })
    const byKey = new Map<string | undefined, number[]>()
    for (const { topicId, hashKey, ids } of uploads) {
      for (const id of ids) {
        const key = keyOf(id)
        assert.equal(hashKey, key === undefined ? undefined : hashKeyOf(key))
        const index = hashKey === undefined ? id % 3 : topicIndexOf(hashKey, 3)
        assert.equal(topicId, topicIds[index])
        if (key !== undefined) byKey.set(key, [...(byKey.get(key) ?? []), id])
      }
    }
    for (const ids of byKey.values())
      assert.deepEqual(
        ids,
        [...new Set(ids)].sort((a, b) => a - b)
      )
    assert.equal(uploads.flatMap(({ ids }) => ids).length, 5000)
    assert.ok(uploads.some(({ ids }) => ids.length === 20))
  }
)

test('a key whose upload takes long holds back no other key', TIMEOUT, async () => {
  const releases: (() => void)[] = []
  const { world, uploads } = fakeWorld(({ hashKey }) =>
    hashKey === hashKeyOf('slow') ? new Promise<void>(resolve => releases.push(resolve)) : Promise.resolve()
  )
  const keyOf = (id: number) => (id === 0 ? 'slow' : `key-${id % 5}`)
  const running = uploadLogs(() => logs(500, 1, keyOf), plan({ topicIds: ['a'], chunkLogCount: 1 }), world)
  await eventually(() => uploads.length >= 500)
  assert.equal(releases.length, 1)
  releases[0]?.()
  assert.equal((await running).tally.storedCount, 500)
})

test('with very many keys, what waits and what is under way stay bounded', TIMEOUT, async () => {
  const releases: (() => void)[] = []
  let openCount = 0
  let openCountMax = 0
  const { world, uploads } = fakeWorld(async () => {
    openCountMax = Math.max(openCountMax, ++openCount)
    await new Promise<void>(resolve => releases.push(resolve))
    openCount--
  })
  const valueBytes = 2000
  const count = 12_000
  let takenCount = 0
  function* source() {
    for (const outgoing of logs(count, valueBytes, String)) {
      takenCount++
      yield outgoing
    }
  }
  const running = uploadLogs(source, plan(), world)
  let settled = false
  void running.then(() => {
    settled = true
  })
  let doneCount = 0
  let heldMax = 0
  while (!settled) {
    await new Promise(resolve => setImmediate(resolve))
    heldMax = Math.max(heldMax, (takenCount - doneCount) * valueBytes)
    for (const release of releases.splice(0)) {
      release()
      doneCount++
    }
  }
  const outcome = await running
  assert.equal(outcome.tally.storedCount, count)
  assert.equal(uploads.length, count)
  assert.equal(openCountMax, UPLOADS_MAX)
  assert.ok(
    heldMax > HELD_BYTES_MAX / 2 && heldMax <= HELD_BYTES_MAX + UPLOADS_MAX * 2 * valueBytes,
    `${heldMax} bytes`
  )
})

test('however full the chunks, no more uploads are under way than allowed', TIMEOUT, async () => {
  let openCount = 0
  let openCountMax = 0
  const { world, uploads } = fakeWorld(async () => {
    openCountMax = Math.max(openCountMax, ++openCount)
    await new Promise(resolve => setImmediate(resolve))
    openCount--
  })
  const keyed = plan({ chunkLogCount: 1 })
  const { tally } = await uploadLogs(() => logs(500, 1, String), keyed, { ...world, timers: realTimers })
  assert.equal(tally.storedCount, 500)
  assert.equal(uploads.length, 500)
  assert.equal(openCountMax, UPLOADS_MAX)
})

test(
  'a log waits no longer than told for others to go with it, also where the source falls silent',
  TIMEOUT,
  async () => {
    const { world, uploads, time } = fakeWorld()
    let finish = () => {}
    async function* source() {
      yield* logs(3, 1, String)
      await new Promise<void>(resolve => {
        finish = resolve
      })
    }
    const running = uploadLogs(source, plan({ lingerMs: 1000 }), world)
    await time.advance(900)
    assert.equal(uploads.length, 0)
    await time.advance(400)
    assert.deepEqual(
      uploads.map(({ ids }) => ids),
      [[0], [1], [2]]
    )
    finish()
    assert.equal((await time.settle(running)).tally.storedCount, 3)
  }
)

test('the first failed upload ends it; reading stops, and every log that was read is in a count', TIMEOUT, async () => {
  const { world, uploads, time } = fakeWorld(async (_, index) => {
    await time.timers.sleep(10)
    if (index === 2) throw new Error('refused')
  })
  let takenCount = 0
  function* source() {
    for (const outgoing of logs(10_000)) {
      takenCount++
      yield outgoing
    }
  }
  const running = uploadLogs(source, plan({ topicIds: ['a'], chunkLogCount: 10 }), world)
  const { tally, failures, storedThroughLine } = await time.settle(running)
  assert.match(String(failures), /refused/)
  assert.equal(uploads.length, 3)
  assert.equal(tally.storedCount, 20)
  assert.equal(tally.doubtCount, 0)
  assert.ok(takenCount > 30 && takenCount <= 50, `${takenCount} read`)
  assert.equal(tally.unstoredCount, takenCount - 20)
  assert.equal(storedThroughLine, 20)
})

test(
  'what it says to be stored of a file ends before the first line that is not, wherever that waits',
  TIMEOUT,
  async () => {
    const { world, time } = fakeWorld(async (_, index) => {
      if (index === 1) throw new Error('refused')
    })
    // Lines 1 and 3 are stored; the chunk of 2 and 6 is refused; 4 and 5 wait for theirs to fill.
    const keys = ['a', 'b', 'a', 'c', 'd', 'b', 'b']
    const keyed = plan({ topicIds: ['t'], chunkLogCount: 2 })
    const { tally, storedThroughLine } = await time.settle(
      uploadLogs(() => logs(100, 1, id => keys[id] ?? 'b'), keyed, world)
    )
    assert.ok(tally.storedCount === 2 && readCount(tally) < 10)
    assert.equal(storedThroughLine, 1, 'line 2 is of a chunk that was refused')
  }
)

test('a failure is noticed while the source is silent, and ends its waiting', TIMEOUT, async () => {
  const { world, time } = fakeWorld(async () => {
    throw new Error('refused')
  })
  async function* source(ended: AbortSignal) {
    yield* logs(1)
    await new Promise<void>(resolve => ended.addEventListener('abort', () => resolve()))
  }
  const { tally, failures } = await time.settle(uploadLogs(source, plan({ lingerMs: 1000 }), world))
  assert.match(String(failures), /refused/)
  assert.equal(tally.unstoredCount, 1)
})

test(
  'a log sent again after a lost answer counts as a duplicate that may be; where it fails, as in doubt',
  TIMEOUT,
  async () => {
    const { world, time } = fakeWorld(async ({ onRetry, onUnsure }, index) => {
      if (index === 0) onRetry?.() // a refusal: certain
      if (index === 1) for (const _ of [1, 2]) [onUnsure, onRetry].map(tell => tell?.())
      if (index === 2) {
        for (const _ of [1, 2, 3]) onUnsure?.()
        throw new Error('no answer')
      }
    })
    const running = uploadLogs(() => logs(100), plan({ topicIds: ['a'], chunkLogCount: 10 }), world)
    const { tally, storedThroughLine } = await time.settle(running)
    assert.equal(tally.storedCount, 20)
    assert.equal(tally.doubtCount, 10)
    assert.equal(tally.retryCount, 3)
    assert.equal(tally.duplicateCountMax, 2 * 10 + 2 * 10)
    assert.equal(storedThroughLine, 20)
  }
)

test('a source that fails and an upload that fails on its last logs are both told', TIMEOUT, async () => {
  const { world, time } = fakeWorld(async () => {
    throw new Error('refused')
  })
  async function* source() {
    yield* logs(5)
    throw new Error('unreadable')
  }
  const { failures, tally } = await time.settle(uploadLogs(source, plan(), world))
  assert.deepEqual(failures.map(String), ['Error: refused', 'Error: unreadable'])
  assert.equal(tally.unstoredCount, 5)
})

test('where reading fails, what was read before is sent, and the failure told', TIMEOUT, async () => {
  const { world, time } = fakeWorld(() => time.timers.sleep(100))
  async function* source() {
    yield* logs(25)
    throw new Error('unreadable')
  }
  const running = uploadLogs(source, plan({ topicIds: ['a'], chunkLogCount: 10 }), world)
  const { tally, failures, storedThroughLine } = await time.settle(running)
  assert.match(String(failures), /unreadable/)
  assert.deepEqual({ ...tally, storedBytes: 0 }, { ...NOTHING, storedCount: 25 })
  assert.equal(storedThroughLine, 25)
})

test('a stop ends reading; what was read is sent, without an error', TIMEOUT, async () => {
  const { world, uploads, controller, time } = fakeWorld(async (_, index) => {
    if (index === 5) controller.abort(new Error('stopped'))
  })
  let takenCount = 0
  function* source() {
    for (const outgoing of logs(10_000)) {
      takenCount++
      yield outgoing
    }
  }
  const running = uploadLogs(source, plan({ topicIds: ['a'], chunkLogCount: 10 }), world)
  const { tally, failures, storedThroughLine } = await time.settle(running)
  assert.deepEqual(failures, [])
  assert.ok(takenCount >= 60 && takenCount <= 80, `${takenCount} read`)
  assert.equal(tally.storedCount, takenCount)
  assert.deepEqual(
    uploads.flatMap(({ ids }) => ids),
    Array.from({ length: takenCount }, (_, id) => id)
  )
  assert.equal(storedThroughLine, takenCount)
})

test(
  'stopped before it began, it reads nothing of a source that heeds it, and sends the one log of another',
  TIMEOUT,
  async () => {
    const { world, controller, time } = fakeWorld()
    controller.abort(new Error('stopped'))
    const heeding = (ended: AbortSignal) => (ended.aborted ? [] : logs(1000))
    const nothing = await time.settle(uploadLogs(heeding, plan(), world))
    assert.deepEqual([nothing.tally.storedCount, readCount(nothing.tally), nothing.failures], [0, 0, []])
    const one = await time.settle(uploadLogs(() => logs(1000), plan(), world))
    assert.deepEqual([one.tally.storedCount, readCount(one.tally), one.failures], [1, 1, []])
  }
)

test('a rate is kept: log n is not sent before its time', TIMEOUT, async () => {
  const { world, uploads, time } = fakeWorld()
  const rated = plan({ topicIds: ['a'], chunkLogCount: 10, logsPerSecond: 100 })
  await time.settle(uploadLogs(() => logs(1000), rated, world))
  for (const [index, { atMs }] of uploads.entries()) {
    const dueMs = (index + 1) * 100
    assert.ok(Math.abs(atMs - dueMs) <= 40, `upload ${index} at ${atMs}, due ${dueMs}`)
  }
  assert.equal(uploads.length, 100)
})

test('a rate holds over a long run with keys, several topics and uploads that take their time', TIMEOUT, async () => {
  const { world, uploads, time } = fakeWorld((_, index) => time.timers.sleep(5 + ((index * 7919) % 60)))
  const topicIds = ['a', 'b', 'c']
  const rated = plan({ topicIds, chunkLogCount: chunkSize(500, 3), logsPerSecond: 500, lingerMs: 1000 })
  const running = uploadLogs(() => logs(60_000, 1, id => `key-${(id * 31) % 101}`), rated, world)
  await time.settle(running)
  const storedBy = (ms: number) =>
    uploads.filter(({ atMs }) => atMs <= ms).reduce((sum, { ids }) => sum + ids.length, 0)
  for (let second = 10; second <= 120; second += 10) {
    const expected = second * 500
    // At any time, less is under way or waits for its chunk than comes in 1.5 s.
    const sent = storedBy(second * 1000)
    assert.ok(sent <= expected && sent >= expected - 750, `${sent} logs after ${second} s`)
  }
})

test('chunks of a slow rate are small, so that the stream is steady', () => {
  assert.equal(chunkSize(undefined, 2), 1000)
  assert.equal(chunkSize(100, 2), 5)
  assert.equal(chunkSize(1, 2), 1)
  assert.equal(chunkSize(1_000_000, 1), 1000)
})

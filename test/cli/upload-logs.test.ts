/** Uploading many logs: order per topic, one upload of a topic at a time, an honest count, a steady pace. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunkSize, type UploadPlan, type UploadWorld, uploadLogs } from '../../src/cli/upload-logs.ts'
import type { Log, LogGroup } from '../../src/cls/log-group.ts'

const TIMEOUT = { timeout: 10_000 }
const GROUP = { source: 's', logTags: [] }

function logs(count: number, valueBytes = 1): Log[] {
  return Array.from({ length: count }, (_, id) => ({
    time: 1n,
    contents: [{ key: 'id', value: String(id).padStart(valueBytes, '0') }]
  }))
}

function idsOf(groups: readonly LogGroup[]): number[] {
  return groups.flatMap(group => group.logs.map(log => Number(log.contents[0]?.value)))
}

/** Uploads succeed at once, unless `answer` says otherwise. Sleeping turns the clock. */
function fakeWorld(answer: (topicId: string) => Promise<void> = async () => undefined) {
  let nowMs = 1000
  const controller = new AbortController()
  const uploads: { topicId: string; groups: LogGroup[]; atMs: number }[] = []
  const world: UploadWorld = {
    upload: async ({ topicId, groups }) => {
      uploads.push({ topicId, groups, atMs: nowMs })
      await answer(topicId)
    },
    clock: { now: () => nowMs, monotonic: () => nowMs },
    timers: {
      after: () => assert.fail('no timer is needed'),
      sleep: async (delayMs, signal) => {
        signal?.throwIfAborted()
        nowMs += delayMs
      }
    },
    stop: controller.signal
  }
  return { world, uploads, controller }
}

function plan(change: Partial<UploadPlan> = {}): UploadPlan {
  return { topicIds: ['a', 'b'], chunkLogCount: 300, group: GROUP, ...change }
}

test('every log goes out once, log i to topic i mod n, in order within its topic', TIMEOUT, async () => {
  const { world, uploads } = fakeWorld()
  assert.equal(await uploadLogs(logs(1001), plan(), world), 1001)
  for (const [topicId, first] of [
    ['a', 0],
    ['b', 1]
  ] as const) {
    const ids = uploads.filter(upload => upload.topicId === topicId).flatMap(({ groups }) => idsOf(groups))
    assert.deepEqual(
      ids,
      Array.from({ length: ids.length }, (_, index) => first + 2 * index)
    )
  }
  assert.equal(uploads.flatMap(({ groups }) => idsOf(groups)).length, 1001)
})

test('an upload stays within the limits of the service: 10 groups, and far below 6 MB', TIMEOUT, async () => {
  const { world, uploads } = fakeWorld()
  await uploadLogs(logs(40, 400_000), plan({ chunkLogCount: 1000, topicIds: ['a'] }), world)
  assert.ok(uploads.length >= 10)
  for (const { groups } of uploads) assert.ok(idsOf(groups).length * 400_000 <= 2_500_000)
  uploads.length = 0
  await uploadLogs(logs(2500), plan({ chunkLogCount: 1000, topicIds: ['a'] }), world)
  assert.deepEqual(
    uploads.map(({ groups }) => groups.map(group => group.logs.length)),
    [new Array(10).fill(100), new Array(10).fill(100), new Array(5).fill(100)]
  )
  assert.equal(uploads[0]?.groups[0]?.source, 's')
})

test('a topic has one upload under way at a time, and a slow topic holds back reading', TIMEOUT, async () => {
  const open = new Map<string, number>()
  const releases: (() => void)[] = []
  const { world, uploads } = fakeWorld(async topicId => {
    open.set(topicId, (open.get(topicId) ?? 0) + 1)
    assert.equal(open.get(topicId), 1)
    await new Promise<void>(resolve => releases.push(resolve))
    open.set(topicId, 0)
  })
  let takenCount = 0
  function* source() {
    for (const log of logs(100)) {
      takenCount++
      yield log
    }
  }
  const uploading = uploadLogs(source(), plan({ chunkLogCount: 10 }), world)
  const settled = uploading.then(() => true)
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

test('the first failed upload is the error; nothing more is sent, or read', TIMEOUT, async () => {
  let calls = 0
  const { world, uploads } = fakeWorld(async () => {
    if (++calls === 3) throw new Error('refused')
  })
  let takenCount = 0
  function* source() {
    for (const log of logs(10_000)) {
      takenCount++
      yield log
    }
  }
  await assert.rejects(uploadLogs(source(), plan({ topicIds: ['a'], chunkLogCount: 10 }), world), /refused/)
  assert.ok(uploads.length <= 4, `${uploads.length} uploads`)
  assert.ok(takenCount <= 60, `${takenCount} logs read`)
})

test('where reading fails, uploads under way are waited for', TIMEOUT, async () => {
  let release = () => {}
  let ended = false
  const { world } = fakeWorld(async () => {
    await new Promise<void>(resolve => {
      release = resolve
    })
    ended = true
  })
  async function* source() {
    yield* logs(10)
    setImmediate(() => release())
    throw new Error('unreadable')
  }
  await assert.rejects(uploadLogs(source(), plan({ topicIds: ['a'], chunkLogCount: 10 }), world), /unreadable/)
  assert.equal(ended, true)
})

test('a stop ends it with the number that is stored, without an error', TIMEOUT, async () => {
  const { world, uploads, controller } = fakeWorld()
  const progress: number[] = []
  const watched: UploadWorld = {
    ...world,
    onProgress: count => {
      progress.push(count)
      if (count >= 50) controller.abort()
    }
  }
  const stored = await uploadLogs(logs(10_000), plan({ topicIds: ['a'], chunkLogCount: 10 }), watched)
  assert.equal(stored, uploads.flatMap(({ groups }) => idsOf(groups)).length)
  assert.ok(stored >= 50 && stored <= 80, `${stored} stored`)
  assert.equal(progress.at(-1), stored)
})

test('a rate is kept: log n is not sent before its time', TIMEOUT, async () => {
  const { world, uploads } = fakeWorld()
  await uploadLogs(logs(1000), plan({ topicIds: ['a'], chunkLogCount: 10, logsPerSecond: 100 }), world)
  for (const [index, { atMs }] of uploads.entries()) {
    const dueMs = 1000 + (index + 1) * 100
    assert.ok(Math.abs(atMs - dueMs) <= 40, `upload ${index} at ${atMs}, due ${dueMs}`)
  }
  assert.equal(uploads.length, 100)
})

test('chunks of a slow rate are small, so that the stream is steady', () => {
  assert.equal(chunkSize(undefined, 2), 1000)
  assert.equal(chunkSize(100, 2), 5)
  assert.equal(chunkSize(1, 2), 1)
  assert.equal(chunkSize(1_000_000, 1), 1000)
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  BACKOFF_BASE_MS,
  BACKOFF_MAX_MS,
  CORRECTIONS_MAX,
  decideRetry,
  retry,
  withDeadline
} from '../../src/cls/retry.ts'
import { ClsConsumerError, type ErrorCode } from '../../src/errors.ts'
import { chance, createFakeTime, rejection } from './fakes.ts'

const place = { action: 'A' }
const fail = (code: ErrorCode) => new ClsConsumerError(code, code)

function run(attempt: (signal: AbortSignal, tries: number) => Promise<unknown>, deadlineMs = 60_000, luck = 0.5) {
  const time = createFakeTime()
  const retried: ErrorCode[] = []
  let tries = 0
  const promise = retry(
    signal => attempt(signal, ++tries),
    { deadlineMs, place, onRetry: error => retried.push(error.code) },
    { ...time, random: chance(luck) }
  )
  return { time, retried, settled: time.settle(promise), tries: () => tries }
}

describe('retry', () => {
  test('waits grow by doubling up to the maximum, with full jitter', () => {
    const failed = { error: fail('API_UNREACHABLE'), correctionCount: 0, elapsedMs: 0, deadlineMs: 1e9 }
    const wait = (backoffCount: number, luck: number) => decideRetry({ ...failed, backoffCount, chance: luck })
    assert.deepEqual(
      [1, 2, 3].map(n => wait(n, 0.5)),
      [0.5, 1, 2].map(n => n * BACKOFF_BASE_MS)
    )
    assert.equal(wait(40, 0.5), BACKOFF_MAX_MS / 2)
    assert.equal(wait(1, 0), 0)
    assert.ok((wait(1, 0.999) ?? 0) > 0.99 * BACKOFF_BASE_MS)
  })

  test('tries until it succeeds, and tells of each retry', async () => {
    const { settled, time, retried } = run(async (_signal, tries) => {
      if (tries < 4) throw fail('API_UNAVAILABLE')
      return 'value'
    })
    assert.equal(await settled, 'value')
    assert.deepEqual(time.sleptMs, [100, 200, 400])
    assert.deepEqual(retried, ['API_UNAVAILABLE', 'API_UNAVAILABLE', 'API_UNAVAILABLE'])
    assert.equal(time.pendingCount, 0)
  })

  test('a try that stays silent for longer than tryMs is given up, and the next one may succeed within the call', async () => {
    const time = createFakeTime()
    const aborted: boolean[] = []
    let tries = 0
    const promise = retry(
      signal => {
        tries += 1
        if (tries === 3) return Promise.resolve('value')
        signal.addEventListener('abort', () => aborted.push(true))
        return new Promise(() => undefined)
      },
      { deadlineMs: 900, tryMs: 300, place },
      { ...time, random: chance(0) }
    )
    assert.equal(await time.settle(promise), 'value')
    assert.deepEqual([tries, time.clock.monotonic(), aborted], [3, 600, [true, true]])
    assert.equal(time.pendingCount, 0)
  })

  test('tries that all stay silent end with the call', async () => {
    const time = createFakeTime()
    const options = { deadlineMs: 900, tryMs: 400, place }
    const silent = retry(() => new Promise(() => undefined), options, { ...time, random: chance(0) })
    await rejection('API_TIMEOUT', time.settle(silent))
    assert.ok(time.clock.monotonic() <= 900)
  })

  for (const code of ['API_UNAUTHORIZED', 'API_NOT_FOUND', 'API_REFUSED', 'API_INVALID_OFFSET'] as const) {
    test(`${code} is final`, async () => {
      const { settled, tries } = run(async () => {
        throw fail(code)
      })
      await rejection(code, settled)
      assert.equal(tries(), 1)
    })
  }

  test('an error that is not ours passes at once', async () => {
    const bug = new TypeError('bug')
    const { settled, tries } = run(async () => {
      throw bug
    })
    await assert.rejects(settled, bug)
    assert.equal(tries(), 1)
  })

  test('gives up with the last error when the next wait would end past the deadline', async () => {
    const { settled, time } = run(async () => {
      throw fail('API_THROTTLED')
    }, 1000)
    await rejection('API_THROTTLED', settled)
    assert.deepEqual(time.sleptMs, [100, 200, 400])
    assert.ok(time.clock.monotonic() <= 1000)
  })

  test('a try that is under way at the deadline is API_TIMEOUT, and its signal aborts', async () => {
    let aborted = false
    const { settled, time } = run(async (signal, tries) => {
      if (tries === 1) throw fail('API_THROTTLED')
      signal.addEventListener('abort', () => {
        aborted = true
      })
      return new Promise(() => {})
    }, 5000)
    const error = await rejection('API_TIMEOUT', settled)
    assert.match(error.message, /5000 ms.*before that: API_THROTTLED/)
    assert.equal(time.clock.monotonic(), 5000)
    assert.ok(aborted)
  })

  for (const code of ['API_CLOCK_SKEWED', 'API_TOKEN_EXPIRED'] as const) {
    test(`${code} is tried again at once, ${CORRECTIONS_MAX} times`, async () => {
      const { settled, tries, time } = run(async () => {
        throw fail(code)
      })
      await rejection(code, settled)
      assert.equal(tries(), 1 + CORRECTIONS_MAX)
      assert.deepEqual(time.sleptMs, [])
    })
  }

  test('corrections and backoff are counted apart', async () => {
    const codes: ErrorCode[] = ['API_UNREACHABLE', 'API_CLOCK_SKEWED', 'API_UNREACHABLE', 'API_TOKEN_EXPIRED']
    const { settled, time } = run(async (_signal, tries) => {
      const code = codes[tries - 1]
      if (code !== undefined) throw fail(code)
      return tries
    })
    assert.equal(await settled, 5)
    assert.deepEqual(time.sleptMs, [100, 200])
  })

  test('I12: a process that is woken past the deadline sends nothing more, whichever timer fires first', async () => {
    let stoppedMs = 0
    const time = createFakeTime()
    const clock = { now: time.clock.now, monotonic: () => time.clock.monotonic() + stoppedMs }
    let sentCount = 0
    const promise = retry(
      async (_signal, checkDeadline) => {
        checkDeadline()
        sentCount++
        throw fail('API_UNAVAILABLE')
      },
      { deadlineMs: 5000, place },
      { clock, timers: time.timers, random: chance(0.5) }
    )
    await time.advance(0)
    assert.equal(sentCount, 1)
    stoppedMs = 60_000 // the backoff's timer, of 100 ms, still comes before the deadline's
    await rejection('API_TIMEOUT', time.settle(promise))
    assert.equal(sentCount, 1)
  })

  test('the caller’s abort ends a wait with its reason', async () => {
    const time = createFakeTime()
    const controller = new AbortController()
    const attempt = async () => {
      throw fail('API_UNREACHABLE')
    }
    const options = { deadlineMs: 60_000, place, signal: controller.signal }
    const promise = retry(attempt, options, { ...time, random: chance(0.9) })
    await time.advance(0)
    assert.deepEqual(time.sleptMs, [0.9 * BACKOFF_BASE_MS])
    const reason = new Error('stop')
    controller.abort(reason)
    await assert.rejects(promise, reason)
    assert.equal(time.pendingCount, 0)
  })

  test('nothing is tried under a signal that has aborted', async () => {
    const reason = new Error('stopped before')
    const promise = withDeadline(
      () => assert.fail('tried'),
      { deadlineMs: 1, signal: AbortSignal.abort(reason), onDeadline: () => fail('API_TIMEOUT') },
      createFakeTime().timers
    )
    await assert.rejects(promise, reason)
  })
})

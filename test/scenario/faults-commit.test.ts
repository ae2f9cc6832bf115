/** Commits that the server refuses, breaks off, garbles, takes late or takes without a word: what counts is the last one. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { finishSound } from './harness/ending.ts'
import { COMMON_FAULTS, type FaultedRow, testRows } from './harness/faulted.ts'
import { play } from './harness/play.ts'
import { until } from './harness/until.ts'
import { type Exchange, partitionsIn } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const action = 'CommitConsumerOffsets'

/** Every third commit is struck, and the very last one for sure. */
/** A commit is given up after this, to the millisecond; `requestTimeoutMs` is as coarse as the HTTP client's own timers. */
const GIVEN_UP_BEFORE = { callTimeoutMs: 1000 }

const ROWS: readonly FaultedRow[] = [
  ...COMMON_FAULTS.map(
    ([title, fault, code]): FaultedRow => ({
      title: `commits that meet ${title}`,
      rules: [{ action, fault, every: 3 }],
      struckCount: 2,
      ...(code === undefined ? {} : { code })
    })
  ),
  {
    title: 'commits whose answers are cut in half',
    rules: [{ action, fault: { kind: 'truncate' }, every: 3 }],
    struckCount: 2,
    code: 'API_MALFORMED'
  },
  {
    title: 'commits whose answers are garbled',
    rules: [{ action, fault: { kind: 'corrupt' }, every: 3 }],
    struckCount: 2,
    code: 'API_MALFORMED'
  },
  {
    // The next one is there before it, so that it takes the offset back until that is sent once more.
    title: 'commits that are given up, and taken by the server after a newer one',
    rules: [{ action, fault: { kind: 'delay', ms: 1300 }, every: 3 }],
    struckCount: 2,
    code: 'API_TIMEOUT',
    options: GIVEN_UP_BEFORE
  },
  {
    title: 'commits that are taken, and answered after they were given up',
    rules: [{ action, fault: { kind: 'delay', ms: 1300, when: 'after' }, every: 3 }],
    struckCount: 2,
    code: 'API_TIMEOUT',
    options: GIVEN_UP_BEFORE
  },
  {
    title: 'commits of which every second one takes effect and is never answered',
    rules: [{ action, fault: { kind: 'drop', when: 'answer' }, every: 2 }],
    struckCount: 3,
    code: 'API_UNREACHABLE'
  },
  {
    title: 'five commits in a row that take effect and are never answered',
    rules: [{ action, fault: { kind: 'drop', when: 'answer' }, after: 1, times: 5 }],
    struckCount: 5,
    code: 'API_UNREACHABLE'
  }
]

describe('faults of commits', { concurrency: 3 }, () => {
  testRows(ROWS.map(row => ({ ...row, last: row.rules.map(({ fault }) => ({ action, fault, times: 1 })) })))

  test(
    'I1: a commit that is given up, and reaches the server after a newer one, takes nothing back for good',
    TIMEOUT,
    () =>
      play({ partitionCount: 1 }, async stage => {
        const tap = await stage.tap()
        const [lane] = stage.producer.lanes(stage.topicId, 1)
        assert.ok(lane !== undefined)
        await stage.producer.send(lane, 10)
        stage.run('run', { options: { requestTimeoutMs: 300 } })
        await stage.processed(stage.producer.ids())
        await stage.allCommitted()
        let held: Exchange | undefined
        let letGo: () => void = () => undefined
        tap.hold = exchange => {
          if (exchange.action !== action || held !== undefined) return undefined
          held = exchange
          return new Promise(resolve => {
            letGo = resolve
          })
        }
        tap.tamper = exchange => {
          // Another commit is answered, and it is of something newer.
          if (exchange.action === action && exchange !== held && newest(exchange) === 20n) letGo()
          return undefined
        }
        await stage.producer.send(lane, 5)
        await until('a commit is held up', () => held !== undefined)
        await stage.producer.send(lane, 5)
        await until('it has reached the server after all', () => held?.answer !== undefined)
        assert.deepEqual([held === undefined ? 0n : newest(held), held?.answer?.status], [15n, 200])
        await finishSound(stage)
      })
  )
})

/** The largest offset that a commit names. */
function newest(exchange: Exchange): bigint {
  return partitionsIn(exchange).reduce((most, { offset = 0n }) => (offset > most ? offset : most), 0n)
}

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ContenderId } from '../../../bench/decode/contenders.ts'
import type { Seat } from '../../../bench/decode/seat.ts'
import type { Sample, SeatOptions } from '../../../bench/decode/seat-messages.ts'
import { measureInTurns } from '../../../bench/decode/turns.ts'

const question = {
  name: 'tiny',
  bytes: new Uint8Array(),
  expected: { filter: '', objects: '', index: '', loop: '', snappy: '' }
} as const
const THREE = ['ours-get', 'npm-snappy', 'ours-index'] as const
const optionsOf = (contender: ContenderId): SeatOptions => ({
  contender,
  question,
  pace: 'with turns',
  youngGenerationMb: 96
})
const sample = (wallMs: number, count: number): Sample => {
  const run = { wallMs: wallMs * count, cpuMs: wallMs * count * 3, gcMs: (wallMs * count) / 4 }
  return { wallMs, cpuMs: wallMs * 2, run, rssBytes: 5 }
}

/** Seats that take a given time for each response, and write down their runs. */
function bench(wallMs: (contender: ContenderId, call: number) => number) {
  const runs: [ContenderId, number][] = []
  const ended: ContenderId[] = []
  const take = async ({ contender }: SeatOptions): Promise<Seat> => {
    let calls = 0
    return {
      contender,
      pace: 'with turns',
      youngGenerationMb: 96,
      run: async count => {
        runs.push([contender, count])
        return sample(wallMs(contender, calls++), count)
      },
      end: async () => ended.push(contender)
    }
  }
  return { runs, ended, take }
}

describe('measuring in turns', () => {
  test('every contender runs once before any runs again', async () => {
    const { runs, take } = bench(() => 100)
    await measureInTurns(THREE.map(optionsOf), take, {
      runCount: 2,
      warmUpCount: 1,
      runMs: 50,
      responsesMin: 1
    })
    const order = runs.map(([contender]) => contender)
    // Once each to find out how many responses make a run, then three rounds.
    assert.deepEqual(order, Array.from({ length: 4 }, () => THREE).flat())
  })

  test('a run is as many responses as take the time planned, by the pace of the warm thread', async () => {
    const { runs, take } = bench((_, call) => (call < 4 ? 10 : 2))
    const [measured] = await measureInTurns([optionsOf('ours-get')], take, {
      runCount: 2,
      warmUpCount: 3,
      runMs: 40,
      responsesMin: 1
    })
    // 1, 2 and 4 responses at 10 ms to find out; then three to warm up, of which the second is the first at 2 ms.
    assert.deepEqual(
      runs.map(([, count]) => count),
      [1, 2, 4, 4, 4, 20, 20, 20]
    )
    assert.equal(measured?.responsesPerRun, 20)
  })

  test('a run is never of fewer responses than planned, however long they take', async () => {
    const { runs, take } = bench(() => 100)
    await measureInTurns([optionsOf('ours-get')], take, { runCount: 1, warmUpCount: 1, runMs: 50, responsesMin: 8 })
    assert.deepEqual(
      runs.map(([, count]) => count),
      [1, 8, 8]
    )
  })

  test('figures are medians of the runs after the warm-up alone', async () => {
    const wallMs = [100, 900, 900, 10, 30, 20]
    const { take } = bench((_, call) => wallMs[call] ?? assert.fail('too many runs'))
    const [measured] = await measureInTurns([optionsOf('ours-get')], take, {
      runCount: 3,
      warmUpCount: 2,
      runMs: 50,
      responsesMin: 1
    })
    assert.deepEqual(measured?.wallMs, { median: 20, least: 10, most: 30 })
    assert.deepEqual(measured?.cpuMs, { median: 40, least: 20, most: 60 })
    assert.equal(measured?.gcShare, 1 / 4)
    assert.equal(measured?.rssBytesMost, 5)
  })

  test('all seats are given up, also when one of them fails', async () => {
    const { ended, take } = bench(contender => (contender === 'ours-index' ? assert.fail('it broke') : 100))
    const plan = { runCount: 1, warmUpCount: 1, runMs: 50, responsesMin: 1 }
    await assert.rejects(measureInTurns([THREE[0], THREE[2]].map(optionsOf), take, plan), /it broke/)
    assert.deepEqual(ended, ['ours-get', 'ours-index'])
  })
})

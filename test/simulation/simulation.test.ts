/** The simulation as a test: some seeds must be clean, a seed must play the same twice, and the runs must not be empty. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { playSeed } from './play-seed.ts'
import { INCIDENTS } from './scenario.ts'
import { placesIn, Trace } from './trace.ts'

const BOUNDED = { timeout: 120_000 }
/** `npm run simulate` plays far more. */
const SEED_COUNT = 40
/** Most of what is there comes in the first few dozens; the rarest not in every hundred. */
const COVERED_MAX = 300

/** What the traces of the seeds must show, and have not shown yet. */
const missing = new Set([
  ...INCIDENTS,
  ...['lost', 'deaf', 'late', 'twice', 'slow', 'busy', 'page', 'flawed', 'half', 'stuck'].map(
    kind => `{"kind":"${kind}"`
  ),
  ...['throws', 'hangs', 'blocks', 'dies', 'heeds', 'rewinds'].map(kind => `: {"kind":"${kind}"`),
  'lease lost',
  'the group is gone',
  'an offset is gone',
  'terminating the thread',
  'a partition moves to an idler thread',
  'commit refused',
  'scouted',
  'harvested',
  'receives abort',
  'skipped kind=',
  'dead letters topicId',
  'a partition is parked',
  'reason=seek to',
  'reason=rewind to',
  'reason=resumed',
  'back to its last save',
  'the committed offset goes back',
  'code=PROCESSOR_TIMEOUT',
  'code=DEAD_LETTER_WRITE',
  'code=MESSAGE_CORRUPT',
  'has a connection',
  'released'
])

function look(_atMs: number, _where: string, what: string): void {
  for (const part of missing) if (what.includes(part)) missing.delete(part)
}

async function traceOf(seed: number): Promise<Trace> {
  const trace = new Trace()
  await playSeed(seed, trace.add)
  return trace
}

describe('the simulation', () => {
  test(
    'nothing is lost, out of order, or repeated without a reason, and everything comes to an end',
    BOUNDED,
    async () => {
      for (let seed = 1; seed <= SEED_COUNT; seed++) {
        const { findings } = await playSeed(seed, look)
        assert.deepEqual(findings, [], `node dist/test/simulation/main.js --seed ${seed} --trace`)
      }
    }
  )

  test('what it is there for happens: every incident, every fate and conduct, every policy', BOUNDED, async () => {
    for (let seed = SEED_COUNT + 1; missing.size > 0 && seed <= COVERED_MAX; seed++) await playSeed(seed, look)
    assert.deepEqual([...missing], [])
  })

  test('a seed plays the same every time', BOUNDED, async () => {
    for (const seed of [7, 18, 50]) {
      assert.deepEqual((await traceOf(seed)).lines(), (await traceOf(seed)).lines(), `seed ${seed}`)
    }
  })

  test('the short form of a trace shows the partition concerned, and what concerns all', () => {
    const trace = new Trace()
    trace.add(1, 'host-1', 'commit of topic-a#1:7')
    trace.add(2, 'host-1', 'commit of topic-a#11:7')
    trace.add(3, 'host-1', 'info: released topicId=topic-a partition=1 reason=revoked')
    trace.add(4, 'host-2', 'timer of 5 ms')
    trace.add(5, 'host-2', 'is no more: its process crashed')
    const places = placesIn([{ invariant: 'I1', message: 'host-1 commits topic-a#1:7 past L3.' }])
    const shown = trace.tail(9, places).map(line => line.trim().split(' ')[0])
    assert.deepEqual(shown, ['0.001', '0.003', '0.005'])
  })
})

/** Made-up lines: repeatable, real-looking, parseable. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAccessLine, splitRequest } from '../../src/cli/access-log.ts'
import { lineGenerator } from '../../src/cli/generate.ts'
import { seededRandom, zipf } from '../../src/cli/random.ts'

const START_MS = Date.UTC(2026, 0, 31, 8)

function lines(seed: number, count: number): string[] {
  const next = lineGenerator(seed)
  return Array.from({ length: count }, (_, index) => next(START_MS + index * 20))
}

test('the same seed gives the same lines, another seed others', () => {
  assert.deepEqual(lines(7, 500), lines(7, 500))
  assert.notDeepEqual(lines(7, 500), lines(8, 500))
})

test('every line is an exact access-log line with a proper request', () => {
  for (const line of lines(1, 5000)) {
    const parsed = parseAccessLine(line)
    assert.equal(parsed?.exact, true, line)
    assert.notEqual(splitRequest(parsed?.fields.request ?? ''), undefined, line)
  }
})

test('about one line in 20 carries Chinese text', () => {
  const chinese = lines(3, 20_000).filter(line => /\p{Script=Han}/u.test(line)).length
  assert.ok(chinese > 800 && chinese < 1200, `${chinese} of 20,000`)
})

test('statuses and paths are spread as in practice: most succeed, few paths take much', () => {
  const all = lines(4, 20_000).map(line => parseAccessLine(line)?.fields)
  const share = (status: string) => all.filter(fields => fields?.status === status).length / all.length
  assert.ok(share('200') > 0.85 && share('200') < 0.92)
  assert.ok(share('500') > 0.001 && share('500') < 0.02)
  const home = all.filter(fields => splitRequest(fields?.request ?? '')?.path === '/').length / all.length
  assert.ok(home > 0.1 && home < 0.25, `${home} for the first of 400 paths`)
})

test('seeded numbers lie in [0, 1), spread evenly', () => {
  const random = seededRandom(42)
  const tenths = new Array<number>(10).fill(0)
  for (let i = 0; i < 100_000; i++) {
    const value = random()
    assert.ok(value >= 0 && value < 1)
    const tenth = Math.floor(value * 10)
    tenths[tenth] = (tenths[tenth] ?? 0) + 1
  }
  for (const hits of tenths) assert.ok(hits > 9500 && hits < 10_500, tenths.join())
})

test('a Zipf rank r comes up about 1/(r+1) as often as rank 0, and every rank can', () => {
  const rank = zipf(3)
  const random = seededRandom(5)
  const hits = [0, 0, 0]
  for (let i = 0; i < 110_000; i++) {
    const at = rank(random)
    hits[at] = (hits[at] ?? 0) + 1
  }
  for (const [at, expected] of [60_000, 30_000, 20_000].entries()) {
    assert.ok(Math.abs((hits[at] ?? 0) - expected) < 1000, hits.join())
  }
  assert.equal(
    rank(() => 0),
    0
  )
  assert.equal(
    rank(() => 1 - 2 ** -32),
    2
  )
})

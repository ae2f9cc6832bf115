/** Made-up logs: repeatable, real-looking, parseable. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { parseAccessLine, splitRequest } from '../../src/cli/access-log.ts'
import { GENERATED_KINDS, generators, lineGenerator } from '../../src/cli/generate.ts'
import { lineToLog } from '../../src/cli/logs.ts'
import { between, hexDigits, pickByShare, seededRandom, zipf } from '../../src/cli/random.ts'
import type { Log } from '../../src/cls/log-group.ts'

const START_MS = Date.UTC(2026, 0, 31, 8)

function lines(seed: number, count: number): string[] {
  const next = lineGenerator(seed)
  return Array.from({ length: count }, (_, index) => next(START_MS + index * 20))
}

test('the same seed gives the same lines, another seed others', () => {
  assert.deepEqual(lines(7, 500), lines(7, 500))
  assert.notDeepEqual(lines(7, 500), lines(8, 500))
})

test('the lines of a seed never change: documents show them', () => {
  const hash = createHash('sha256')
  for (const line of lines(7, 10_000)) hash.update(`${line}\n`)
  assert.equal(hash.digest('hex'), '4bd3e0b5d3017071d9f5c2cac875d432957589d6ed33e94868954ff1859b5675')
})

function logsOf(kind: keyof typeof generators, seed: number, count: number): Log[] {
  const next = generators[kind](seededRandom(seed))
  return Array.from({ length: count }, (_, index) => next(START_MS + index * 20))
}

function value(log: Log, key: string): string | undefined {
  return log.contents.find(content => content.key === key)?.value
}

for (const kind of GENERATED_KINDS) {
  test(`${kind}: the same seed and times give the same logs, another seed others, at the times asked for`, () => {
    assert.deepEqual(logsOf(kind, 7, 300), logsOf(kind, 7, 300))
    assert.notDeepEqual(logsOf(kind, 7, 300), logsOf(kind, 8, 300))
    assert.equal(logsOf(kind, 7, 2)[1]?.time, BigInt(kind === 'access' ? START_MS : START_MS + 20))
  })

  test(`${kind}: about one log in 20 has a value with Chinese text, and no more than one value`, () => {
    const chinese = logsOf(kind, 3, 20_000).map(
      ({ contents }) => contents.filter(({ value }) => /\p{Script=Han}/u.test(value)).length
    )
    const count = chinese.filter(found => found > 0).length
    assert.ok(count > 800 && count < 1200, `${count} of 20,000`)
    assert.equal(Math.max(...chinese), 1)
  })
}

test('access: the logs are those of the lines', () => {
  const nextLine = lineGenerator(9)
  for (const [index, log] of logsOf('access', 9, 100).entries()) {
    const atMs = START_MS + index * 20
    assert.deepEqual(log, lineToLog(nextLine(atMs), atMs))
  }
})

test('app: levels as in practice; errors mostly with a stack trace of some KB over many lines, info never', () => {
  const logs = logsOf('app', 4, 20_000)
  const share = (level: string) => logs.filter(log => value(log, 'level') === level).length / logs.length
  assert.ok(share('INFO') > 0.7 && share('ERROR') > 0.02 && share('ERROR') < 0.06)
  for (const log of logs) {
    assert.deepEqual(log.contents.map(({ key }) => key).slice(0, 5), [
      'level',
      'logger',
      'thread',
      'trace_id',
      'message'
    ])
    assert.match(value(log, 'trace_id') ?? '', /^[0-9a-f]{32}$/)
    assert.match(value(log, 'logger') ?? '', /^com\.example\.shop\.[a-z]+\.[A-Z][A-Za-z]+$/)
    assert.notEqual(value(log, 'message'), '')
  }
  const stacks = logs.flatMap(log => value(log, 'stack') ?? [])
  assert.ok(stacks.length > 400 && stacks.length < 1200, `${stacks.length} stacks`)
  for (const stack of stacks) {
    assert.ok(stack.length > 1000 && stack.length < 10_000, `${stack.length} characters`)
    assert.ok(stack.split('\n').length > 20)
  }
  assert.ok(!logs.some(log => value(log, 'level') === 'INFO' && value(log, 'stack') !== undefined))
})

test('wide: always the same 60 fields, all different, one of them beyond what a double holds', () => {
  const logs = logsOf('wide', 4, 500)
  const keys = logs[0]?.contents.map(({ key }) => key) ?? []
  assert.equal(new Set(keys).size, 60)
  for (const { contents } of logs) {
    assert.deepEqual(
      contents.map(({ key }) => key),
      keys
    )
    assert.ok(contents.every(({ value }) => typeof value === 'string' && value !== 'undefined'))
  }
  assert.ok(logs.some(log => String(Number(value(log, 'account_id'))) !== value(log, 'account_id')))
  assert.ok(logs.every(log => typeof JSON.parse(value(log, 'feature_flags') ?? '') === 'object'))
})

test('whole numbers reach both ends, hex digits are as many as asked', () => {
  const random = seededRandom(1)
  const found = new Set(Array.from({ length: 1000 }, () => between(random, 3, 6)))
  assert.deepEqual([...found].sort(), [3, 4, 5, 6])
  for (const count of [1, 8, 9, 32]) assert.match(hexDigits(random, count), new RegExp(`^[0-9a-f]{${count}}$`))
  assert.equal(
    hexDigits(() => 0, 9),
    '000000000'
  )
})

test('of cumulative shares each comes up as often as it is large, from its first to its last number', () => {
  const shares = [
    [885, 'a'],
    [990, 'b'],
    [1000, 'c']
  ] as const
  for (const [number, expected] of [
    [0, 'a'],
    [0.884999, 'a'],
    [0.885, 'b'],
    [0.989999, 'b'],
    [0.99, 'c'],
    [1 - 2 ** -32, 'c']
  ] as const) {
    assert.equal(
      pickByShare(() => number, shares),
      expected,
      String(number)
    )
  }
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

/** From file or generator to logs: nothing left out, cut or changed in silence. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type FilePlan, type SourcePlan, type SourceTally, sourceLogs } from '../../src/cli/log-source.ts'
import type { OutgoingLog } from '../../src/cli/outgoing-log.ts'
import { ClsConsumerError } from '../../src/errors.ts'

const TIMEOUT = { timeout: 20_000 }
const NOW_MS = 1_790_000_000_123
const CLOCK = { now: () => NOW_MS, monotonic: () => 0 }

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cls-source-'))
})
after(() => rm(folder, { recursive: true }))

interface Read {
  readonly logs: readonly {
    readonly line: number | undefined
    readonly key: string | undefined
    readonly time: bigint
  }[]
  readonly contents: readonly (readonly (readonly [string, string])[])[]
  readonly tally: SourceTally
  readonly said: readonly string[]
  readonly failure: ClsConsumerError | undefined
}

async function readAll(plan: SourcePlan): Promise<Read> {
  const tally: SourceTally = { badLineCount: 0, noTimeCount: 0, noKeyCount: 0 }
  const said: string[] = []
  const found: OutgoingLog[] = []
  let failure: ClsConsumerError | undefined
  const world = {
    clock: CLOCK,
    ended: new AbortController().signal,
    tally,
    say: (line: string) => void said.push(line)
  }
  try {
    for await (const outgoing of sourceLogs(plan, world)) found.push(outgoing)
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError, String(error))
    failure = error
  }
  return {
    logs: found.map(({ log, line, key }) => ({ line, key, time: log.time })),
    contents: found.map(({ log }) => log.contents.map(({ key, value }) => [key, value] as const)),
    tally,
    said,
    failure
  }
}

async function readFile(
  text: string,
  change: Partial<FilePlan> & { readonly name?: string } = {},
  rest: Partial<SourcePlan> = {}
): Promise<Read> {
  const { name = 'f.log', ...plan } = change
  const path = join(folder, name)
  await writeFile(path, text)
  const file: FilePlan = { path, format: 'auto', onBadLine: 'keep', timeField: undefined, timeUnit: undefined, ...plan }
  return readAll({ from: file, countMax: Number.POSITIVE_INFINITY, key: undefined, ...rest })
}

test(
  'NDJSON: the fields become contents; blank lines are skipped, the last needs no end, CRLF is an end',
  TIMEOUT,
  async () => {
    const { contents, logs, tally } = await readFile('{"id":9007199254740993}\r\n\r\n  \n{"id":2,"a":{"b":null}}')
    assert.deepEqual(contents, [
      [['id', '9007199254740993']],
      [
        ['id', '2'],
        ['a', '{"b":null}']
      ]
    ])
    assert.deepEqual(
      logs.map(({ line, time }) => [line, time]),
      [
        [1, BigInt(NOW_MS)],
        [4, BigInt(NOW_MS)]
      ]
    )
    assert.deepEqual(tally, { badLineCount: 0, noTimeCount: 0, noKeyCount: 0 })
  }
)

test('the format is told by name or first line, said, and can be ordered', TIMEOUT, async () => {
  const object = '{"a":1}\n'
  const keysOf = async (text: string, change: Parameters<typeof readFile>[1]) => {
    const { contents, said } = await readFile(text, change)
    return [contents[0]?.map(([key]) => key).join(), said.join()]
  }
  assert.match(String(await keysOf(object, {})), /^a,taken for NDJSON/)
  assert.match(String(await keysOf('text\n', {})), /^message,taken for lines of text/)
  assert.match(String(await keysOf('[1]\n', {})), /^message,taken for lines of text/)
  assert.match(
    String(await keysOf('text\n', { name: 'x.jsonl' })),
    /^message,taken for NDJSON.*line 1 is not a JSON object/
  )
  assert.deepEqual(await keysOf(object, { format: 'lines', name: 'x.ndjson' }), ['message', ''])
  assert.deepEqual(await keysOf(object, { format: 'ndjson' }), ['a', ''])
})

test('a line that is no object is kept word for word and told with its number; many are counted', TIMEOUT, async () => {
  const bad = Array.from({ length: 20 }, (_, index) => ` oops ${index}\t`)
  const { contents, tally, said, failure } = await readFile(`{"a":1}\n\n${bad.join('\n')}\n{"a":2}\n`)
  assert.equal(failure, undefined)
  assert.deepEqual(
    contents.slice(1, -1),
    bad.map(text => [['message', text]])
  )
  assert.deepEqual(contents.at(-1), [['a', '2']])
  assert.equal(tally.badLineCount, 20)
  const told = said.filter(line => line.includes('is not a JSON object'))
  assert.equal(told.length, 10)
  assert.match(told[0] ?? '', /^line 3 is not a JSON object: .*kept as message/)
})

test('asked to stop at a line that is no object, it stops there, with what came before', TIMEOUT, async () => {
  const { contents, failure } = await readFile('{"a":1}\n\n[2]\n{"a":3}\n', { onBadLine: 'stop' })
  assert.deepEqual(contents, [[['a', '1']]])
  assert.equal(failure?.code, 'FILE_UNREADABLE')
  assert.match(failure?.message ?? '', /line 3 is not a JSON object: it is a list.*--on-bad-line keep.*f\.log/)
})

test('a line that the service cannot take is an error with its number; nothing is cut', TIMEOUT, async () => {
  const mebibyte = 'v'.repeat(1024 * 1024)
  const cases: readonly (readonly [string, RegExp])[] = [
    [`{"a":1}\n{"a":"${mebibyte}v"}\n`, /line 2: 1048577 bytes in one value are more than the 1048576/],
    [
      `${JSON.stringify(Object.fromEntries([1, 2, 3, 4, 5, 6].map(n => [n, 'v'.repeat(1_000_000)])))}\n`,
      /line 1: 6000000 bytes/
    ],
    [`first\n\n${mebibyte}v\n`, /line 3: 1048577 bytes in one value/],
    [`first\n${'v'.repeat(7_000_000)}\n`, /line 2 is longer than 6291456 bytes/]
  ]
  for (const [text, message] of cases) {
    const { failure, contents } = await readFile(text)
    assert.equal(failure?.code, 'FILE_UNREADABLE')
    assert.match(failure?.message ?? '', message)
    assert.ok((failure?.message.length ?? 0) < 300)
    assert.equal(contents.length, text.startsWith('{"1"') ? 0 : 1)
  }
  const large = await readFile(`${JSON.stringify({ a: mebibyte, b: mebibyte })}\n${mebibyte}\n`)
  assert.equal(large.failure, undefined, 'what it can take is taken')
})

test('the time field tells the time; where it does not, it is now, and counted', TIMEOUT, async () => {
  const lines = [
    '{"at":"2026-01-31T08:00:00.5Z"}',
    '{"at":1769846400500}',
    '{"at":1769846400.500250}',
    '{"at":"soon"}',
    '{"b":1}',
    'oops'
  ]
  const { logs, tally } = await readFile(lines.join('\n'), { timeField: 'at' })
  const now = BigInt(NOW_MS)
  assert.deepEqual(
    logs.map(({ time }) => time),
    [1_769_846_400_500n, 1_769_846_400_500n, 1_769_846_400_500_250n, now, now, now]
  )
  assert.equal(tally.noTimeCount, 3, 'every log at the time of now, a line that is no object too')
  const { logs: inSeconds } = await readFile('{"at":1769846400}\n', { timeField: 'at', timeUnit: 's' })
  assert.equal(inSeconds[0]?.time, 1_769_846_400_000n)
})

test('access-log lines tell their time, unless another field is named', TIMEOUT, async () => {
  const line = '1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1769846400 "-" "-"\n'
  assert.equal((await readFile(line)).logs[0]?.time, BigInt(Date.UTC(2015, 4, 17, 10, 5, 3)))
  assert.equal((await readFile(line, { timeField: 'bytes' })).logs[0]?.time, 1_769_846_400_000n)
})

test(
  'a key comes from a field or is the same for all; logs without it are counted and have none',
  TIMEOUT,
  async () => {
    const text = '{"user":"a"}\n{"user":17}\n{"other":1}\n{"user":"","user":"second"}\n'
    const byField = await readFile(text, {}, { key: { field: 'user' } })
    assert.deepEqual(
      byField.logs.map(({ key }) => key),
      ['a', '17', undefined, '']
    )
    assert.equal(byField.tally.noKeyCount, 1)
    const same = await readFile(text, {}, { key: { text: 'k' } })
    assert.deepEqual(new Set(same.logs.map(({ key }) => key)), new Set(['k']))
  }
)

test('no more is read than asked for', TIMEOUT, async () => {
  const { contents, failure } = await readFile('{"a":1}\n{"a":2}\nbad\n', { onBadLine: 'stop' }, { countMax: 2 })
  assert.equal(failure, undefined)
  assert.equal(contents.length, 2)
})

test('made-up logs are of the kind asked for, at the time of now, with keys if asked', TIMEOUT, async () => {
  const { logs, contents, said } = await readAll({
    from: { kind: 'app', seed: 3 },
    countMax: 50,
    key: { field: 'level' }
  })
  assert.equal(logs.length, 50)
  assert.deepEqual(said, ['made-up app logs, seed 3'])
  for (const [index, { time, key }] of logs.entries()) {
    assert.equal(time, BigInt(NOW_MS))
    assert.equal(key, contents[index]?.[0]?.[1])
  }
})

test('where it is ended, it ends', TIMEOUT, async () => {
  const controller = new AbortController()
  const tally: SourceTally = { badLineCount: 0, noTimeCount: 0, noKeyCount: 0 }
  const world = { clock: CLOCK, ended: controller.signal, tally, say: () => undefined }
  const plan: SourcePlan = { from: { kind: 'wide', seed: 1 }, countMax: Number.POSITIVE_INFINITY, key: undefined }
  let count = 0
  for await (const _ of sourceLogs(plan, world)) if (++count === 10) controller.abort()
  assert.equal(count, 10)
})

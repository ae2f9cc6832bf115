/** `produce` against an emulator: what it says it stored is stored. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { produce } from '../../src/cli/produce.ts'
import { type EmulatorHandle, startEmulator } from '../../src/emulator/start.ts'
import { realTimers } from '../../src/real-world.ts'
import { eventually } from '../support/calls.ts'
import { captureWorld, startCli } from './command.ts'
import { storedCount, storedGroups, storedPartitions, values } from './stored.ts'

const TIMEOUT = { timeout: 30_000 }
const PARTITION_COUNT = 2

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cls-produce-'))
})
after(() => rm(folder, { recursive: true }))

async function withEmulator(use: (emulator: EmulatorHandle, env: Record<string, string>) => Promise<void>) {
  const emulator = await startEmulator({ topicCount: 2, partitionCount: PARTITION_COUNT })
  try {
    await use(emulator, envOf(emulator))
  } finally {
    await emulator.stop()
  }
}

function envOf({ endpoint, secretId, secretKey, topicIds }: EmulatorHandle): Record<string, string> {
  return {
    CLS_ENDPOINT: endpoint,
    CLS_SECRET_ID: secretId,
    CLS_SECRET_KEY: secretKey,
    CLS_TOPIC_IDS: topicIds.join(',')
  }
}

test('every line of a file is stored once, over all topics, odd ones as they are', TIMEOUT, async () => {
  const lines = Array.from(
    { length: 5000 },
    (_, id) => `10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /${id} HTTP/1.1" 200 1 "-" "日志"`
  )
  const path = join(folder, 'access.log')
  await writeFile(path, `${lines.join('\n')}\n\nnot an access log line\n`)
  await withEmulator(async (emulator, env) => {
    const world = captureWorld({ env, cwd: folder })
    const startedMs = Date.now()
    await produce({ file: 'access.log' }, world)
    assert.match(world.out(), /^5,001 logs \(\d\.\d\d MB\) uploaded to 2 topics in \d+\.\d+ s\n$/)
    const [one = '', two = ''] = emulator.topicIds
    const [first, second] = [await storedGroups(emulator, one), await storedGroups(emulator, two)]
    const paths = [...values(first, 'path'), ...values(second, 'path')]
    assert.deepEqual(new Set(paths), new Set(lines.map((_, id) => `/${id}`)))
    assert.equal(paths.length, 5000)
    assert.deepEqual(values([...first, ...second], 'message'), ['not an access log line'])
    assert.deepEqual(values([...first, ...second], 'id'), [])
    const times = new Set([...first, ...second].flatMap(({ logs }) => logs.map(({ time }) => Number(time))))
    const [lineMs = 0, nowMs = 0] = [...times].sort((a, b) => a - b)
    assert.equal(lineMs, Date.UTC(2015, 4, 17, 10, 5, 3), 'the time that the line tells')
    assert.ok(times.size === 2 && nowMs >= startedMs && nowMs <= Date.now(), 'or else that of its upload')
    assert.equal(values(first, 'path').length, 2500)
    assert.equal(first[0]?.filename, 'access.log')
  })
})

test('made-up logs are as many as asked, and the same for the same seed', TIMEOUT, async () => {
  await withEmulator(async (emulator, env) => {
    const [one = '', two = ''] = emulator.topicIds
    for (const topic of [one, two]) {
      const world = captureWorld({ env })
      await produce({ topic: [topic], count: '1234', seed: '5' }, world)
      assert.match(world.out(), /^1,234 logs \(0\.\d\d MB\) uploaded to 1 topic in/)
      assert.match(world.err(), /seed 5/)
    }
    const [first, second] = [await storedGroups(emulator, one), await storedGroups(emulator, two)]
    assert.equal(values(first, 'path').length, 1234)
    for (const key of ['ip', 'path', 'agent', 'referrer']) {
      assert.deepEqual(values(first, key).sort(), values(second, key).sort())
    }
  })
})

test('a rate without a count goes on until stopped, and says what is stored', TIMEOUT, async () => {
  await withEmulator(async (emulator, env) => {
    const controller = new AbortController()
    const [topic = ''] = emulator.topicIds
    const world = captureWorld({ env, stop: controller.signal })
    const producing = produce({ topic: [topic], rate: '2000', seed: '1' }, world)
    await eventually(async () => {
      const { topics } = await emulator.snapshot()
      return topics[0]?.partitions.some(({ storedBytes }) => storedBytes > 0) === true
    })
    controller.abort()
    await producing
    const said = /^stopped: ([\d,]+) logs \(/.exec(world.out())?.[1]?.replaceAll(',', '')
    assert.equal(values(await storedGroups(emulator, topic), 'path').length, Number(said))
  })
})

test('NDJSON through the command line: every field as it was written, under the time it tells', TIMEOUT, async () => {
  const path = join(folder, 'events.ndjson')
  const lines = Array.from({ length: 50 }, (_, id) => `{"id":${id},"n":9007199254740993.10,"at":${1_769_846_400 + id}}`)
  await writeFile(path, lines.join('\r\n'))
  await withEmulator(async (emulator, env) => {
    const world = captureWorld({ env })
    await produce({ file: path, 'time-field': 'at' }, world)
    const groups = (await storedPartitions(emulator)).flatMap(stored => stored.groups)
    assert.deepEqual(new Set(values(groups, 'id')), new Set(lines.map((_, id) => String(id))))
    assert.deepEqual(new Set(values(groups, 'n')), new Set(['9007199254740993.10']))
    for (const { time, contents } of groups.flatMap(({ logs }) => logs)) {
      assert.equal(time, (1_769_846_400n + BigInt(contents[0]?.value ?? '-1')) * 1000n)
    }
  })
})

test('logs of a key are in one partition, in order, also where uploads are throttled', TIMEOUT, async () => {
  const path = join(folder, 'keyed.ndjson')
  const lines = Array.from({ length: 4000 }, (_, id) => `{"id":${id},"user":"u${(id * id) % 61}"}`)
  await writeFile(path, lines.join('\n'))
  const emulator = await startEmulator({ topicCount: 2, partitionCount: 4 })
  try {
    await emulator.setFaults([
      { action: 'structuredlog', every: 3, fault: { kind: 'error', code: 'SpeedQuotaExceed' } }
    ])
    const world = captureWorld({ env: { ...envOf(emulator), CLS_LOG_LEVEL: 'error' } })
    await produce({ file: path, 'key-field': 'user' }, world)
    assert.match(world.out(), /^4,000 logs .*\n {2}uploads tried again: \d+\n$/)
    const homes = new Map<string, number>()
    const used = new Set<number>()
    let found = 0
    for (const [home, { groups }] of (await storedPartitions(emulator)).entries()) {
      const users = values(groups, 'user')
      const last = new Map<string, number>()
      for (const [index, id] of values(groups, 'id').entries()) {
        const user = users[index] ?? ''
        assert.equal(homes.get(user) ?? home, home, `${user} is in two partitions`)
        assert.ok(Number(id) > (last.get(user) ?? -1), `${user} is out of order`)
        homes.set(user, home)
        last.set(user, Number(id))
        used.add(home)
        found++
      }
    }
    assert.equal(found, 4000)
    assert.ok(used.size >= 6, `${used.size} of 8 partitions have keys`)
  } finally {
    await emulator.stop()
  }
})

test('one key for all logs puts them into one partition, in order', TIMEOUT, async () => {
  await withEmulator(async (emulator, env) => {
    const [topic = ''] = emulator.topicIds
    await produce({ topic: [topic], key: 'all', count: '3000', seed: '1', generate: 'app' }, captureWorld({ env }))
    const used = (await storedPartitions(emulator)).filter(({ groups }) => groups.length > 0)
    assert.deepEqual(
      used.map(({ groups }) => values(groups, 'trace_id').length),
      [3000]
    )
    const world = captureWorld({ env })
    await assert.rejects(produce({ key: 'all', count: '10' }, world), {
      code: 'OPTIONS_INVALID',
      message: /one --topic/
    })
    assert.equal(world.out(), '')
  })
})

test(
  'a lost answer with --on-unsure stop: it fails, nothing is sent twice, and the doubt is told',
  TIMEOUT,
  async () => {
    await withEmulator(async (emulator, env) => {
      const [topic = ''] = emulator.topicIds
      await emulator.setFaults([
        { action: 'structuredlog', after: 1, times: 1, fault: { kind: 'drop', when: 'answer' } }
      ])
      const world = captureWorld({ env })
      const args = { topic: [topic], count: '3000', seed: '1', 'on-unsure': 'stop' }
      await assert.rejects(produce(args, world), { code: 'API_UNREACHABLE' })
      assert.match(world.out(), /^1,000 logs .*\n {2}1,000 logs may or may not be stored/)
      assert.ok(!world.out().includes('duplicates'))
      assert.equal(await storedCount(emulator), 2000)
    })
  }
)

test('after a stop, what was read and could not be sent is told, and the command fails', TIMEOUT, async () => {
  await withEmulator(async (emulator, env) => {
    await emulator.suspend()
    const controller = new AbortController()
    const world = captureWorld({
      env: { ...env, CLS_LOG_LEVEL: 'error' },
      stop: controller.signal,
      // The grace of 3 s, but not the second after which a line of progress comes.
      timers: { ...realTimers, after: (ms, fire) => realTimers.after(ms >= 3000 && ms < 5000 ? 50 : ms, fire) }
    })
    const producing = produce({ rate: '1000', seed: '1' }, world)
    producing.catch(() => undefined)
    await eventually(() => world.err().includes('0 logs uploaded'))
    controller.abort(new Error('stopped'))
    await assert.rejects(producing, { code: 'API_TIMEOUT', message: /not done 3000 ms after the stop/ })
    assert.match(world.out(), /^stopped: 0 logs .*\n {2}uploads tried again: .*\n {2}\d+ logs read, but not stored\n/)
    await emulator.resume()
    assert.equal(await storedCount(emulator), 0)
  })
})

test('all bad options come in one error, before anything is sent', TIMEOUT, async () => {
  const world = captureWorld({ env: { CLS_ENDPOINT: 'http://127.0.0.1:1' } })
  await assert.rejects(produce({ count: '0', rate: 'fast', file: 'f', seed: '3' }, world), error => {
    assert.ok(error instanceof Error)
    for (const part of ['--count', '--rate', '--file and --seed', 'credentials is missing', 'topicIds is missing']) {
      assert.ok(error.message.includes(part), part)
    }
    return true
  })
  assert.equal(world.out(), '')
})

test('flags that contradict each other, or are about nothing, are refused', TIMEOUT, async () => {
  const env = { CLS_ENDPOINT: 'http://127.0.0.1:1', CLS_SECRET_ID: 'i', CLS_SECRET_KEY: 'k', CLS_TOPIC_IDS: 't' }
  const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ file: 'f', generate: 'app' }, /--file and --generate contradict/],
    [{ format: 'ndjson' }, /--format is about a file/],
    [{ 'time-field': 'at' }, /--time-field is about a file/],
    [{ 'on-bad-line': 'stop' }, /--on-bad-line is about a file/],
    [{ file: 'f', format: 'lines', 'on-bad-line': 'stop' }, /--on-bad-line is about NDJSON/],
    [{ file: 'f', 'time-unit': 'ms' }, /--time-unit needs --time-field/],
    [{ key: 'a', 'key-field': 'b' }, /--key and --key-field contradict/],
    [{ 'on-unsure': 'pray' }, /--on-unsure/],
    [{ generate: 'poem' }, /--generate/]
  ]
  for (const [args, message] of cases) {
    await assert.rejects(produce(args, captureWorld({ env })), { code: 'OPTIONS_INVALID', message })
  }
})

test('a file that cannot be read is an error, and what went before it is told', TIMEOUT, async () => {
  await withEmulator(async (_, env) => {
    const world = captureWorld({ env })
    await assert.rejects(produce({ file: '/no/such/file' }, world), { code: 'FILE_UNREADABLE' })
    assert.match(world.out(), /^0 logs \(/)
  })
})

test('a refused key fails with what the service said', TIMEOUT, async () => {
  await withEmulator(async (_, env) => {
    const world = captureWorld({ env: { ...env, CLS_SECRET_KEY: 'wrong-secret-of-mine' } })
    await assert.rejects(produce({ count: '10' }, world), { code: 'API_UNAUTHORIZED' })
    assert.ok(!(world.out() + world.err()).includes('wrong-secret-of-mine'), 'I9: the secret is not printed')
  })
})

test('SIGTERM ends `produce` in order with exit code 0 and the number stored', TIMEOUT, async t => {
  await withEmulator(async (emulator, env) => {
    const [topic = ''] = emulator.topicIds
    const cli = startCli(['produce', '--topic', topic, '--rate', '500'], { env, signal: t.signal })
    await cli.seen(/[1-9][\d,]* logs uploaded, /)
    cli.child.kill('SIGTERM')
    assert.deepEqual(await cli.ended, { code: 0, signal: null })
    const said = /^stopped: ([\d,]+) logs \(/m.exec(cli.out())?.[1]?.replaceAll(',', '')
    assert.equal(values(await storedGroups(emulator, topic), 'path').length, Number(said))
  })
})

test('`produce --file -` takes standard input', TIMEOUT, async t => {
  await withEmulator(async (emulator, env) => {
    const [topic = ''] = emulator.topicIds
    const args = ['produce', '--file', '-', '--topic', topic]
    const cli = startCli(args, { env, signal: t.signal, input: 'first\n第二\n' })
    assert.deepEqual(await cli.ended, { code: 0, signal: null })
    assert.match(cli.out(), /^2 logs \(0\.00 MB\) uploaded to 1 topic/)
    assert.deepEqual(values(await storedGroups(emulator, topic), 'message').sort(), ['first', '第二'])
  })
})

test('a source that stays open: logs go out within about a second, and SIGTERM loses none', TIMEOUT, async t => {
  await withEmulator(async (emulator, env) => {
    const [topic = ''] = emulator.topicIds
    const args = ['produce', '--file', '-', '--topic', topic]
    const cli = startCli(args, { env, signal: t.signal, input: 'one\ntwo\nhalf a li', keepsInputOpen: true })
    await eventually(async () => (await storedCount(emulator)) >= 2)
    cli.child.kill('SIGTERM')
    assert.deepEqual(await cli.ended, { code: 0, signal: null })
    assert.match(cli.out(), /^stopped: 2 logs .*\n {2}of the file, all lines up to line 2 are stored\n$/)
    assert.deepEqual(values(await storedGroups(emulator, topic), 'message').sort(), ['one', 'two'])
  })
})

/** `produce` against an emulator: what it says it stored is stored. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { produce } from '../../src/cli/produce.ts'
import { decompress } from '../../src/cls/compression.ts'
import { isRecord, parseJson } from '../../src/cls/json.ts'
import { decodeLogGroup, decodeMessageHeader, type LogGroup, MESSAGE_HEADER_BYTES } from '../../src/cls/log-group.ts'
import { createService, type Service } from '../../src/cls/service.ts'
import { type EmulatorHandle, startEmulator } from '../../src/emulator/start.ts'
import { createLogger } from '../../src/observe/logger.ts'
import { OPTIONS } from '../../src/options.ts'
import { realClock, realRandom, realTimers } from '../../src/real-world.ts'
import { captureWorld, startCli } from './command.ts'

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
    await use(emulator, {
      CLS_ENDPOINT: emulator.endpoint,
      CLS_SECRET_ID: emulator.secretId,
      CLS_SECRET_KEY: emulator.secretKey,
      CLS_TOPIC_IDS: emulator.topicIds.join(',')
    })
  } finally {
    await emulator.stop()
  }
}

/** Everything in one topic, as pulled by the data API. */
async function storedGroups(emulator: EmulatorHandle, topicId: string): Promise<LogGroup[]> {
  const service = createService(
    {
      endpoint: emulator.endpoint,
      region: emulator.region,
      network: 'public',
      credentials: { secretId: emulator.secretId, secretKey: emulator.secretKey },
      logsetId: emulator.logsetId,
      bodyBytesMax: OPTIONS.bodyBytesMax.default,
      requestTimeoutMs: 5000,
      callTimeoutMs: 10_000
    },
    { clock: realClock, timers: realTimers, random: realRandom, log: createLogger({ level: 'silent' }) }
  )
  try {
    const groups: LogGroup[] = []
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      groups.push(...(await partitionGroups(service, topicId, partition)))
    }
    return groups
  } finally {
    await service.close()
  }
}

async function partitionGroups({ data }: Service, topicId: string, partition: number): Promise<LogGroup[]> {
  const groups: LogGroup[] = []
  for (let startOffset = 0n; ; ) {
    const request = { topicId, partition, startOffset, sizeBytes: 10 * 1024 * 1024 }
    const { bytes, byteCount, compression } = await data.pull(request, { signal: new AbortController().signal })
    const json = parseJson(decompress(new Uint8Array(bytes, 0, byteCount), compression, 64e6).toString())
    const response = isRecord(json) && isRecord(json.Response) ? json.Response : assert.fail('no response')
    const messages = Array.isArray(response.Message) ? response.Message : []
    if (messages.length === 0) return groups
    for (const message of messages) {
      const decoded = Buffer.from(String(message), 'base64')
      const { payloadBytes } = decodeMessageHeader(decoded)
      groups.push(decodeLogGroup(decoded.subarray(MESSAGE_HEADER_BYTES, MESSAGE_HEADER_BYTES + payloadBytes)))
    }
    startOffset = BigInt(String(response.NextOffset))
  }
}

function values(groups: readonly LogGroup[], key: string): string[] {
  return groups.flatMap(({ logs }) =>
    logs.flatMap(({ contents }) => contents.flatMap(content => (content.key === key ? [content.value] : [])))
  )
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
    assert.match(world.out(), /^5,001 logs uploaded to 2 topics in \d+\.\d+ s\n$/)
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
      assert.match(world.out(), /^1,234 logs uploaded to 1 topic in/)
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
    let storedBytes = 0
    while (storedBytes === 0) {
      await new Promise(resolve => setImmediate(resolve))
      const { topics } = await emulator.snapshot()
      storedBytes = topics[0]?.partitions.reduce((sum, partition) => sum + partition.storedBytes, 0) ?? 0
    }
    controller.abort()
    await producing
    const said = /^stopped: ([\d,]+) logs uploaded/.exec(world.out())?.[1]?.replaceAll(',', '')
    assert.equal(values(await storedGroups(emulator, topic), 'path').length, Number(said))
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

test('a file that cannot be read is an error, and what went before it is told', TIMEOUT, async () => {
  await withEmulator(async (_, env) => {
    const world = captureWorld({ env })
    await assert.rejects(produce({ file: '/no/such/file' }, world), { code: 'FILE_UNREADABLE' })
    assert.match(world.out(), /^0 logs uploaded/)
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
    const said = /^stopped: ([\d,]+) logs uploaded/m.exec(cli.out())?.[1]?.replaceAll(',', '')
    assert.equal(values(await storedGroups(emulator, topic), 'path').length, Number(said))
  })
})

test('`produce --file -` takes standard input', TIMEOUT, async t => {
  await withEmulator(async (emulator, env) => {
    const [topic = ''] = emulator.topicIds
    const args = ['produce', '--file', '-', '--topic', topic]
    const cli = startCli(args, { env, signal: t.signal, input: 'first\n第二\n' })
    assert.deepEqual(await cli.ended, { code: 0, signal: null })
    assert.match(cli.out(), /^2 logs uploaded to 1 topic/)
    assert.deepEqual(values(await storedGroups(emulator, topic), 'message').sort(), ['first', '第二'])
  })
})

/** `run` as a process, against an emulator: results, endings, exit codes. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { produce } from '../../src/cli/produce.ts'
import { runOptions } from '../../src/cli/run.ts'
import { isRecord, parseJson } from '../../src/cls/json.ts'
import { type EmulatorHandle, startEmulator } from '../../src/emulator/start.ts'
import { captureWorld, startCli } from './command.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 2000

const COUNTING = `
export default function process(batch, context) {
  const statuses = {}
  for (const log of batch) statuses[log.get('status')] = (statuses[log.get('status')] ?? 0) + 1
  return { statuses, options: context.options }
}`
/** Fails the first batch of partition 0, and sets two logs of the first of partition 1 aside. */
const CHOOSY = `
export default function process(batch, { deadLetter }) {
  if (batch.startOffset !== 2n ** 53n) return
  if (batch.partition === 0) throw new Error('not this one')
  const [one, two] = batch
  deadLetter(one, 'odd')
  deadLetter(two, 'odd')
}`
const BLOCKED = `
export default async function process(_, { log }) { log.info('blocking'); await new Promise(resolve => setTimeout(resolve, 3_600_000)) }`

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cls-run-'))
  await writeFile(join(folder, 'count.mjs'), COUNTING)
  await writeFile(join(folder, 'blocked.mjs'), BLOCKED)
  await writeFile(join(folder, 'choosy.mjs'), CHOOSY)
  await writeFile(join(folder, 'throws.mjs'), 'export default { start () { throw 1 }, process () {} }')
})
after(() => rm(folder, { recursive: true }))

/** An emulator that holds `LOG_COUNT` logs, and the environment of a `run` that reads them all. */
async function withLogs(use: (emulator: EmulatorHandle, env: Record<string, string>) => Promise<void>) {
  const emulator = await startEmulator({ topicCount: 1, partitionCount: 2, startOffset: 2n ** 53n })
  try {
    const env = {
      CLS_ENDPOINT: emulator.endpoint,
      CLS_SECRET_ID: emulator.secretId,
      CLS_SECRET_KEY: emulator.secretKey,
      CLS_LOGSET_ID: emulator.logsetId,
      CLS_TOPIC_IDS: emulator.topicIds.join(','),
      CLS_GROUP: 'by-variable',
      CLS_PROCESSOR: 'count.mjs',
      CLS_START_FROM: 'begin',
      CLS_HEARTBEAT_INTERVAL_MS: '1000',
      CLS_THREADS: '1',
      // Small pulls: several batches of each partition.
      CLS_PULL_BYTES: '65536'
    }
    await produce({ count: String(LOG_COUNT), seed: '1' }, captureWorld({ env }))
    await use(emulator, env)
  } finally {
    await emulator.stop()
  }
}

async function uncommitted(emulator: EmulatorHandle, group: string): Promise<string[]> {
  const { topics, groups } = await emulator.snapshot()
  const found = groups.find(candidate => candidate.group === group)
  assert.ok(found !== undefined, `no group ${group}`)
  return found.partitions.flatMap(({ topicId, partition, committedOffset }) => {
    const end = topics.find(topic => topic.topicId === topicId)?.partitions[partition]?.endOffset
    return committedOffset === end ? [] : [`${partition}: ${committedOffset} of ${end}`]
  })
}

test('the closing line tells what was skipped and what was set aside', TIMEOUT, t =>
  withLogs(async (_, env) => {
    const flags = ['--processor', 'choosy.mjs', '--on-failure', 'skip', '--attempts', '1', '--stop-at', 'now']
    const cli = startCli(['run', ...flags, '--dead-letter-directory', 'letters'], {
      signal: t.signal,
      env,
      cwd: folder
    })
    assert.equal((await cli.ended).code, 0)
    const told = /^([\d,]+) logs in \d+ batches .* s; skipped: 1 batch, ([\d,]+) messages in all; dead letters: 2$/m
    const [, processed = '', messages = ''] = told.exec(cli.err()) ?? assert.fail(cli.err())
    // A message of these holds one log or more.
    const skippedCount = Number(messages.replace(',', ''))
    assert.ok(skippedCount > 0 && skippedCount <= LOG_COUNT - Number(processed.replace(',', '')))
    assert.match(cli.err(), new RegExp(`WARN +skipped kind=batch topicId=\\S+ partition=0 .* messages=${messages} `))
    assert.match(cli.err(), /INFO +stopped .* skippedBatches=1 skippedMessages=\d+ deadLetters=2$/m)
  })
)

test('a bounded run prints each result once, commits everything, and exits 0 by itself', TIMEOUT, async t => {
  await withLogs(async (emulator, env) => {
    const args = [
      'run',
      '--stop-at',
      'now',
      '--print-results',
      '--processor-options',
      '{"a":[1]}',
      '--group',
      'by-flag'
    ]
    const cli = startCli(args, { env, cwd: folder, signal: t.signal })
    assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err())
    const lines = cli.out().trimEnd().split('\n').map(parseJson)
    let counted = 0
    for (const line of lines) {
      assert.ok(isRecord(line) && isRecord(line.result) && isRecord(line.result.statuses))
      assert.ok(BigInt(String(line.startOffset)) >= 2n ** 53n)
      assert.deepEqual(line.result.options, { a: [1] })
      counted += Object.values(line.result.statuses).reduce<number>((sum, lines) => sum + Number(lines), 0)
    }
    assert.equal(counted, LOG_COUNT)
    assert.ok(lines.length >= 4, `${lines.length} batches`)
    assert.match(cli.err(), new RegExp(`^2,000 logs in ${lines.length} batches .* processed in .* s$`, 'm'))
    assert.deepEqual(await uncommitted(emulator, 'by-flag'), [])
    assert.ok(!cli.err().includes(emulator.secretKey), 'I9')
  })
})

test(
  'a config file gives what neither flags nor variables do, its processor seen from its folder',
  TIMEOUT,
  async t => {
    await withLogs(async (emulator, env) => {
      const inner = join(folder, 'inner')
      await mkdir(inner)
      await writeFile(join(inner, 'count.mjs'), COUNTING)
      const config = [
        'group: by-file',
        'processor: ./count.mjs',
        'stopAt: now',
        'processorOptions: {from: file}',
        'threads: 2'
      ]
      await writeFile(join(inner, 'consumer.yaml'), config.join('\n'))
      const { CLS_GROUP: _, CLS_PROCESSOR: __, ...rest } = env
      // The working folder has a processor of that name too, which blocks.
      const elsewhere = join(folder, 'elsewhere')
      await mkdir(elsewhere)
      await writeFile(join(elsewhere, 'count.mjs'), BLOCKED)
      const args = ['run', '--config', '../inner/consumer.yaml', '--print-results']
      const cli = startCli(args, { env: rest, cwd: elsewhere, signal: t.signal })
      assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err())
      const lines = cli.out().trimEnd().split('\n').map(parseJson)
      for (const line of lines) assert.ok(isRecord(line) && isRecord(line.result) && isRecord(line.result.options))
      assert.match(cli.out(), /"options":\{"from":"file"\}/)
      assert.match(cli.err(), new RegExp(`^2,000 logs in ${lines.length} batches`, 'm'))
      assert.deepEqual(await uncommitted(emulator, 'by-file'), [])
    })
  }
)

test('SIGTERM stops in order: exit 0, and what was processed is committed', TIMEOUT, async t => {
  await withLogs(async (emulator, env) => {
    // Commits only at the end, so that a stop without one would show.
    const args = ['run', '--print-results', '--commit-interval-ms', '300000']
    const cli = startCli(args, { env, cwd: folder, signal: t.signal })
    const processed = () =>
      [...cli.out().matchAll(/"logCount":(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0)
    while (processed() < LOG_COUNT) await cli.seenMore()
    cli.child.kill('SIGTERM')
    assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err())
    assert.equal(processed(), LOG_COUNT)
    assert.deepEqual(await uncommitted(emulator, 'by-variable'), [])
  })
})

test('a second signal ends a `run` whose processor hangs, at once', TIMEOUT, async t => {
  await withLogs(async (_, env) => {
    const args = ['run', '--processor', 'blocked.mjs', '--drain-timeout-ms', '3600000']
    const cli = startCli(args, { env, cwd: folder, signal: t.signal })
    await cli.seen(/ assigned /)
    cli.child.kill('SIGINT')
    await cli.seen(/stopping in order/)
    cli.child.kill('SIGTERM')
    assert.deepEqual(await cli.ended, { code: 143, signal: null })
  })
})

test('a stop that a processor holds up says what is waited for, and how long at most', TIMEOUT, async t => {
  await withLogs(async (_, env) => {
    const args = ['run', '--processor', 'blocked.mjs', '--drain-timeout-ms', '5100', '--abort-grace-ms', '0']
    const cli = startCli(args, { env, cwd: folder, signal: t.signal })
    await cli.seen(/ blocking/)
    cli.child.kill('SIGINT')
    await cli.seen(/WARN +still stopping: waiting for open batches.* afterMs=50\d\d .*\/\d.* drainTimeoutMs=5100 /)
    assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err())
  })
})

test(
  'a reader of the results that goes away ends the run quietly, and nothing unread is committed',
  TIMEOUT,
  async t => {
    await withLogs(async (emulator, env) => {
      const cli = startCli(['run', '--print-results'], { env, cwd: folder, signal: t.signal })
      cli.child.stdout.destroy()
      assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err())
      assert.doesNotMatch(cli.err(), /EPIPE| ERROR /)
      const still = (await uncommitted(emulator, 'by-variable')).map(text => text.split(' of ')[0])
      assert.deepEqual(still, [`0: ${2n ** 53n}`, `1: ${2n ** 53n}`])
    })
  }
)

test('what stops a consumer is exit code 1, with what happened and what to do', TIMEOUT, async t => {
  await withLogs(async (emulator, env) => {
    for (const [change, args, expected] of [
      [{ CLS_SECRET_KEY: 'wrong-secret' }, [], /^API_UNAUTHORIZED: .*\nCheck CLS_SECRET_ID/m],
      [{ CLS_TOPIC_IDS: 'no-such-topic' }, [], /^API_NOT_FOUND: .*\nCheck the logset and topic ids/m],
      [{}, ['--threads', '1', '--processor', 'throws.mjs'], /^PROCESSOR_START_FAILED: .*\nMend what/m]
    ] as const) {
      const cli = startCli(['run', ...args], { env: { ...env, ...change }, cwd: folder, signal: t.signal })
      assert.deepEqual(await cli.ended, { code: 1, signal: null })
      assert.match(cli.err(), expected)
      assert.doesNotMatch(cli.err(), /\n\s+at |wrong-secret/)
      assert.ok(!cli.err().includes(emulator.secretKey), 'I9')
    }
  })
})

test('a signal while the server is down ends the run at once, with exit code 0', TIMEOUT, async t => {
  const env = { CLS_ENDPOINT: 'http://127.0.0.1:1', CLS_SECRET_ID: 'i', CLS_SECRET_KEY: 'k' }
  const patient = ['--call-timeout-ms', '3600000']
  const args = ['run', '--logset', 'l', '--topic', 't', '--group', 'g', '--processor', 'count.mjs', ...patient]
  const cli = startCli(args, { env, cwd: folder, signal: t.signal })
  await cli.seen(/ retried /)
  cli.child.kill('SIGINT')
  assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err())
})

const VALID = {
  CLS_REGION: 'ap-guangzhou',
  CLS_SECRET_ID: 'i',
  CLS_SECRET_KEY: 'k',
  CLS_LOGSET_ID: 'l',
  CLS_TOPIC_IDS: 't',
  CLS_GROUP: 'g',
  CLS_PROCESSOR: './p.js'
}

test('a relative processor is relative to the working folder, others stay as they are', () => {
  const processorOf = (processor: string) => runOptions({ processor }, VALID, '/work-folder').settings.processor
  assert.equal(processorOf('./p.js'), '/work-folder/p.js')
  assert.equal(processorOf('../p.js'), '/p.js')
  assert.equal(processorOf('/abs/p.js'), '/abs/p.js')
  assert.equal(processorOf('file:///abs/p.js'), 'file:///abs/p.js')
})

test('a relative directory of dead letters is relative to the working folder, or the config file’s', async t => {
  const directoryOf = (args: Record<string, unknown>, cwd = '/work-folder') =>
    runOptions(args, VALID, cwd).settings.deadLetterDirectory
  assert.equal(directoryOf({ 'dead-letter-directory': 'dead' }), '/work-folder/dead')
  assert.equal(directoryOf({ 'dead-letter-directory': '/dead' }), '/dead')
  assert.equal(directoryOf({}), undefined)
  const folder = await mkdtemp(join(tmpdir(), 'cls-run-'))
  t.after(() => rm(folder, { recursive: true }))
  const config = join(folder, 'c.yaml')
  await writeFile(config, 'deadLetterDirectory: dead\n')
  assert.equal(directoryOf({ config }), join(folder, 'dead'))
  assert.equal(directoryOf({ config, 'dead-letter-directory': 'dead' }), '/work-folder/dead')
})

test('processor options are JSON, by flag or variable, and bad JSON is told with all other problems', () => {
  const optionsOf = (args: Record<string, unknown>, env = {}) =>
    runOptions(args, { ...VALID, ...env }, '/').settings.processorOptions
  assert.deepEqual(optionsOf({ 'processor-options': '{"key":1}' }), { key: 1 })
  assert.deepEqual(optionsOf({}, { CLS_PROCESSOR_OPTIONS: '[2]' }), [2])
  assert.deepEqual(optionsOf({ 'processor-options': '3' }, { CLS_PROCESSOR_OPTIONS: '[2]' }), 3)
  assert.equal(optionsOf({}), undefined)
  assert.throws(() => optionsOf({ 'processor-options': '{key:1}', threads: '0' }), {
    code: 'OPTIONS_INVALID',
    message: /--processor-options is a text of length 7, expected JSON[\s\S]*--threads is "0"/
  })
})

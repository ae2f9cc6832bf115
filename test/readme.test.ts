/** The README's code runs as it stands, against an emulator. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'
import { type EmulatorHandle, startEmulator } from '../src/emulator/start.ts'
import { readExamples, readReadme } from './support/readme.ts'
import { ROOT } from './support/source.ts'

const CLI = join(import.meta.dirname, '../src/cli.js')
const LOG_COUNT = 2000
const RUN_TIMEOUT_MS = 60_000

const folder = mkdtempSync(join(tmpdir(), 'cls-consumer-readme-'))
let emulator: EmulatorHandle
let env: NodeJS.ProcessEnv

before(async () => {
  for (const { file, code } of readExamples(readReadme())) writeFileSync(join(folder, file), code)
  // As `npm install cls-consumer` would leave it; the package's own `exports` are resolved.
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
  symlinkSync(ROOT, join(folder, 'node_modules/cls-consumer'))
  const bin = `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`
  writeFileSync(join(folder, 'node_modules/.bin/cls-consumer'), bin, { mode: 0o755 })
  emulator = await startEmulator({ topicCount: 2, partitionCount: 2, process: 'child' })
  env = {
    ...process.env,
    PATH: `${join(folder, 'node_modules/.bin')}${delimiter}${process.env.PATH}`,
    CLS_ENDPOINT: emulator.endpoint,
    CLS_SECRET_ID: emulator.secretId,
    CLS_SECRET_KEY: emulator.secretKey,
    CLS_LOGSET_ID: emulator.logsetId,
    CLS_TOPIC_IDS: emulator.topicIds.join(','),
    CLS_HEARTBEAT_INTERVAL_MS: '1000'
  }
  const upload = await run(process.execPath, [CLI, 'produce', '--count', String(LOG_COUNT), '--seed', '7'])
  assert.equal(upload.status, 0, upload.output)
})

after(async () => {
  await emulator?.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('the examples of the README are found', () => {
  assert.deepEqual(
    readExamples(readReadme()).map(({ file }) => file),
    [
      'count-errors.mjs',
      'set-aside.mjs',
      'failed-reads.mjs',
      'to-files.mjs',
      'to-files.sh',
      'consume.mjs',
      'share-threads.mjs',
      'consume.sh',
      'produce.sh',
      'per-minute.mjs',
      'with-emulator.mjs',
      'change-emulator.sh'
    ]
  )
})

test('to-files.sh writes every log that was uploaded', { timeout: 2 * RUN_TIMEOUT_MS }, async () => {
  const { status, output } = await run('sh', ['to-files.sh'])
  assert.equal(status, 0, output)
  const files = readdirSync(join(folder, 'logs'))
  for (const file of files) assert.match(file, /^partition-[01]\.ndjson$/)
  const lines = files.flatMap(file =>
    readFileSync(join(folder, 'logs', file), 'utf8')
      .trimEnd()
      .split('\n')
  )
  assert.equal(lines.length, LOG_COUNT)
  for (const line of lines) assert.equal(typeof JSON.parse(line), 'object', line)
})

test('consume.mjs counts the errors that were uploaded', { timeout: 2 * RUN_TIMEOUT_MS }, async () => {
  const { status, output } = await run(process.execPath, ['consume.mjs'])
  assert.equal(status, 0, output)
  const errors = Number(/^(\d+) errors$/m.exec(output)?.[1])
  assert.ok(errors > 0 && errors < LOG_COUNT / 10, output)
})

test('failed-reads.mjs picks what it says, with its time', { timeout: 2 * RUN_TIMEOUT_MS }, async () => {
  const consume = readFileSync(join(folder, 'consume.mjs'), 'utf8')
    .replace('count-errors.mjs', 'failed-reads.mjs')
    .replace('error-count', 'failed-reads')
    .replace(/errors \+= .*/, 'for (const log of result) console.log(JSON.stringify(log))')
  writeFileSync(join(folder, 'consume-failed.mjs'), consume)
  const { status, output } = await run(process.execPath, ['consume-failed.mjs'])
  assert.equal(status, 0, output)
  const picked = output.split('\n').flatMap(line => (line.startsWith('{"ms"') ? [JSON.parse(line)] : []))
  assert.ok(picked.length > 0 && picked.length < LOG_COUNT / 10, output)
  for (const { ms, status: code, method } of picked) {
    assert.match(code, /^5/)
    assert.equal(method, 'GET')
    assert.ok(Math.abs(ms - Date.now()) < 24 * 3600 * 1000, `${ms} is no time of today`)
  }
})

test('consume.sh runs to its end', { timeout: 2 * RUN_TIMEOUT_MS }, async () => {
  const { status, output } = await run('sh', ['consume.sh'])
  assert.equal(status, 0, output)
})

test('share-threads.mjs reads every log twice, once for each consumer', { timeout: 2 * RUN_TIMEOUT_MS }, async () => {
  const { status, output } = await run(process.execPath, ['share-threads.mjs'])
  assert.equal(status, 0, output)
  assert.match(output, new RegExp(`^${LOG_COUNT} logs counted, ${LOG_COUNT} written$`, 'm'))
})

// Last of those that share the emulator: it uploads more.
test('produce.sh uploads a file with its fields, times and keys, and made-up logs', {
  timeout: 2 * RUN_TIMEOUT_MS
}, async () => {
  const events = Array.from({ length: 50 }, (_, index) => ({
    ts: 1_700_000_000 + index,
    user: `u${index % 5}`,
    n: index
  }))
  writeFileSync(join(folder, 'events.ndjson'), events.map(event => `${JSON.stringify(event)}\n`).join(''))
  const { status, output } = await run('sh', ['produce.sh'])
  assert.equal(status, 0, output)
  assert.match(output, /^50 logs .*uploaded/m)
  assert.match(output, /^1,000 logs .*uploaded/m)
})

/** `cls-consumer run` from the beginning to the end of now. */
function runProcessor(name: string, ...flags: string[]): Promise<{ status: number | null; output: string }> {
  const common = ['run', '--group', name, '--processor', `./${name}.mjs`, '--start-from', 'begin', '--stop-at', 'now']
  return run(process.execPath, [CLI, ...common, ...flags])
}

test('set-aside.mjs sets aside the logs without a status, which `dead-letters` shows', {
  timeout: 3 * RUN_TIMEOUT_MS
}, async () => {
  const { status, output } = await runProcessor('set-aside', '--dead-letter-directory', 'letters')
  assert.equal(status, 0, output)
  const listed = await run(process.execPath, [CLI, 'dead-letters', 'list', '--dir', 'letters'])
  assert.equal(listed.status, 0, listed.output)
  // The events and the lines of an application that produce.sh has uploaded.
  assert.match(listed.output, /it has no status .*\n1,050 dead letters in /)
})

test('per-minute.mjs counts every log once', { timeout: 2 * RUN_TIMEOUT_MS }, async () => {
  const { status, output } = await runProcessor('per-minute', '--commit-mode', 'manual')
  assert.equal(status, 0, output)
  const counts = [...output.matchAll(/counted .*count=(\d+)/g)].map(([, count]) => Number(count))
  const all = counts.reduce((sum, count) => sum + count, 0)
  assert.equal(all, Number(/^([\d,]+) logs in/m.exec(output)?.[1]?.replaceAll(',', '')), output)
})

test('with-emulator.mjs starts and ends an emulator', { timeout: 2 * RUN_TIMEOUT_MS }, async () => {
  const { status, output } = await run(process.execPath, ['with-emulator.mjs'])
  assert.equal(status, 0, output)
  assert.match(output, /http:\/\/127\.0\.0\.1:\d+/)
})

// It leaves the emulator that is shared with faults: nothing may come after it that pulls.
test('change-emulator.sh changes faults and settings of an emulator that runs', {
  timeout: 2 * RUN_TIMEOUT_MS,
  skip: spawnSync('curl', ['--version']).status === 0 ? false : 'there is no curl'
}, async () => {
  const { status, output } = await run('sh', ['change-emulator.sh'])
  assert.equal(status, 0, output)
  const { faults, rateLimits, quirks } = await emulator.snapshot()
  assert.deepEqual(faults, [
    { rule: { action: 'pull_log', times: 5, fault: { kind: 'drop', when: 'body' } }, metCount: 0, struckCount: 0 }
  ])
  assert.deepEqual([rateLimits, quirks.nextOffset], ['service', 'last'])
})

function run(command: string, args: readonly string[]): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: folder, env, timeout: RUN_TIMEOUT_MS, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', chunk => {
      output += chunk
    })
    child.stderr.on('data', chunk => {
      output += chunk
    })
    child.on('error', reject)
    child.on('close', status => resolve({ status, output }))
  })
}

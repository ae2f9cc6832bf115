/**
 * `produce` as a process of its own, against an emulator in another, which plays faults: who is stored how often, judged
 * by the ids of the logs.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type EmulatorHandle, type Fault, type FaultRule, startEmulator } from '../../src/emulator/start.ts'
import { startCli } from './command.ts'
import { storedCount, storedPartitions, values } from './stored.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 12_345

let folder = ''
let file = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cls-produce-faults-'))
  file = join(folder, 'events.ndjson')
  const lines = Array.from({ length: LOG_COUNT }, (_, id) => `{"id":${id},"user":"u${id % 97}","text":"日志 ${id}"}`)
  await writeFile(file, `${lines.join('\n')}\n`)
})
after(() => rm(folder, { recursive: true }))

interface Ran {
  readonly emulator: EmulatorHandle
  readonly code: number | null
  readonly out: string
  readonly err: string
  /** How often each id is stored. */
  copies(): Promise<number[]>
}

async function produceUnder(
  faults: readonly FaultRule[],
  args: readonly string[],
  signal: AbortSignal,
  judge: (ran: Ran) => Promise<void>
): Promise<void> {
  const emulator = await startEmulator({ process: 'child', topicCount: 2, partitionCount: 3 })
  try {
    await emulator.setFaults(faults)
    const { endpoint, secretId, secretKey, topicIds } = emulator
    const env = {
      CLS_ENDPOINT: endpoint,
      CLS_SECRET_ID: secretId,
      CLS_SECRET_KEY: secretKey,
      CLS_TOPIC_IDS: topicIds.join(','),
      CLS_LOG_LEVEL: 'error'
    }
    const cli = startCli(['produce', '--file', file, ...args], { env, signal })
    const { code } = await cli.ended
    const copies = async () => {
      const counts = new Array<number>(LOG_COUNT).fill(0)
      for (const { groups } of await storedPartitions(emulator)) {
        for (const id of values(groups, 'id')) counts[Number(id)] = (counts[Number(id)] ?? 0) + 1
      }
      return counts
    }
    await judge({ emulator, code, out: cli.out(), err: cli.err(), copies })
  } finally {
    await emulator.stop()
  }
}

/** The number before some words of the closing lines; 0 where they are not said. */
function said(out: string, words: RegExp): number {
  const found = new RegExp(`([\\d,]+) ${words.source}`).exec(out)?.[1]
  return Number(found?.replaceAll(',', '') ?? 0)
}

function upload(fault: Fault, rest: Partial<FaultRule> = {}): FaultRule {
  return { action: 'structuredlog', fault, ...rest }
}

for (const args of [[], ['--key-field', 'user']]) {
  test(
    `throttled again and again${args.length === 0 ? '' : ', with keys'}: every log is stored once, and so it says`,
    TIMEOUT,
    async t => {
      const faults = [
        upload({ kind: 'error', code: 'SpeedQuotaExceed' }, { every: 2, times: 10 }),
        upload({ kind: 'error', code: 'RequestLimitExceeded', status: 429 }, { times: 3 })
      ]
      await produceUnder(faults, args, t.signal, async ({ code, out, err, copies }) => {
        assert.equal(code, 0, err)
        assert.match(
          out,
          /^12,345 logs \(\d\.\d\d MB\) uploaded to 2 topics in [\d.]+ s\n {2}uploads tried again: \d+\n$/
        )
        assert.deepEqual(await copies(), new Array(LOG_COUNT).fill(1))
      })
    }
  )
}

test('a server that is down at first, then back: every log is stored once', TIMEOUT, async t => {
  const emulator = await startEmulator({ process: 'child', topicCount: 1, partitionCount: 2 })
  try {
    await emulator.suspend()
    const { endpoint, secretId, secretKey, topicIds } = emulator
    const env = { CLS_ENDPOINT: endpoint, CLS_SECRET_ID: secretId, CLS_SECRET_KEY: secretKey }
    const args = ['produce', '--file', file, '--topic', topicIds[0] ?? '', '--on-unsure', 'stop']
    const cli = startCli(args, { env, signal: t.signal })
    await cli.seen(/retried.*ECONNREFUSED/)
    await emulator.resume()
    assert.deepEqual(await cli.ended, { code: 0, signal: null })
    assert.ok(!/duplicates|may or may not|not stored/.test(cli.out()), cli.out())
    assert.equal(await storedCount(emulator), LOG_COUNT)
  } finally {
    await emulator.stop()
  }
})

const lost: readonly (readonly [string, Fault])[] = [
  ['answer lost after it took effect', { kind: 'drop', when: 'answer' }],
  ['connection cut before it took effect', { kind: 'drop', when: 'before' }],
  ['page of a proxy with 502', { kind: 'status', status: 502 }],
  ['page with 200', { kind: 'status', status: 200 }]
]
for (const [name, fault] of lost) {
  test(`--on-unsure stop, ${name}: nothing is stored twice, every log is in one of three counts`, TIMEOUT, async t => {
    const faults = [upload(fault, { after: 4, times: 1 })]
    await produceUnder(faults, ['--on-unsure', 'stop'], t.signal, async ({ code, out, err, copies }) => {
      assert.equal(code, 1)
      assert.match(err, /^API_[A-Z]+: /m)
      const counts = await copies()
      assert.ok(Math.max(...counts) === 1, 'nothing twice')
      const [stored, doubt] = [said(out, /logs \(/), said(out, /logs may or may not be stored/)]
      const there = counts.filter(copiesOfOne => copiesOfOne === 1).length
      assert.ok(doubt > 0 && stored > 0, out)
      assert.ok(there === stored || there === stored + doubt, `${there} stored: ${out}`)
      assert.ok(!out.includes('duplicates'))
      // So that another run can send the rest: what it says of the file holds.
      const through = Number(/all lines up to line (\d+) are stored/.exec(out)?.[1])
      assert.ok(counts.slice(0, through).every(copiesOfOne => copiesOfOne === 1))
    })
  })
}

test('--on-unsure retry: no log is missing, and duplicates are at most what it says', TIMEOUT, async t => {
  // The delayed one is given up, sent again, and takes effect after all.
  const faults = [
    upload({ kind: 'drop', when: 'answer' }, { after: 1, times: 2 }),
    upload({ kind: 'drop', when: 'before' }, { after: 2, times: 1 }),
    upload({ kind: 'status', status: 503 }, { after: 3, times: 1 }),
    upload({ kind: 'error', code: 'SpeedQuotaExceed' }, { after: 4, times: 2 }),
    upload({ kind: 'delay', ms: 2500, when: 'before' }, { after: 6, times: 1 })
  ]
  const args = ['--request-timeout-ms', '2000']
  await produceUnder(faults, args, t.signal, async ({ emulator, code, out, err, copies }) => {
    assert.equal(code, 0, err)
    const duplicatesMax = said(out, /duplicates may be stored/)
    // Two answers were lost, and one upload came late: of each, all logs are there once more. How many those are is by
    // chance, since the last upload of a partition is smaller; the late one is there once its delay is over.
    const lateBy = Date.now() + 3000
    let counts = await copies()
    while (Date.now() < lateBy && counts.reduce((sum, copiesOfOne) => sum + copiesOfOne, 0) < LOG_COUNT + 2001) {
      assert.ok((await emulator.snapshot()).faults.length === faults.length)
      counts = await copies()
    }
    assert.ok(Math.max(...counts) > 1, 'a lost answer makes duplicates')
    assert.equal(Math.min(...counts), 1, 'no log is missing')
    const duplicateCount = counts.reduce((sum, copiesOfOne) => sum + copiesOfOne - 1, 0)
    assert.ok(duplicateCount <= duplicatesMax, `${duplicateCount} duplicates: ${out}`)
    assert.ok(duplicatesMax <= 5000, out)
    assert.ok(!/may or may not|not stored/.test(out), out)
  })
})

test('--on-bad-line stop: what came before the line is stored once, and the line is named', TIMEOUT, async t => {
  const bad = join(folder, 'bad.ndjson')
  await writeFile(bad, '{"id":0}\n{"id":1}\noops\n{"id":2}\n')
  const args = ['--file', bad, '--on-bad-line', 'stop']
  const emulator = await startEmulator({ topicCount: 1, partitionCount: 1 })
  try {
    const { endpoint, secretId, secretKey, topicIds } = emulator
    const env = { CLS_ENDPOINT: endpoint, CLS_SECRET_ID: secretId, CLS_SECRET_KEY: secretKey }
    const cli = startCli(['produce', '--topic', topicIds[0] ?? '', ...args], { env, signal: t.signal })
    assert.equal((await cli.ended).code, 2)
    assert.match(cli.err(), /FILE_UNREADABLE: line 3 is not a JSON object/)
    assert.match(cli.out(), /^2 logs .*\n {2}of the file, all lines up to line 2 are stored\n$/)
    assert.equal(await storedCount(emulator), 2)
  } finally {
    await emulator.stop()
  }
})

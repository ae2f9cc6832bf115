/** `run` where processing fails: exit codes, what the log says, and what `dead-letters` reads of it afterwards. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { produce } from '../../src/cli/produce.ts'
import { isRecord, parseJson } from '../../src/cls/json.ts'
import { type EmulatorHandle, startEmulator } from '../../src/emulator/start.ts'
import { captureWorld, type RunningCli, startCli } from './command.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 400
/** What the service has as the place of the first log. */
const START = 2n ** 53n

/** Fails where a batch is the first one of partition 0. */
const FAILING = `
export default function process(batch) {
  if (batch.partition === 0 && batch.startOffset === ${START}n) throw new Error('the sink is down')
  return { first: String(batch.startOffset) }
}`

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cls-failures-'))
  await writeFile(join(folder, 'failing.mjs'), FAILING)
  await writeFile(join(folder, 'a-file'), '')
  for (const policy of ['dead-letter', 'skipp']) {
    const module = `${FAILING.replace('default ', '')}\nprocess.onFailure = '${policy}'\nexport default process`
    await writeFile(join(folder, `failing-${policy}.mjs`), module.replace('export function', 'function'))
  }
})
after(() => rm(folder, { recursive: true }))

/** A bounded run over two partitions with logs, of which a batch fails. */
async function withRun(
  args: readonly string[],
  signal: AbortSignal,
  look: (cli: RunningCli, emulator: EmulatorHandle) => Promise<void>
): Promise<void> {
  const emulator = await startEmulator({ topicCount: 1, partitionCount: 2, startOffset: START })
  try {
    const env = {
      CLS_ENDPOINT: emulator.endpoint,
      CLS_SECRET_ID: emulator.secretId,
      CLS_SECRET_KEY: emulator.secretKey,
      CLS_LOGSET_ID: emulator.logsetId,
      CLS_TOPIC_IDS: emulator.topicIds.join(','),
      CLS_GROUP: 'g',
      CLS_PROCESSOR: 'failing.mjs',
      CLS_START_FROM: 'begin',
      CLS_STOP_AT: 'now',
      CLS_HEARTBEAT_INTERVAL_MS: '1000',
      CLS_THREADS: '1',
      CLS_ATTEMPTS: '2',
      CLS_BACKOFF_MS: '10',
      CLS_PULL_BYTES: '8192'
    }
    await produce({ count: String(LOG_COUNT), seed: '1' }, captureWorld({ env }))
    await look(startCli(['run', ...args], { env, cwd: folder, signal }), emulator)
  } finally {
    await emulator.stop()
  }
}

/** How many offsets are committed of each partition, and how many there are. */
async function progressOf(emulator: EmulatorHandle): Promise<(readonly [committed: bigint, stored: bigint])[]> {
  const { topics, groups } = await emulator.snapshot()
  return (groups[0]?.partitions ?? []).map(({ partition, committedOffset }) => {
    const end = topics[0]?.partitions[partition]?.endOffset ?? START
    return [(committedOffset ?? START) - START, end - START] as const
  })
}

async function assertExit(cli: RunningCli, code: number): Promise<void> {
  assert.deepEqual(await cli.ended, { code, signal: null }, cli.err())
}

describe('a run that fails', { concurrency: 2 }, () => {
  test(
    'stop: exit code 1, with the error, its place and the advice; the offset stays before the batch',
    TIMEOUT,
    async t => {
      await withRun([], t.signal, async (cli, emulator) => {
        await assertExit(cli, 1)
        assert.match(
          cli.err(),
          /WARN +retried .*partition=0 offset=9007199254740992 .*code=PROCESSOR_FAILED .*attempt=1 of=2/
        )
        assert.match(cli.err(), /^PROCESSOR_FAILED: .*the sink is down.*offset 9007199254740992.*\nMend the processor/m)
        const [[committed, stored] = [0n, 0n]] = await progressOf(emulator)
        assert.equal(committed, 0n)
        assert.ok(stored > 0n)
      })
    }
  )

  test('skip: exit code 0, the skip at warn with its offsets, and all is committed', TIMEOUT, async t => {
    await withRun(['--on-failure', 'skip'], t.signal, async (cli, emulator) => {
      await assertExit(cli, 0)
      assert.match(
        cli.err(),
        /WARN +skipped .*partition=0 startOffset=9007199254740992 nextOffset=\d+ .*code=PROCESSOR_FAILED/
      )
      for (const [committed, stored] of await progressOf(emulator)) assert.equal(committed, stored)
    })
  })

  test('park: the other partition is read to its end, and then the exit code is 1', TIMEOUT, async t => {
    await withRun(['--on-failure', 'park'], t.signal, async (cli, emulator) => {
      await assertExit(cli, 1)
      assert.match(
        cli.err(),
        /ERROR +a partition is parked.*partition=0 offset=9007199254740992 .*code=PROCESSOR_FAILED/
      )
      assert.match(cli.err(), /^PARTITION_PARKED: .*partition 0, offset 9007199254740992/m)
      const [parked, other] = await progressOf(emulator)
      assert.equal(parked?.[0], 0n)
      assert.equal(other?.[0], other?.[1])
    })
  })

  test(
    'dead-letter: exit code 0; list shows each message, show its logs and its error, show --raw its exact bytes',
    TIMEOUT,
    async t => {
      const args = ['--on-failure', 'dead-letter', '--dead-letter-directory', 'made/dead']
      await withRun(args, t.signal, async (cli, emulator) => {
        await assertExit(cli, 0)
        for (const [committed, stored] of await progressOf(emulator)) assert.equal(committed, stored)
        const told =
          /WARN +dead letters .*partition=0 startOffset=\d+ nextOffset=(\d+) letters=(\d+) .*code=PROCESSOR_FAILED/
        const [, nextOffset = '', letters = ''] = told.exec(cli.err()) ?? []
        assert.equal(BigInt(nextOffset) - START, BigInt(letters), 'a message has one offset')

        const list = await read(['list', '--json'], t.signal)
        const ids = list.map(line => {
          const letter = parseJson(line)
          assert.ok(isRecord(letter) && isRecord(letter.error))
          assert.deepEqual([letter.kind, letter.attempt, letter.group], ['message', 2, 'g'])
          assert.deepEqual([letter.startOffset, letter.nextOffset], [String(START), nextOffset])
          assert.match(String(letter.error.stack), /failing\.mjs:\d+:\d+/)
          return String(letter.id)
        })
        const [topicId = ''] = emulator.topicIds
        const expected = Array.from({ length: Number(letters) }, (_, index) => `${topicId}/0/${START}/${index}`)
        assert.deepEqual(ids, expected)

        const shown = await read(['show', expected[0] ?? ''], t.signal)
        assert.match(shown.join('\n'), /error +PROCESSOR_FAILED: .*the sink is down/)
        const [raw = ''] = await read(['show', expected[0] ?? '', '--raw'], t.signal)
        assert.match(raw, /^"[A-Za-z0-9+/]+=*"$/)
      })
    }
  )
})

describe('options of failures', { concurrency: 2 }, () => {
  for (const [what, args, code, expected] of [
    [
      'dead letters without a directory',
      ['--on-failure', 'dead-letter'],
      2,
      /onFailure is dead-letter \(--on-failure\), and there is no deadLetterDirectory: name one \(--dead-letter-directory/
    ],
    [
      'a directory that is a file',
      ['--on-failure', 'dead-letter', '--dead-letter-directory', 'a-file'],
      2,
      /^DEAD_LETTER_DIRECTORY: .*a-file.*\nCorrect it and start again/m
    ],
    [
      'a policy with a typo',
      ['--on-failure', 'dead-leter'],
      2,
      /--on-failure is "dead-leter", expected .*stop.*dead-letter.*skip.*park/
    ],
    [
      'a processor’s policy with a typo',
      ['--processor', 'failing-skipp.mjs'],
      2,
      /^PROCESSOR_SHAPE: .*skipp.*dead-letter/m
    ]
  ] as const) {
    test(`${what} is refused at the start, with what to do, and nothing is committed`, TIMEOUT, async t => {
      await withRun(args, t.signal, async (cli, emulator) => {
        await assertExit(cli, code)
        assert.match(cli.err(), expected)
        for (const [committed] of await progressOf(emulator)) assert.equal(committed, 0n)
      })
    })
  }

  test(
    'a processor’s own dead-letter without a directory loses nothing, and says which option is missing',
    TIMEOUT,
    async t => {
      await withRun(['--processor', 'failing-dead-letter.mjs'], t.signal, async (cli, emulator) => {
        const { code } = await cli.ended
        assert.notEqual(code, 0)
        assert.match(cli.err(), /DEAD_LETTER_DIRECTORY.*deadLetterDirectory/)
        const [[committed] = [0n]] = await progressOf(emulator)
        assert.equal(committed, 0n)
      })
    }
  )

  test('a directory that may not be written to is refused at the start', { ...TIMEOUT, skip: isRoot() }, async t => {
    const directory = join(folder, 'locked')
    await mkdir(directory, { mode: 0o500 })
    const args = ['--on-failure', 'dead-letter', '--dead-letter-directory', directory]
    await withRun(args, t.signal, async cli => {
      await assertExit(cli, 2)
      assert.match(cli.err(), /^DEAD_LETTER_DIRECTORY: .*locked/m)
    })
  })
})

/** Lines of `dead-letters` on what the run has written. */
async function read(args: readonly string[], signal: AbortSignal): Promise<string[]> {
  const [command = '', ...rest] = args
  const cli = startCli(['dead-letters', command, '--dir', 'made/dead', ...rest], {
    cwd: folder,
    signal
  })
  await assertExit(cli, 0)
  return cli.out().trimEnd().split('\n')
}

/** Who may write anywhere. */
function isRoot(): string | false {
  return process.getuid?.() === 0 ? 'as root every directory can be written to' : false
}

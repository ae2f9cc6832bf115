/** Ctrl-C while the processor's `start` hangs: the run ends soon, in order, and waits for no limit of hours. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type EmulatorHandle, startEmulator } from '../../src/emulator/start.ts'
import { startCli } from './command.ts'

const BOUNDED = { timeout: 30_000 }
/** Longer than the test may take: it would never be seen to pass. */
const HOOK_LIMIT_MS = 3_600_000

let folder = ''
let emulator: EmulatorHandle

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cls-stop-while-starting-'))
  emulator = await startEmulator({ topicCount: 1, partitionCount: 2, process: 'child' })
})
after(async () => {
  await emulator?.stop()
  await rm(folder, { recursive: true })
})

describe('the first signal while the processor’s start hangs', () => {
  for (const [name, hang] of [
    ['in a loop', 'while (true) {}'],
    ['on a promise', 'return new Promise(() => {})']
  ] as const) {
    test(`${name}: exit code 0 after --abort-grace-ms, and no partition was taken`, BOUNDED, async t => {
      const file = join(folder, `${name.replaceAll(' ', '-')}.mjs`)
      await writeFile(file, `export default { start ({ log }) { log.info('begun'); ${hang} }, process () {} }`)
      const cli = startCli(['run', '--group', 'g', '--processor', file, '--abort-grace-ms', '200'], {
        signal: t.signal,
        env: {
          CLS_ENDPOINT: emulator.endpoint,
          CLS_SECRET_ID: emulator.secretId,
          CLS_SECRET_KEY: emulator.secretKey,
          CLS_LOGSET_ID: emulator.logsetId,
          CLS_TOPIC_IDS: emulator.topicIds.join(','),
          CLS_THREADS: '2',
          CLS_HOOK_TIMEOUT_MS: String(HOOK_LIMIT_MS)
        }
      })
      await cli.seen(/begun/)
      cli.child.kill('SIGINT')
      assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err())
      assert.match(cli.err(), /terminating a thread whose start does not return/)
      assert.match(cli.err(), /stopped/)
      assert.doesNotMatch(cli.err(), /PROCESSOR_|THREAD_|assigned|error/)
    })
  }
})

/** The demo's input from a file. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { demoLogs } from '../../src/cli/demo-logs.ts'
import { UPLOAD_LIMITS } from '../../src/cls/upload-limits.ts'
import { realClock } from '../../src/real-world.ts'

test('a line as long as the service takes is a log, and a longer one an error with its number', {
  timeout: 10_000
}, async t => {
  const cwd = await mkdtemp(join(tmpdir(), 'cls-demo-logs-'))
  t.after(() => rm(cwd, { recursive: true }))
  const longest = 'x'.repeat(UPLOAD_LIMITS.valueBytes)
  await writeFile(join(cwd, 'long.log'), `${longest}\n${longest}x\n`)
  const logs = demoLogs(
    { lineCount: 0, seed: 0, file: 'long.log' },
    { cwd, stop: new AbortController().signal, clock: realClock }
  )
  const { value: first } = await logs.next()
  assert.equal(first?.log.contents.find(({ key }) => key === 'message')?.value, longest)
  await assert.rejects(logs.next(), { code: 'FILE_UNREADABLE', message: /line 2 is longer than 1048576 bytes/ })
})

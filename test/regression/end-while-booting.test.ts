/**
 * Node 20 aborts the whole process where a thread is terminated while it requires an ES module, as Piscina does with one it
 * is given. The abort is a matter of microseconds, and seldom met; that nothing is loaded so is certain.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

test('a thread requires no ES module while it boots', { timeout: 30_000 }, async () => {
  const script = fileURLToPath(new URL('../support/boot-and-end.js', import.meta.url))
  const run = promisify(execFile)(process.execPath, ['--trace-require-module=all', script], { timeout: 25_000 })
  assert.deepEqual(await run, { stdout: 'it booted\n', stderr: '' })
})

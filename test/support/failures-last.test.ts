import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const REPORTER = join(import.meta.dirname, 'failures-last.js')

const FILES = {
  'mixed.test.mjs': `
    import assert from 'node:assert/strict'
    import { describe, it, test } from 'node:test'
    test('good', () => {})
    describe('suite', () => {
      it('bad', () => assert.equal(1, 2))
      it('to do', { todo: true }, () => assert.fail('not yet'))
    })`,
  'dies.test.mjs': `
    import { test } from 'node:test'
    test('never ends', () => process.abort())`
}

test('each failure that the summary counts is named once, right before it', context => {
  const folder = mkdtempSync(join(tmpdir(), 'cls-failures-last-'))
  context.after(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text)

  // Without it, Node takes the run for a part of this one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const flags = ['--test', '--test-concurrency=1', `--test-reporter=${REPORTER}`, '--test-reporter-destination=stdout']
  const { stdout, status } = spawnSync(process.execPath, [...flags, ...Object.keys(FILES).sort()], {
    cwd: folder,
    env,
    encoding: 'utf8',
    timeout: 30_000
  })

  assert.equal(status, 1)
  const lines = stdout.trimEnd().split('\n')
  const summaryAt = lines.indexOf('# fail 2') - 3
  assert.ok(lines[summaryAt]?.startsWith('# tests '), stdout)
  const failed = lines.filter(line => line.startsWith('# failed: '))
  assert.deepEqual(lines.slice(summaryAt - 2, summaryAt), failed)
  assert.match(failed[0] ?? '', /dies\.test\.mjs: /)
  assert.match(failed[1] ?? '', /mixed\.test\.mjs: bad: Expected values to be strictly equal: 1 !== 2/)
})

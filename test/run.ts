/**
 * Runs the test files: all, or those whose path contains one of the arguments.
 *
 *   npm test -- scenario --times 10      ten times in a row, up to the first failure; no scenario may be played again
 *
 * Node 20's `--test` takes folders, and runs every file of a folder named `test`, helpers too; hence this list.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const { values, positionals: wanted } = parseArgs({ options: { times: { type: 'string' } }, allowPositionals: true })
const times = Number(values.times ?? 1)
const root = import.meta.dirname
const reporter = pathToFileURL(join(root, 'support/failures-last.js')).href
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.test.js') && (wanted.length === 0 || wanted.some(part => file.includes(part))))
  .sort()
  .map(file => join(root, file))

if (files.length === 0 || !(times >= 1)) {
  process.stderr.write(files.length === 0 ? `no test file matches ${wanted.join(' ')}\n` : '--times takes a count\n')
  process.exit(1)
}
for (let run = 1; run <= times; run++) {
  const startedMs = Date.now()
  // Two at a time: scenarios run several processes each.
  const flags = ['--import', join(root, 'support/fast-check-sizes.js'), '--test', '--test-concurrency=2']
  // On a terminal Node's own report names the failures at its end.
  if (!process.stdout.isTTY) flags.push(`--test-reporter=${reporter}`, '--test-reporter-destination=stdout')
  const { status } = spawnSync(process.execPath, [...flags, ...files], {
    stdio: 'inherit',
    env: times === 1 ? process.env : { ...process.env, CLS_SCENARIO_REPLAYS: '0' }
  })
  if (times > 1) {
    const seconds = Math.round((Date.now() - startedMs) / 1000)
    process.stderr.write(`run ${run} of ${times}: ${status === 0 ? 'passed' : 'failed'} after ${seconds} s\n`)
  }
  if (status !== 0) process.exit(status ?? 1)
}

/**
 * Runs the test files: all, or those whose path contains one of the arguments.
 *
 * Node 20's `--test` takes folders, and runs every file of a folder named `test`, helpers too; hence this list.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const wanted = process.argv.slice(2)
const root = import.meta.dirname
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.test.js') && (wanted.length === 0 || wanted.some(part => file.includes(part))))
  .sort()
  .map(file => join(root, file))

if (files.length === 0) {
  process.stderr.write(`no test file matches ${wanted.join(' ')}\n`)
  process.exit(1)
}
// Two at a time: scenarios run several processes each.
const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=2', ...files], { stdio: 'inherit' })
process.exit(status ?? 1)

/**
 * Prints a stored result of `npm run bench -- decode` as Markdown, for documents: `npm run bench -- report FILE`.
 */
import { readFileSync } from 'node:fs'
import { printReport } from './decode/report.ts'
import type { DecodeResult } from './decode/result.ts'

const [file] = process.argv.slice(3)
if (file === undefined) {
  process.stderr.write('usage: npm run bench -- report FILE\n')
  process.exitCode = 2
} else {
  const result: DecodeResult = JSON.parse(readFileSync(file, 'utf8'))
  process.stdout.write(printReport(result, 'markdown'))
}

/**
 * Prints a stored result of `npm run bench -- decode` or `end-to-end` as Markdown, for documents:
 * `npm run bench -- report FILE`.
 */
import { readFileSync } from 'node:fs'
import { printReport } from './decode/report.ts'
import type { DecodeResult } from './decode/result.ts'
import type { BenchResult } from './end-to-end/bench.ts'
import { printResult } from './end-to-end/report.ts'

const [file] = process.argv.slice(3)
if (file === undefined) {
  process.stderr.write('usage: npm run bench -- report FILE\n')
  process.exitCode = 2
} else {
  const result: DecodeResult | BenchResult = JSON.parse(readFileSync(file, 'utf8'))
  const text = 'scenes' in result ? printResult(result, 'markdown') : printReport(result, 'markdown')
  process.stdout.write(text)
}

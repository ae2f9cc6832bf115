/**
 * How many bytes of JavaScript heap a response takes, and the proof that no collection hid any.
 *
 * In: a payload and contenders. Out: bytes per response. Must never happen: a figure with a collection in it.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { PayloadName } from '../payloads.ts'
import type { OurId } from './contenders.ts'
import type { HeapAnswer } from './heap-process.ts'

export interface HeapUse extends HeapAnswer {
  readonly contender: OurId
  /** Lines of `--trace-gc` between those of the two collections that were forced. */
  readonly collections: number
}

/** A young generation that holds the measured responses, in MB; how much is allocated does not depend on it. */
const SEMI_SPACE_MB = 64
const FLAGS = [
  '--trace-gc',
  '--expose-gc',
  `--min-semi-space-size=${SEMI_SPACE_MB}`,
  `--max-semi-space-size=${SEMI_SPACE_MB}`
] as const
const LIMIT_MS = 120_000

export function measureHeap(payload: PayloadName, contender: OurId): HeapUse {
  const file = fileURLToPath(new URL('heap-process.js', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [...FLAGS, file, payload, contender], {
    encoding: 'utf8',
    timeout: LIMIT_MS
  })
  if (status !== 0) throw new Error(`${contender} could not be measured: ${stderr}`)
  const answer: HeapAnswer = JSON.parse(stderr)
  const collections = collectionsBetween(stdout)
  if (collections !== 0) throw new Error(`${collections} collections ran while the heap of ${contender} was measured`)
  return { contender, collections, ...answer }
}

/** Between the lines of the last two collections that were forced. */
export function collectionsBetween(trace: string): number {
  const lines = trace.split('\n').filter(line => /: (Scavenge|Mark-Compact)\b/.test(line))
  const forced = lines.flatMap((line, index) => (/ testing;/.test(line) ? [index] : []))
  const [first, second] = forced.slice(-2)
  if (first === undefined || second === undefined)
    throw new Error('the trace lacks the two collections that were forced')
  return second - first - 1
}

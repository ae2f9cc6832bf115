/**
 * The thread in which the fuzzer plays its cases: what hangs or crashes there can be ended and named from outside.
 *
 * In: a seed, the first case, and how many or for how long. Out: before each case its number, in shared memory; at the
 * end the report, or the first failure.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { FuzzBench } from './fuzz-case.ts'
import { countCase, type FuzzReport, newReport } from './fuzz-report.ts'

export interface FuzzOrder {
  readonly seed: number
  readonly firstCase: number
  readonly caseCount: number
  /** Ends the run before it has played all. */
  readonly lastMs: number
  /** One Float64: the case that is played. */
  readonly progress: SharedArrayBuffer
}

export type FuzzAnswer =
  | { readonly kind: 'done'; readonly report: FuzzReport }
  | { readonly kind: 'failed'; readonly why: string }

function playAll({ seed, firstCase, caseCount, lastMs, progress }: FuzzOrder): FuzzAnswer {
  const current = new Float64Array(progress)
  const bench = new FuzzBench()
  const report = newReport()
  const endMs = performance.now() + lastMs
  let beganMs = performance.now()
  for (let caseNumber = firstCase; caseNumber < firstCase + caseCount && beganMs < endMs; caseNumber++) {
    current[0] = caseNumber
    try {
      const result = bench.play(seed, caseNumber)
      const nowMs = performance.now()
      countCase(report, result, nowMs - beganMs)
      beganMs = nowMs
    } catch (error) {
      return { kind: 'failed', why: error instanceof Error ? `${error.stack}` : String(error) }
    }
  }
  return { kind: 'done', report }
}

const order: FuzzOrder = workerData
parentPort?.postMessage(playAll(order))

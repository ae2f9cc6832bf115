/**
 * The fuzzer: responses that are right but for damage at one layer, read by the kernel and by the reference.
 *
 * A case that hangs or crashes takes its thread along, not this one: a watch looks at the number of the case that each
 * thread plays, ends a thread whose number stands still, and names the case. `rounds.ts` has what can be set.
 */
import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { mixSeeds } from './dice.ts'
import { addReport, neglected, newReport, printReport, REACHED_SHARE_MIN } from './fuzz-report.ts'
import type { FuzzAnswer, FuzzOrder } from './fuzz-thread.ts'
import { MINUTES_MS, ONLY_CASE, SEED, scaled, tellSeed } from './rounds.ts'

const USUAL_CASES = 200_000
/** So long no case may take: a thousand times as long as one does. */
const CASE_MS_MAX = 10_000
const ALONE = ONLY_CASE !== undefined

test('damage at any layer gives the verdict and the values of the reference: no trap, no hang, no byte of another response', async context => {
  const threadCount = MINUTES_MS === undefined || ALONE ? 1 : availableParallelism()
  const report = newReport()
  const beganMs = performance.now()
  // Of the first thread the seed is SEED itself: that alone is needed to have its run again.
  const seeds = Array.from({ length: threadCount }, (_, thread) => (thread === 0 ? SEED : mixSeeds(SEED, thread)))
  const answers = await Promise.all(seeds.map(play))
  for (const answer of answers) if (answer.kind === 'done') addReport(report, answer.report)
  const rate = report.caseCount / ((performance.now() - beganMs) / 1000)
  for (const line of printReport(report).split('\n')) context.diagnostic(line)
  context.diagnostic(`${rate.toFixed(0)} cases a second`)
  const failures = answers.flatMap(answer => (answer.kind === 'failed' ? [answer.why] : []))
  if (failures.length > 0) assert.fail(failures.join('\n'))
  if (ALONE) return
  assert.deepEqual(neglected(report), [], `reached by less than ${REACHED_SHARE_MIN * 100} % of the cases`)
})

function orderOf(seed: number): FuzzOrder {
  return {
    seed,
    firstCase: ONLY_CASE ?? 0,
    caseCount: ALONE ? 1 : MINUTES_MS === undefined ? scaled(USUAL_CASES) : Number.POSITIVE_INFINITY,
    lastMs: MINUTES_MS ?? Number.POSITIVE_INFINITY,
    progress: new SharedArrayBuffer(8)
  }
}

async function play(seed: number): Promise<FuzzAnswer> {
  tellSeed('fuzzer', seed)
  const order = orderOf(seed)
  const worker = new Worker(new URL('fuzz-thread.js', import.meta.url), { workerData: order })
  const watch = watchProgress(worker, order)
  try {
    const answer = await answerOf(worker)
    if (answer.kind === 'done') return answer
    const again = `FUZZ_SEED=${seed} FUZZ_CASE=${caseOf(order)}, or with all cases before it, without FUZZ_CASE`
    return { kind: 'failed', why: `${again}: ${answer.why}` }
  } finally {
    clearInterval(watch)
    await worker.terminate()
  }
}

/** A thread that was ended, or that crashed, has no answer. Its message comes before its exit. */
function answerOf(worker: Worker): Promise<FuzzAnswer> {
  return new Promise(resolve => {
    worker.once('message', resolve)
    worker.once('error', error => resolve({ kind: 'failed', why: `the thread crashed: ${error}` }))
    worker.once('exit', () => resolve({ kind: 'failed', why: `it took more than ${CASE_MS_MAX} ms` }))
  })
}

/** Ends the thread whose case does not. */
function watchProgress(worker: Worker, order: FuzzOrder): NodeJS.Timeout {
  let seen: number | undefined
  return setInterval(() => {
    const current = caseOf(order)
    if (current === seen) void worker.terminate()
    seen = current
  }, CASE_MS_MAX)
}

function caseOf({ progress }: FuzzOrder): number | undefined {
  return new Float64Array(progress)[0]
}

/**
 * The whole way of a response, from its body to the views of its batch, held against the obvious one: npm snappy or
 * lz4-napi, `JSON.parse`, protobufjs. What equal means is said in `test/fuzz/outcome.ts`, what is drawn in
 * `test/fuzz/draw-response.ts`, how more is drawn and a seed repeated in `test/fuzz/rounds.ts`.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KernelMemory } from '../../workers/kernel/memory.ts'
import { assertSame, type Outcome } from '../fuzz/outcome.ts'
import { readResponse } from '../fuzz/read-response.ts'
import { referenceOutcome } from '../fuzz/reference.ts'
import { responses } from '../fuzz/response-arbitrary.ts'
import { buildTask, type ResponsePlan } from '../fuzz/response-plan.ts'
import { MINUTES_MS, ONLY_PATH, SEED, scaled, tellSeed } from '../fuzz/rounds.ts'

const USUAL_RUNS = 50_000
const RESPONSE_BYTES_MAX = 2 ** 20
/** So that most responses are read, and one in five has something odd. */
const ODD_ONE_IN = 15
const TEXT_BYTES_MAX = 4000

test('I10: any response gets the values and the verdict that JSON.parse and protobufjs give it', context => {
  // One for all, as a thread uses one for batch after batch.
  const memory = new KernelMemory()
  const met = { runs: 0, read: 0, poisoned: 0, logs: 0, refused: new Map<string, number>() }
  const property = fc.property(responses(ODD_ONE_IN), plan => {
    const task = buildTask(plan)
    const expected = referenceOutcome(task, RESPONSE_BYTES_MAX)
    memory.begin()
    const { outcome } = readResponse(task, memory, RESPONSE_BYTES_MAX)
    assertSame(outcome, expected)
    count(met, expected)
  })
  tellSeed('differential', SEED)
  fc.assert(property, {
    seed: SEED,
    reporter: report,
    ...(ONLY_PATH === undefined ? {} : { path: ONLY_PATH }),
    ...(MINUTES_MS === undefined
      ? { numRuns: scaled(USUAL_RUNS) }
      : { numRuns: 2 ** 31 - 1, interruptAfterTimeLimit: MINUTES_MS, markInterruptAsFailure: false })
  })
  const { runs, read, poisoned, logs, refused } = met
  context.diagnostic(`${runs} responses with ${logs} logs: ${read} read, ${poisoned} of them with poison`)
  context.diagnostic(`refused: ${[...refused].map(([code, times]) => `${code} ${times}`).join(', ')}`)
  // Of few runs, chance decides what they meet.
  if (runs < USUAL_RUNS / 10) return
  // Every verdict is met often: without them the test would be an empty one.
  const rare = ['BODY_CORRUPT', 'API_REFUSED', 'NEXT_OFFSET_STUCK'].filter(
    code => (refused.get(code) ?? 0) < runs / 500
  )
  assert.deepEqual(rare, [])
  assert.ok(read > runs / 2 && poisoned > runs / 50 && logs > runs, 'too little is read')
})

/** The smallest response that fails, as its text, and how to have it again. */
function report({
  failed,
  seed,
  counterexample,
  counterexamplePath,
  errorInstance
}: fc.RunDetails<[ResponsePlan]>): void {
  if (!failed) return
  const plan = counterexample?.[0]
  const text = plan === undefined ? '' : textOf(plan)
  const why = errorInstance instanceof Error ? errorInstance.stack : String(errorInstance)
  throw new Error(`FUZZ_SEED=${seed} FUZZ_PATH=${counterexamplePath}: ${why}\n${plan?.compression} of ${text}`)
}

function textOf(plan: ResponsePlan): string {
  const { body, byteCount } = buildTask({ ...plan, compression: 'none' })
  return JSON.stringify(Buffer.from(body, 0, Math.min(byteCount, TEXT_BYTES_MAX)).toString('latin1'))
}

function count(
  met: { runs: number; read: number; poisoned: number; logs: number; refused: Map<string, number> },
  outcome: Outcome
): void {
  met.runs++
  if ('code' in outcome) met.refused.set(outcome.code, (met.refused.get(outcome.code) ?? 0) + 1)
  else {
    met.read++
    met.logs += outcome.logCount
    if (outcome.poison.length > 0) met.poisoned++
  }
}

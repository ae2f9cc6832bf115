/**
 * What is found in a run, and its last line.
 *
 * In: evidence, and complaints from elsewhere. Out: whether it was sound, and why not. Pure. Must never happen: a verdict
 * that could not have been another: each run shows that it would have found a loss, a repeat and a swap.
 */
import type { Evidence } from '../scenario/harness/evidence.ts'
import { complaints, judge, type Verdict } from '../scenario/harness/judge.ts'
import { plantLoss, plantRepeat, plantSwap } from '../scenario/harness/plant.ts'

export const PLANTS = ['loss', 'repeat', 'order'] as const
export type Plant = (typeof PLANTS)[number]

export interface Findings {
  readonly isSound: boolean
  readonly lastLine: string
  /** None where it was sound. */
  readonly complaints: readonly string[]
  /** Where the evidence is kept, where it convicts. */
  readonly folder?: string
}

export function findAll(evidence: Evidence, others: readonly string[]): Findings {
  const verdict = judge(evidence)
  const all = [...complaints(verdict), ...others, ...findBlindness(evidence, verdict)]
  return { isSound: all.length === 0, lastLine: lastLineOf(verdict), complaints: all }
}

export function plantIn(evidence: Evidence, plant: Plant): Evidence {
  return PLANTERS[plant](evidence).evidence
}

const PLANTERS = { loss: plantLoss, repeat: plantRepeat, order: plantSwap } as const satisfies Record<Plant, unknown>

/** How many of what a plant makes more of. */
const COUNTS: Readonly<Record<Plant, (verdict: Verdict) => number>> = {
  loss: ({ lost }) => lost.length,
  repeat: ({ repeats }) => repeats.length,
  order: ({ faults }) => faults.length
}

function lastLineOf({ lost, repeats, explained, faults }: Verdict): string {
  const repeated = `repeated ${repeats.length + explained.length} (explained ${explained.length})`
  return `lost ${lost.length}, ${repeated}, out of order ${faults.length}`
}

/** A run that went well with nothing in it, or a judge that lets things pass, is no proof. */
function findBlindness(evidence: Evidence, verdict: Verdict): string[] {
  if (evidence.expected.size === 0 || evidence.entries.length === 0) return ['nothing was sent, or nothing processed']
  return PLANTS.filter(plant => COUNTS[plant](judge(plantIn(evidence, plant))) <= COUNTS[plant](verdict)).map(
    plant => `the judge does not see a planted fault: ${plant}`
  )
}

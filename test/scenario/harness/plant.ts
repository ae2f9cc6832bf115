/**
 * Plants a loss or a repeat in the evidence of a run that went well: a judge that lets it pass has judged nothing.
 *
 * In: evidence. Out: the same with one log missing, or one processed again. Pure.
 */
import assert from 'node:assert/strict'
import type { Entry, Evidence } from './evidence.ts'
import { complaints, judge, type Verdict } from './judge.ts'

export interface Planted {
  readonly id: string
  readonly evidence: Evidence
}

/** As if one of the logs had been skipped. */
export function plantLoss(evidence: Evidence): Planted {
  const ids = [...evidence.expected.keys()]
  const id = ids[Math.floor(ids.length / 2)]
  assert.ok(id !== undefined, 'a scenario expects logs')
  const entries = evidence.entries.map(entry => ({ ...entry, ids: entry.ids.filter(other => other !== id) }))
  return { id, evidence: { ...evidence, entries } }
}

/** As if the last log processed had been processed once more, by the same tenure right after. */
export function plantRepeat(evidence: Evidence): Planted {
  const last = evidence.entries.findLast(({ ids }) => ids.length > 0)
  const id = last?.ids.at(-1)
  assert.ok(last !== undefined && id !== undefined, 'a scenario has logs processed')
  const startOffset = last.nextOffset ?? last.startOffset
  const again: Entry = { ...last, startOffset, ids: [id], startMs: last.endMs, endMs: last.endMs }
  return { id, evidence: { ...evidence, entries: [...evidence.entries, again] } }
}

/** Asserts that the run is sound, and that neither planted fault in it would have gone unseen. */
export function assertSound(evidence: Evidence): Verdict {
  const verdict = judge(evidence)
  assert.deepEqual(complaints(verdict), [])

  const loss = plantLoss(evidence)
  assert.deepEqual(judge(loss.evidence).lost, [loss.id], 'a planted loss is found')
  const repeat = plantRepeat(evidence)
  const found = judge(repeat.evidence).repeats.map(({ id }) => id)
  assert.deepEqual(found, [repeat.id], 'a planted repeat is found')
  return verdict
}

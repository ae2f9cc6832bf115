/**
 * Plants a loss, a repeat or a swap in the evidence of a run that went well: a judge that lets it pass has judged nothing.
 *
 * In: evidence. Out: the same with one log missing, one processed again, or two batches in the wrong order. Pure.
 */
import assert from 'node:assert/strict'
import { type Entry, type Evidence, samePlace } from './evidence.ts'
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

/** As if the last two batches that followed each other in one tenure had come the other way round. */
export function plantSwap(evidence: Evidence): Planted {
  const { entries } = evidence
  const lastAt = entries.findLastIndex((entry, index) => {
    return entry.ids.length > 0 && entries.slice(0, index).some(other => isSameTenure(other, entry))
  })
  const last = entries[lastAt]
  const beforeAt = entries.findLastIndex((entry, index) => {
    return index < lastAt && last !== undefined && isSameTenure(entry, last)
  })
  const before = entries[beforeAt]
  const id = last?.ids[0]
  assert.ok(last !== undefined && before !== undefined && id !== undefined, 'a tenure has two batches')
  const swapped = entries.map((entry, index) => {
    if (index === beforeAt) return { ...last, startMs: before.startMs, endMs: before.endMs }
    return index === lastAt ? { ...before, startMs: last.startMs, endMs: last.endMs } : entry
  })
  return { id, evidence: { ...evidence, entries: swapped } }
}

function isSameTenure(a: Entry, b: Entry): boolean {
  return samePlace(a, b) && a.epoch === b.epoch && a.ids.length > 0 && b.ids.length > 0
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

/** The last line of a run, and that it can be another: a loss, an unexplained repeat and a swap each turn the verdict. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Entry, Evidence } from '../scenario/harness/evidence.ts'
import { findAll, PLANTS, plantIn } from './verdict.ts'

const PLACE = { process: 'A', topicId: 't', partition: 0 } as const

/** Three batches of two logs, in order. */
function sound(): Evidence {
  const entries = [0, 1, 2].map((index): Entry => {
    const startMs = index * 10
    const range = { startOffset: BigInt(2 * index), nextOffset: BigInt(2 * index + 2) }
    const ids = [`log${2 * index + 1}`, `log${2 * index + 2}`]
    return { ...PLACE, ...range, thread: 1, epoch: 1, ids, startMs, endMs: startMs + 5 }
  })
  const ids = entries.flatMap(entry => entry.ids)
  return {
    expected: new Map(ids.map((id, index) => [id, { id, topicId: 't', lane: 'l', sequence: index }])),
    permitted: new Set(),
    entries,
    unfinished: [],
    tenures: [{ ...PLACE, epoch: 1, startOffset: 0n, fromMs: 0, untilMs: Number.POSITIVE_INFINITY }],
    interruptions: []
  }
}

describe('the verdict of a run', () => {
  test('is sound where nothing is wrong', () => {
    const { isSound, lastLine, complaints } = findAll(sound(), [])
    assert.deepEqual([isSound, lastLine, complaints], [true, 'lost 0, repeated 0 (explained 0), out of order 0', []])
  })

  const LINES = {
    loss: /^lost 1, repeated 0 \(explained 0\), out of order 0$/,
    repeat: /^lost 0, repeated 1 \(explained 0\), out of order \d$/,
    order: /^lost 0, repeated 0 \(explained 0\), out of order [1-9]\d*$/
  }
  for (const plant of PLANTS) {
    test(`I1: a planted fault is found, and not sound: ${plant}`, () => {
      const { isSound, lastLine, complaints } = findAll(plantIn(sound(), plant), [])
      assert.ok(!isSound && complaints.length > 0)
      assert.match(lastLine, LINES[plant])
    })
  }

  test('counts repeats that are explained, and lets them pass', () => {
    const evidence = sound()
    const [, second, third] = evidence.entries
    assert.ok(second !== undefined && third !== undefined)
    const again = { ...third, process: 'B', startMs: 100, endMs: 105 }
    const next = { ...again, startOffset: 6n, nextOffset: 8n, ids: ['late1', 'late2'], startMs: 110, endMs: 115 }
    const tenure = { ...PLACE, process: 'B', epoch: 1, startOffset: 4n, fromMs: 99, untilMs: Number.POSITIVE_INFINITY }
    const { isSound, lastLine } = findAll(
      {
        ...evidence,
        entries: [...evidence.entries, again, next],
        permitted: new Set(next.ids),
        tenures: [...evidence.tenures, tenure],
        interruptions: [{ ...PLACE, kind: 'killed', atMs: 50, committedOffset: 4n }]
      },
      []
    )
    assert.deepEqual([isSound, lastLine], [true, 'lost 0, repeated 2 (explained 2), out of order 0'])
  })

  test('is not sound where anything else went wrong, or nothing happened at all', () => {
    assert.deepEqual(findAll(sound(), ['A ended by itself']).complaints, ['A ended by itself'])
    assert.equal(findAll(sound(), ['A ended by itself']).isSound, false)
    assert.equal(findAll({ ...sound(), expected: new Map(), entries: [] }, []).isSound, false)
  })
})

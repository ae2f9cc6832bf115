/** Forms of a body in combination: any two forms meet in at least one row. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Quirks } from '../../src/emulator/start.ts'
import { finishSound } from './harness/ending.ts'
import { play } from './harness/play.ts'
import { describeReading } from './harness/readings.ts'

const TIMEOUT = { timeout: 60_000 }

const FORMS = {
  compression: ['asked', 'lz4', 'none'],
  nextOffset: ['first', 'last', 'lying'],
  whiteSpace: ['none', 'spaces'],
  base64: ['plain', 'escaped'],
  extraKeys: ['none', 'nested']
} as const satisfies { readonly [K in keyof Quirks]?: readonly Quirks[K][] }

type Form = Pick<Quirks, keyof typeof FORMS>

const ROWS: readonly Form[] = [
  { compression: 'asked', nextOffset: 'first', whiteSpace: 'none', base64: 'plain', extraKeys: 'none' },
  { compression: 'asked', nextOffset: 'last', whiteSpace: 'spaces', base64: 'escaped', extraKeys: 'nested' },
  { compression: 'asked', nextOffset: 'lying', whiteSpace: 'none', base64: 'escaped', extraKeys: 'nested' },
  { compression: 'lz4', nextOffset: 'first', whiteSpace: 'spaces', base64: 'escaped', extraKeys: 'none' },
  { compression: 'lz4', nextOffset: 'last', whiteSpace: 'none', base64: 'plain', extraKeys: 'nested' },
  { compression: 'lz4', nextOffset: 'lying', whiteSpace: 'spaces', base64: 'plain', extraKeys: 'none' },
  { compression: 'none', nextOffset: 'first', whiteSpace: 'none', base64: 'escaped', extraKeys: 'nested' },
  { compression: 'none', nextOffset: 'last', whiteSpace: 'spaces', base64: 'plain', extraKeys: 'none' },
  { compression: 'none', nextOffset: 'lying', whiteSpace: 'spaces', base64: 'plain', extraKeys: 'nested' }
]

describe('forms of a body', { concurrency: 3 }, () => {
  for (const quirks of ROWS) {
    test(`${describeReading(quirks)}: nothing is lost, nothing repeated`, TIMEOUT, () =>
      play({ partitionCount: 2, quirks, gapEvery: 4, gapOffsets: 3n }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        // Some bodies are larger than what is peeked at, some smaller; base64 of this has every letter.
        for (const lane of lanes) await stage.producer.send(lane, 60, number => 'ÿþ~?>'.repeat((number % 7) * 200))
        const load = stage.producer.keepSending(lanes)
        stage.run('run', { options: { pullBytes: 16 * 1024 } })
        await load.rounds(10)
        await load.stop()
        await finishSound(stage)
      })
    )
  }

  test('any two forms meet in a row', () => {
    const pairs = (form: Readonly<Record<string, string>>): string[] =>
      Object.entries(form).flatMap(one => Object.entries(form).map(other => [...one, ...other].join(' ')))
    const met = new Set(ROWS.flatMap(row => pairs(row)))
    const missing = Object.entries(FORMS).flatMap(([name, values]) =>
      Object.entries(FORMS)
        .filter(([other]) => other !== name)
        .flatMap(([other, others]) =>
          values.flatMap(value => others.map(given => [name, value, other, given].join(' ')))
        )
    )
    assert.deepEqual(
      missing.filter(pair => !met.has(pair)),
      []
    )
  })
})

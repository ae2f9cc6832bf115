/** How answers of the control plane are written: the same fields under every quirk. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJson } from '../../src/cls/json.ts'
import { CONTROL_ACTION_NAMES } from '../../src/emulator/action-names.ts'
import { CONTROL_ACTIONS, controlAnswer } from '../../src/emulator/control-plane.ts'
import type { ControlFields } from '../../src/emulator/plane.ts'
import { DEFAULT_QUIRKS, QUIRKS, type Quirks } from '../../src/emulator/quirks.ts'
import { at } from './support.ts'

function written(fields: ControlFields, quirks: Partial<Quirks>): string {
  return Buffer.from(controlAnswer(fields, 'r', { ...DEFAULT_QUIRKS, ...quirks }).body).toString()
}

const FIELDS: ControlFields = {
  ConsumerGroup: 'a "quoted", {braced} [text]: \\',
  TopicPartitionOffsetsInfo: [{ TopicID: 't', PartitionOffsets: [{ PartitionId: 0, Offset: 2n ** 53n + 1n }] }],
  None: []
}

test('by default an answer is short', () => {
  assert.equal(written({ List: [] }, {}), '{"Response":{"List":[],"RequestId":"r"}}')
})

test('under every quirk a parser of JSON finds the same fields', { timeout: 30_000 }, () => {
  const quirks = fc.record({
    whiteSpace: fc.constantFrom(...QUIRKS.whiteSpace.values),
    extraKeys: fc.constantFrom(...QUIRKS.extraKeys.values)
  })
  const texts = fc.dictionary(fc.stringMatching(/^[A-Z][a-z]{0,8}$/), fc.string())
  fc.assert(
    fc.property(quirks, texts, (chosen, others) => {
      // Keys that the quirk adds are nobody's fields.
      const { Context: _, Notes: __, Trace: ___, ...rest } = others
      const response = Object(at(parseJson(written({ ...rest, ...FIELDS }, chosen)), 'Response'))
      const plain = Object(at(parseJson(written({ ...rest, ...FIELDS }, {})), 'Response'))
      for (const name of Object.keys(plain)) assert.deepEqual(response[name], plain[name], name)
    }),
    { numRuns: 300 }
  )
})

test('whiteSpace spaces: between all parts, and never inside a text', () => {
  const text = written(FIELDS, { whiteSpace: 'spaces' })
  assert.match(text, /^ \r\n\t\{ \r\n\t"Response" \r\n\t: \r\n\t\{/)
  assert.match(text, /"PartitionId" \r\n\t: \r\n\t0 \r\n\t, \r\n\t"Offset"/)
  assert.match(text, /\} \r\n\t$/)
  assert.ok(text.includes('"a \\"quoted\\", {braced} [text]: \\\\"'))
})

test('emptyLists null: every empty list is null, however deep, and no other', () => {
  const fields = {
    None: [],
    Topics: [
      { TopicID: 't', PartitionOffsets: [] },
      { TopicID: 'u', PartitionOffsets: [1] }
    ]
  }
  const answer = written(fields, { emptyLists: 'null' })
  const topics = '[{"TopicID":"t","PartitionOffsets":null},{"TopicID":"u","PartitionOffsets":[1]}]'
  assert.equal(answer, `{"Response":{"None":null,"Topics":${topics},"RequestId":"r"}}`)
})

test('every action that a rule may name is there', () => {
  assert.deepEqual([...CONTROL_ACTIONS.keys()], [...CONTROL_ACTION_NAMES])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Json, parseJson } from '../../src/cls/json.ts'
import type { FailedAnswer, HarvestedAnswer, HarvestTask } from '../../src/dispatch/messages.ts'
import type { Compression } from '../../src/world.ts'
import { harvest as harvestIn } from '../../workers/harvest.ts'
import { MemoryList } from '../../workers/kernel/memory-list.ts'
import { Dice } from '../fuzz/dice.ts'
import { batchTask, messagesOf, responseText } from './bodies.ts'
import { bench } from './thread-bench.ts'

const LIMIT = 1 << 21
const memories = new MemoryList(1 << 22, () => 0)

function harvest(task: HarvestTask): HarvestedAnswer | FailedAnswer {
  return harvestIn(task, memories)
}

function harvestTask(text: string | Uint8Array, compression: Compression = 'snappy', max = LIMIT): HarvestTask {
  const { body, byteCount } = batchTask(text, { compression })
  return { kind: 'harvest', body, byteCount, compression, responseBytesMax: max }
}

function texts(answer: HarvestedAnswer | FailedAnswer): string[] {
  assert.ok(answer.kind === 'harvested', answer.kind)
  return answer.messages.map(raw => Buffer.from(raw).toString())
}

for (const compression of ['snappy', 'lz4', 'none'] as const) {
  test(`every message of a body with ${compression} comes as it stands there`, () => {
    const messages = [...messagesOf({ a: '1' }, { a: '2' }), '***', '', '键']
    const answer = harvest(harvestTask(responseText(2n ** 53n + 1n, messages), compression))
    assert.deepEqual(
      texts(answer),
      messages.map(each => JSON.stringify(each))
    )
    assert.ok(answer.kind === 'harvested' && answer.nextOffset === 2n ** 53n + 1n)
  })
}

test('messages that are no texts come too, and escapes as they were written', () => {
  const odd = '{"Response":{"NextOffset":9,"Message":["a\\u0062c",5,null,{"a":[1]},["x"],true,"\\/"]}}'
  const [first, ...others] = texts(harvest(harvestTask(odd)))
  assert.equal(JSON.parse(first ?? ''), 'abc')
  assert.deepEqual(
    others.map(each => JSON.parse(each)),
    [5, null, { a: [1] }, ['x'], true, '/']
  )
  const scanned = '{"Response":{"NextOffset":9,"Message":["a\\u0062c","\\/"]}}'
  assert.deepEqual(texts(harvest(harvestTask(scanned))), ['"a\\u0062c"', '"\\/"'])
})

test('whatever the messages are, each means the same as in the response', () => {
  const message = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.array(fc.string(), { maxLength: 3 }))
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), messages => {
      const kept = texts(harvest(harvestTask(responseText(7n, messages)))).map((each): Json => parseJson(each))
      assert.deepEqual(kept, messages)
    })
  )
})

for (const [name, next] of [
  ['does not advance', 100n],
  ['is -1', -1n],
  ['is not there', undefined]
] as const) {
  test(`a response whose offset ${name} is harvested all the same`, () => {
    const messages = messagesOf({ a: '1' })
    const answer = harvest(harvestTask(responseText(next, messages)))
    assert.equal(texts(answer).length, 1)
    assert.ok(answer.kind === 'harvested' && answer.nextOffset === next)
  })
}

test('a response without messages has none', () => {
  assert.deepEqual(harvest(harvestTask(responseText(5n, []))), { kind: 'harvested', nextOffset: 5n, messages: [] })
})

for (const [name, task, code] of [
  ['HTML', harvestTask('<html>'), 'BODY_CORRUPT'],
  ['another compression than it says', { ...harvestTask(responseText(5n, [])), compression: 'lz4' }, 'BODY_CORRUPT'],
  ['an error of the service', harvestTask('{"Response":{"Error":{"Code":"X","Message":"m"}}}'), 'API_REFUSED'],
  ['more than the limit', harvestTask(responseText(5n, ['x'.repeat(2000)]), 'snappy', 1000), 'BODY_TOO_LARGE'],
  ['too many messages', harvestTask(`{"Response":{"Message":[""${',""'.repeat(524_288)}]}}`), 'BODY_TOO_LARGE']
] satisfies [string, HarvestTask, string][]) {
  test(`a body with ${name} is answered as failed in decoding: ${code}`, () => {
    const answer = harvest(task)
    assert.ok(answer.kind === 'failed' && answer.stage === 'decode')
    assert.equal(answer.failure.code, code)
    assert.equal(texts(harvest(harvestTask(responseText(1n, ['a'])))).length, 1, 'the next one is read')
  })
}

test('no body whatever makes it throw', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31), fc.constantFrom('snappy', 'lz4', 'none'), (seed, compression) => {
      const dice = new Dice(seed)
      const bytes = dice.bytes(dice.below(200))
      const body = new SharedArrayBuffer(bytes.length)
      new Uint8Array(body).set(bytes)
      const task = { kind: 'harvest', body, byteCount: bytes.length, compression, responseBytesMax: LIMIT } as const
      const answer = harvest(task)
      assert.ok(answer.kind === 'harvested' || answer.stage === 'decode')
    }),
    { numRuns: 300 }
  )
})

test('harvests leave one memory, however many there were and whatever became of them', t => {
  const list = new MemoryList(1 << 22, () => 0)
  const give = t.mock.method(list, 'give')
  for (const text of [responseText(1n, ['a']), '<html>', responseText(1n, ['b'])]) harvestIn(harvestTask(text), list)
  assert.equal(new Set(give.mock.calls.map(({ arguments: [memory] }) => memory)).size, 1)
  assert.equal(give.mock.callCount(), 3)
})

test('a thread harvests without any consumer, and its answer can be posted', async t => {
  const { runAny } = await bench(t, 'export default () => {}')
  const answer = await runAny(harvestTask(responseText(77n, ['a', 5])))
  assert.ok(answer.kind === 'harvested' && answer.nextOffset === 77n)
  assert.deepEqual(structuredClone(answer), answer)
})

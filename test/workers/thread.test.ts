import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ThreadTask } from '../../src/dispatch/messages.ts'
import { MemoryList } from '../../workers/kernel/memory-list.ts'
import { batchTask, groupOf, messageOf, messagesOf, responseText, TOPIC_ID } from './bodies.ts'
import { bench, processed, started, twoLogs } from './thread-bench.ts'

test('hooks run in order, each with its context', async t => {
  const { run, start, said } = await bench(
    t,
    `const note = (hook, context, more = {}) => context.log.info(hook, { ...more, options: context.options.name })
     export default {
       start (context) { note('start', context) },
       assign (partition, context) { note('assign', context, { ...partition, same: context.partition === partition.partition }) },
       process (batch, context) {
         note('process', context, { topicId: context.topicId, partition: context.partition, attempt: context.attempt,
           aborted: context.signal.aborted, logs: batch.logCount })
       },
       revoke (partition, context) { note('revoke', context, { ...partition, same: context.topicId === partition.topicId }) },
       stop (context) { note('stop', context) }
     }`,
    { name: 'mine' }
  )
  const place = { topicId: TOPIC_ID, partition: 3 }
  const tasks: readonly ThreadTask[] = [
    start,
    { kind: 'assign', epoch: 1, ...place },
    twoLogs({ attempt: 2 }),
    { kind: 'revoke', epoch: 1, ...place },
    { kind: 'stop' }
  ]
  const kinds = []
  for (const task of tasks) kinds.push((await run(task)).kind)
  assert.deepEqual(kinds, ['done', 'done', 'processed', 'done', 'done'])
  const lines = said().flatMap(message => (message.kind === 'log' ? [[message.message, message.fields]] : []))
  assert.deepEqual(lines, [
    ['start', { options: 'mine' }],
    ['assign', { ...place, same: true, options: 'mine' }],
    ['process', { ...place, attempt: 2, aborted: false, logs: 2, options: 'mine' }],
    ['revoke', { ...place, same: true, options: 'mine' }],
    ['stop', { options: 'mine' }]
  ])
})

test('the memory of a batch goes to the next, whatever became of it, and goes when none has needed it for a while', async t => {
  const { run, clock, sweep } = await started(t, 'export default batch => { if (batch.logCount === 1) throw 1 }')
  const lists = new Set<MemoryList>()
  const { take } = MemoryList.prototype
  t.mock.method(MemoryList.prototype, 'take', function (this: MemoryList) {
    lists.add(this)
    return take.call(this)
  })
  const tasks = [twoLogs(), batchTask('no JSON'), batchTask(responseText(101n, messagesOf({ a: '1' }))), twoLogs()]
  const kinds: string[] = []
  for (const task of tasks) kinds.push((await run(task)).kind)
  assert.deepEqual(kinds, ['processed', 'failed', 'failed', 'processed'])
  const [list, ...others] = lists
  assert.ok(list !== undefined && others.length === 0)
  const memory = list.take()
  assert.equal(list.byteCount, memory.byteCount, 'four batches, one memory')
  list.give(memory)
  clock.nowMs += 30_001
  sweep()
  assert.equal(list.byteCount, 0)
})

test('hooks that a processor does not have are done at once', async t => {
  const { run } = await started(t, 'export default () => {}')
  for (const kind of ['assign', 'revoke'] as const) {
    assert.deepEqual(await run({ kind, topicId: TOPIC_ID, partition: 3, epoch: 1 }), { kind: 'done' })
  }
  assert.deepEqual(await run({ kind: 'stop' }), { kind: 'done' })
})

test('a batch is answered with what was decoded, what process returned, and how long both took', async t => {
  const made = await started(
    t,
    'export default async batch => ({ logs: batch.toObjects(), next: batch.nextOffset, start: batch.startOffset })'
  )
  let nowMs = 1000
  Object.defineProperty(made.clock, 'nowMs', { get: () => (nowMs += 10) })
  const text = responseText(102n, messagesOf({ a: '1' }, { a: '2' }))
  const answer = processed(await made.run(batchTask(text)))
  assert.deepEqual(answer, {
    kind: 'processed',
    nextOffset: 102n,
    messageCount: 2,
    logCount: 2,
    responseBytes: text.length,
    poison: [],
    letters: [],
    isSaved: false,
    result: { logs: [{ a: '1' }, { a: '2' }], next: 102n, start: 100n },
    decodeMs: 10,
    processMs: 10
  })
})

test('the next offset is told before process runs', async t => {
  const made = await started(t, "export default { process (batch, { log }) { log.info('running') } }")
  const task = twoLogs()
  await made.run(task)
  assert.deepEqual(
    made.said().map(message => (message.kind === 'log' ? message.message : message)),
    [{ kind: 'next-offset', client: 0, batchId: task.batchId, nextOffset: 102n, messageCount: 2 }, 'running']
  )
})

test('the next offset is told as the response has it, though a bounded run ends before it', async t => {
  const made = await started(t, 'export default batch => [batch.logCount, batch.nextOffset]')
  const task = twoLogs({ endOffset: 101n })
  const answer = processed(await made.run(task))
  assert.deepEqual([answer.nextOffset, answer.messageCount, answer.result], [101n, 1, [1, 101n]])
  assert.deepEqual(made.said(), [
    { kind: 'next-offset', client: 0, batchId: task.batchId, nextOffset: 102n, messageCount: 2 }
  ])
})

test('at the end of a bounded run the batch names no next offset, and the answer says -1', async t => {
  const made = await started(t, 'export default batch => batch.nextOffset === undefined')
  const answer = processed(await made.run(batchTask(responseText(-1n, messagesOf({ a: '1' })), { endOffset: 200n })))
  assert.deepEqual([answer.nextOffset, answer.result], [-1n, true])
})

for (const [name, messages] of [
  ['without messages', []],
  ['of nothing but poison', ['***']]
] as const) {
  test(`a response ${name} is processed without a call of process`, async t => {
    const made = await started(t, 'export default () => { throw new Error("called") }')
    const answer = processed(await made.run(batchTask(responseText(102n, messages))))
    assert.deepEqual([answer.logCount, answer.nextOffset, answer.poison.length], [0, 102n, messages.length])
  })
}

test('poison is reported, and the good messages around it are processed', async t => {
  const made = await started(t, 'export default batch => batch.toObjects()')
  const [one = '', two = ''] = messagesOf({ a: '1' }, { a: '2' })
  const answer = processed(await made.run(batchTask(responseText(103n, [one, '!', two]))))
  assert.deepEqual(answer.result, [{ a: '1' }, { a: '2' }])
  assert.deepEqual(
    answer.poison.map(({ messageIndex }) => messageIndex),
    [1]
  )
})

test('a group without logs reaches process as an empty batch', async t => {
  const made = await started(t, 'export default batch => batch.logCount')
  assert.equal(processed(await made.run(batchTask(responseText(101n, [messageOf(groupOf([]))])))).result, 0)
})

for (const [name, text, code] of [
  ['not JSON', '<html>', 'BODY_CORRUPT'],
  ['an error of the service', '{"Response":{"Error":{"Code":"X.InvalidOffset","Message":"m"}}}', 'API_REFUSED'],
  ['stuck', responseText(100n, messagesOf({ a: '1' })), 'NEXT_OFFSET_STUCK'],
  ['too large', responseText(101n, messagesOf({ a: 'x'.repeat(1 << 20) })), 'BODY_TOO_LARGE']
] as const) {
  test(`a response that is ${name} fails in decoding, names its place, and never reaches process`, async t => {
    const made = await started(t, 'export default (batch, { log }) => log.info("called")')
    const answer = await made.run(batchTask(text))
    assert.ok(answer.kind === 'failed' && answer.stage === 'decode')
    assert.equal(answer.failure.code, code)
    const { topicId, partition, offset } = answer.failure.place
    assert.deepEqual({ topicId, partition, offset }, { topicId: TOPIC_ID, partition: 3, offset: 100n })
    assert.deepEqual(made.said(), [])
  })
}

for (const [name, body, says] of [
  ['throws', 'throw new TypeError("no such table")', 'TypeError: no such table'],
  ['rejects', 'return Promise.reject(new TypeError("no such table"))', 'TypeError: no such table'],
  ['throws a text', 'throw "tired"', '"tired"'],
  ['throws nothing', 'throw undefined', 'undefined'],
  ['throws what cannot be read', 'throw Object.create(null)', 'cannot be read'],
  [
    'throws an error of poison',
    'throw Object.defineProperty(new Error(), "message", { get () { throw 1 } })',
    'cannot be read'
  ]
] as const) {
  test(`a process that ${name} fails the batch as data, with place and file`, async t => {
    const made = await started(t, `export default () => { ${body} }`)
    const answer = await made.run(twoLogs())
    assert.ok(answer.kind === 'failed' && answer.stage === 'process')
    const { code, message, place } = answer.failure
    assert.equal(code, 'PROCESSOR_FAILED')
    assert.ok(message.includes(says) && message.includes('process threw'), message)
    assert.deepEqual(place, { topicId: TOPIC_ID, partition: 3, offset: 100n, file: made.start.processor.file })
    assert.deepEqual(structuredClone(answer), answer)
  })
}

test("a failure's stack is that of the processor", async t => {
  const made = await started(t, 'export default function mine () { throw new Error("x") }')
  const answer = await made.run(twoLogs())
  assert.ok(answer.kind === 'failed' && /\n +at .*\bmine\b/.test(answer.failure.stack))
})

for (const [name, body] of [
  ['a function', 'return () => {}'],
  ['a symbol', 'return Symbol("x")'],
  ['an object with a function in it', 'return { deep: [{ fn () {} }] }'],
  ['an object whose getter throws', 'return { get x () { throw new Error("no") } }'],
  ['the batch', 'return batch'],
  ['its logs', 'return { logs: [...batch] }'],
  ['a group', 'return [...batch.groups]']
] as const) {
  test(`${name} as result is RESULT_NOT_CLONEABLE, and the thread lives`, async t => {
    const made = await started(t, `export default batch => { ${body} }`)
    const answer = await made.run(twoLogs())
    assert.ok(answer.kind === 'failed' && answer.stage === 'process')
    assert.equal(answer.failure.code, 'RESULT_NOT_CLONEABLE')
    assert.equal((await made.run(twoLogs())).kind, 'failed')
  })
}

test('a result is what it was when process settled', async t => {
  const made = await started(
    t,
    'const kept = { n: 1 }; export default () => { queueMicrotask(() => queueMicrotask(() => { kept.n = 2; kept.f = () => {} })); return kept }'
  )
  assert.deepEqual(processed(await made.run(twoLogs())).result, { n: 1 })
})

test('results without own memory go through as they are', async t => {
  for (const [source, result] of [
    ['undefined', undefined],
    ['null', null],
    ['5n', 5n],
    ['"text"', 'text'],
    ['new Map([["500", 2]])', new Map([['500', 2]])]
  ] as const) {
    const made = await started(t, `export default () => (${source})`)
    assert.deepEqual(processed(await made.run(twoLogs())).result, result)
  }
})

test('views are closed once process has settled, also when it failed', async t => {
  const made = await started(
    t,
    `let log
     export default batch => {
       if (log !== undefined) return log.get('a')
       ;[log] = batch
       throw new Error('first')
     }`
  )
  await made.run(twoLogs())
  const answer = await made.run(twoLogs())
  assert.ok(answer.kind === 'failed' && answer.failure.code === 'BATCH_CLOSED')
})

test('several batches are open at a time, each with its own memory and signal', async t => {
  const made = await started(
    t,
    `const waiting = []
     export default {
       async process (batch, { partition, signal }) {
         await new Promise(resolve => {
           waiting.push(resolve)
           if (waiting.length === 3) for (const go of waiting.reverse()) go()
         })
         return [partition, [...batch].map(log => log.get('a')), signal.aborted]
       }
     }`
  )
  const tasks = [1, 2, 3].map(partition =>
    batchTask(responseText(101n, messagesOf({ a: `of ${partition}` })), { partition })
  )
  const [first, ...others] = tasks
  assert.ok(first !== undefined)
  const opened = made.run(first)
  made.port.postMessage({ kind: 'abort', client: 0, batchId: first.batchId, attempt: 1, reason: 'revoked' })
  const answers = Promise.all([opened, ...others.map(made.run)])
  assert.deepEqual(
    (await answers).map(answer => processed(answer).result),
    [
      [1, ['of 1'], true],
      [2, ['of 2'], false],
      [3, ['of 3'], false]
    ]
  )
})

test('an abort message aborts the signal of an open batch, with its reason', { timeout: 5000 }, async t => {
  const made = await started(
    t,
    `export default (batch, { signal }) =>
       new Promise(resolve => signal.addEventListener('abort', () => resolve([signal.reason.name, signal.reason.message])))`
  )
  const task = twoLogs()
  const answer = made.run(task)
  made.port.postMessage({
    kind: 'abort',
    client: 0,
    batchId: task.batchId,
    attempt: 1,
    reason: 'partition 3 was revoked'
  })
  assert.deepEqual(processed(await answer).result, ['AbortError', 'partition 3 was revoked'])
})

test('a batch whose abort came first is not started, and no other is', async t => {
  const made = await started(t, 'export default (batch, { log }) => log.info("called")')
  const [aborted, other] = [twoLogs(), twoLogs()]
  made.port.postMessage({ kind: 'abort', client: 0, batchId: aborted.batchId, attempt: 1, reason: 'revoked' })
  assert.deepEqual(await made.run(aborted), { kind: 'not-started', reason: 'aborted' })
  assert.deepEqual(made.said(), [], 'it was not even decoded')
  assert.equal((await made.run(other)).kind, 'processed')
})

test('an abort that arrives while a batch is decoded keeps it from starting', async t => {
  const made = await started(t, 'export default () => { throw new Error("called") }')
  const task = twoLogs()
  // The clock is read before and after decoding, in one turn: so this is a message that arrives in between.
  Object.defineProperty(made.clock, 'nowMs', {
    get: () => {
      made.port.postMessage({ kind: 'abort', client: 0, batchId: task.batchId, attempt: 1, reason: 'revoked' })
      return 1000
    }
  })
  assert.deepEqual(await made.run(task), { kind: 'not-started', reason: 'aborted' })
})

test('I12: past the end of the lease no batch starts', async t => {
  const made = await started(t, 'export default (batch, { log }) => log.info("called")')
  made.clock.leaseEndMs = 1000
  assert.deepEqual(await made.run(twoLogs()), { kind: 'not-started', reason: 'lease-ended' })
  made.clock.leaseEndMs = 1000.5
  assert.equal((await made.run(twoLogs())).kind, 'processed')
})

test('I12: a lease that ends while a batch is decoded keeps it from starting', async t => {
  const made = await started(t, 'export default () => { throw new Error("called") }')
  let reads = 0
  Object.defineProperty(made.clock, 'nowMs', { get: () => (++reads === 1 ? 1000 : 2000) })
  assert.deepEqual(await made.run(twoLogs()), { kind: 'not-started', reason: 'lease-ended' })
})

test('I12: a lease that was never written has ended', async t => {
  const made = await started(t, 'export default () => { throw new Error("called") }')
  for (const leaseEndMs of [0, Number.NaN]) {
    made.clock.leaseEndMs = leaseEndMs
    assert.deepEqual(await made.run(twoLogs()), { kind: 'not-started', reason: 'lease-ended' })
  }
})

test('a start that throws is told with the file, and may be tried again', async t => {
  const made = await bench(
    t,
    'let tries = 0; export default { async start () { await null; if (++tries === 1) throw new Error("no disk") }, process () {} }'
  )
  const answer = await made.run(made.start)
  assert.ok(answer.kind === 'failed' && answer.stage === 'lifecycle')
  assert.equal(answer.failure.code, 'PROCESSOR_START_FAILED')
  assert.ok(answer.failure.message.includes(made.start.processor.file) && answer.failure.message.includes('no disk'))
  assert.deepEqual(await made.run(made.start), { kind: 'done' })
})

test('a processor that does not load fails the start, not the thread', async t => {
  const made = await bench(t, 'export const nothing = 1')
  const answer = await made.run(made.start)
  assert.ok(answer.kind === 'failed' && answer.stage === 'lifecycle' && answer.failure.code === 'PROCESSOR_SHAPE')
})

for (const hook of ['assign', 'revoke', 'stop'] as const) {
  test(`a ${hook} that throws is told as data`, async t => {
    const made = await started(t, `export default { process () {}, async ${hook} () { throw new Error("no disk") } }`)
    const task: ThreadTask =
      hook === 'stop' ? { kind: hook } : { kind: hook, topicId: TOPIC_ID, partition: 3, epoch: 1 }
    const answer = await made.run(task)
    assert.ok(answer.kind === 'failed' && answer.stage === 'lifecycle')
    assert.ok(answer.failure.message.includes(`${hook} threw Error: no disk`))
  })
}

test('a batch before start and a second start are mistakes of ours, told as data', async t => {
  const made = await bench(t, 'export default () => {}')
  const early = await made.run(twoLogs())
  assert.ok(early.kind === 'failed' && early.failure.code === 'INVARIANT_BROKEN')
  await made.run(made.start)
  const again = await made.run(made.start)
  assert.ok(again.kind === 'failed' && again.failure.code === 'INVARIANT_BROKEN')
})

test('a log line never fails a batch, whatever is logged', async t => {
  const made = await started(
    t,
    `export default (batch, { log }) => {
       log.warn({ no: 'text' }, { error: new Error('x'), fn () {}, sym: Symbol('s'), n: 1, big: 2n, nothing: null, on: true })
       log.debug('plain')
       log.error('odd', 5)
     }`
  )
  assert.equal((await made.run(twoLogs())).kind, 'processed')
  const [warned, plain, odd] = made.said().filter(message => message.kind === 'log')
  assert.ok(warned?.kind === 'log' && warned.level === 'warn' && warned.message === "{ no: 'text' }")
  const { error, fn, sym, ...rest } = warned.fields
  assert.ok(String(error).startsWith('Error: x') && typeof fn === 'string' && sym === 'Symbol(s)')
  assert.deepEqual(rest, { n: 1, big: 2n, nothing: null, on: true })
  assert.deepEqual(plain, { kind: 'log', client: 0, level: 'debug', message: 'plain', fields: {} })
  assert.deepEqual(odd, { kind: 'log', client: 0, level: 'error', message: 'odd', fields: { value: '5' } })
})

const PLACE = { topicId: TOPIC_ID, partition: 3, epoch: 7 }

test('a revoke that saves tells it, once, when it has returned', async t => {
  const source =
    'export default { process () {}, async revoke (_, { save, log }) { save(); await null; save(); log.info("flushed") } }'
  const { run, said } = await started(t, source, null, { commitMode: 'manual' })
  assert.deepEqual(await run({ kind: 'revoke', ...PLACE }), { kind: 'done' })
  const [line, ...saved] = said()
  assert.equal(line?.kind, 'log')
  assert.deepEqual(saved, [{ kind: 'saved', client: 0, ...PLACE }])
})

test('a revoke that does not save, or throws after it did, tells of no save', async t => {
  for (const [body, kind] of [
    ['', 'done'],
    ['save(); throw new Error("the rest is not flushed")', 'failed']
  ] as const) {
    const source = `export default { process () {}, revoke (_, { save }) { ${body} } }`
    const { run, said } = await started(t, source, null, { commitMode: 'manual' })
    assert.equal((await run({ kind: 'revoke', ...PLACE })).kind, kind)
    assert.deepEqual(said(), [])
  }
})

test('a save of a revoke with automatic commits, or after it has settled, is CONSUMER_STATE', async t => {
  const revoke = 'revoke (_, { save }) { globalThis.savedLate = save; save() }'
  const made = await started(t, `export default { process () {}, ${revoke} }`)
  t.after(() => Reflect.deleteProperty(globalThis, 'savedLate'))
  const answer = await made.run({ kind: 'revoke', ...PLACE })
  assert.ok(answer.kind === 'failed' && answer.stage === 'lifecycle')
  assert.equal(answer.failure.code, 'CONSUMER_STATE')
  assert.match(answer.failure.message, /save\(\) at .*processor-\d+\.mjs:1:\d+ .*set commitMode: 'manual'/)

  const manual = await started(t, `export default { process () {}, ${revoke} }`, null, { commitMode: 'manual' })
  await manual.run({ kind: 'revoke', ...PLACE })
  manual.said()
  const late: unknown = Reflect.get(globalThis, 'savedLate')
  assert.ok(typeof late === 'function')
  assert.throws(() => late(), { code: 'CONSUMER_STATE', message: /after revoke had settled/ })
  assert.deepEqual(manual.said(), [])
})

test('an assign has nothing to save', async t => {
  const source = 'export default { process () {}, assign (_, context) { context.log.info(String(context.save)) } }'
  const { run, said } = await started(t, source, null, { commitMode: 'manual' })
  await run({ kind: 'assign', ...PLACE })
  assert.deepEqual(
    said().map(message => message.kind === 'log' && message.message),
    ['undefined']
  )
})

test('the processor’s own policy is told once start has returned, and before that is answered', async t => {
  const source =
    'export default { onFailure: "park", async start ({ log }) { await null; log.info("started") }, process () {} }'
  const { said } = await started(t, source)
  const [line, ...policies] = said()
  assert.equal(line?.kind, 'log')
  assert.deepEqual(policies, [{ kind: 'policy', client: 0, onFailure: 'park' }])
})

test('a policy that start sets by its options counts; a processor without one tells of none', async t => {
  const source = 'export default { start ({ options }) { this.onFailure = options }, process () {} }'
  const { said } = await started(t, source, 'skip')
  assert.deepEqual(said(), [{ kind: 'policy', client: 0, onFailure: 'skip' }])
  assert.deepEqual((await started(t, 'export default () => {}')).said(), [])
  const made = await bench(t, source, 'never')
  const answer = await made.run(made.start)
  assert.ok(answer.kind === 'failed' && answer.failure.code === 'PROCESSOR_SHAPE')
  assert.match(answer.failure.message, /onFailure that is 'never'/)
  assert.deepEqual(made.said(), [])
})

test('a policy of dead letters without a directory fails the start with the cure, and may be tried again', async t => {
  const made = await bench(t, 'export default { onFailure: "dead-letter", process () {} }')
  for (let tries = 0; tries < 2; tries++) {
    const answer = await made.run(made.start)
    assert.ok(answer.kind === 'failed' && answer.stage === 'lifecycle')
    assert.equal(answer.failure.code, 'DEAD_LETTER_DIRECTORY')
    assert.match(answer.failure.message, /set the option deadLetterDirectory.*processor-\d+\.mjs/)
    assert.deepEqual(made.said(), [])
  }
  assert.deepEqual(await made.run({ ...made.start, deadLetters: 'written' }), { kind: 'done' })
  assert.deepEqual(made.said(), [{ kind: 'policy', client: 0, onFailure: 'dead-letter' }])
})

test('the rules of a consumer reach its batches', async t => {
  const source = 'export default ([log], { save, deadLetter }) => { save(); deadLetter(log, "bad") }'
  const made = await started(t, source, null, { commitMode: 'manual', deadLetters: 'written' })
  const { isSaved, letters } = processed(await made.run(twoLogs()))
  assert.deepEqual([isSaved, letters.map(({ reason }) => reason)], [true, ['bad']])
})

/** What a processor says by its context: what it does to the answer, and when it is too late or means nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeLogGroup } from '../../src/cls/log-group.ts'
import type { BatchAnswer, BatchTask, FromThread } from '../../src/dispatch/messages.ts'
import type { Log, LogBatch, LogGroup } from '../../workers/batch-view.ts'
import type { ProcessFunction, ProcessorContext } from '../../workers/define-processor.ts'
import type { MarkRules } from '../../workers/marks.ts'
import { type BatchWorld, runBatch } from '../../workers/open-batch.ts'
import { worldOf } from './batch-world.ts'
import { batchTask, groupOf, messageOf, messagesOf, responseText, TOPIC_ID } from './bodies.ts'
import { processed, twoLogs } from './thread-bench.ts'

const ALL: MarkRules = { commitMode: 'manual', deadLetters: 'written' }

function play(
  process: ProcessFunction,
  rules: MarkRules = ALL,
  task: BatchTask = twoLogs(),
  overrides: Partial<BatchWorld> = {}
): Promise<BatchAnswer> {
  return runBatch(task, worldOf(process, { rules, ...overrides }))
}

/** What a processor kept beyond the end of its batch. */
async function keep(process: ProcessFunction = () => 'done', post?: (message: FromThread) => void) {
  let kept: { batch: LogBatch; log: Log; context: ProcessorContext } | undefined
  const answer = await play(
    (batch, context) => {
      const [log] = batch
      assert.ok(log !== undefined)
      kept = { batch, log, context }
      return process(batch, context)
    },
    ALL,
    twoLogs(),
    post === undefined ? {} : { post }
  )
  assert.ok(kept !== undefined)
  return { ...kept, answer }
}

function failure(answer: BatchAnswer) {
  assert.ok(answer.kind === 'failed' && answer.stage === 'process', answer.kind)
  return answer.failure
}

test('a batch that says nothing is not saved and has no letters, and so is one without logs', async () => {
  const empty = batchTask(responseText(102n, ['***']))
  for (const task of [twoLogs(), empty]) {
    const { isSaved, letters } = processed(await play(() => undefined, ALL, task))
    assert.deepEqual({ isSaved, letters }, { isSaved: false, letters: [] })
  }
})

test('a save is told with the batch, however often it was called, and goes with the batch’s result', async () => {
  const answer = processed(
    await play(async (_, { save }) => {
      save()
      await null
      save()
      return 'result'
    })
  )
  assert.deepEqual([answer.isSaved, answer.result], [true, 'result'])
})

test('a rewind takes the place of the result, and the last call wins', async () => {
  const rewound = await play((batch, { rewind, save, deadLetter }) => {
    for (const log of batch) deadLetter(log, 'bad')
    save()
    rewind(7n)
    rewind(2n ** 63n - 1n)
    rewind(12)
    // Of what is not delivered it does not matter that it could not be.
    return () => undefined
  })
  assert.deepEqual(rewound, { kind: 'rewound', offset: 12n })
  assert.deepEqual(await play((_, { rewind }) => rewind(0)), { kind: 'rewound', offset: 0n })
})

test('a rewind works where messages of the response are poison', async () => {
  const [one = ''] = messagesOf({ a: '1' })
  const task = batchTask(responseText(103n, ['***', one, 5]))
  assert.deepEqual(await play((batch, { rewind }) => rewind(batch.startOffset), ALL, task), {
    kind: 'rewound',
    offset: 100n
  })
})

for (const [name, offset, shown] of [
  ['a negative one', -1n, '-1n'],
  ['a negative number', -1, '-1'],
  ['a fraction', 1.5, '1.5'],
  ['a number past the safe integers', 2 ** 53, '9007199254740992'],
  ['one past int64', 2n ** 63n, '9223372036854775808n'],
  ['a text', '5', "'5'"],
  ['nothing', undefined, 'undefined'],
  ['not a number', Number.NaN, 'NaN']
] as const) {
  test(`a rewind to ${name} fails the attempt, and names it`, async () => {
    const answer = await play((_, context) => Reflect.apply(context.rewind, context, [offset]))
    const { code, message } = failure(answer)
    assert.equal(code, 'PROCESSOR_FAILED')
    assert.ok(message.includes('TypeError: context.rewind(…) takes an offset') && message.includes(shown), message)
  })
}

test('a rewind that was refused, and caught, leaves the one before', async () => {
  const answer = await play((_, { rewind }) => {
    rewind(5n)
    assert.throws(() => rewind(-5n), TypeError)
  })
  assert.deepEqual(answer, { kind: 'rewound', offset: 5n })
})

test('of an attempt that fails no save, rewind or letter is left, and the next one begins anew', async () => {
  let attempts = 0
  const process: ProcessFunction = (batch, { save, rewind, deadLetter }) => {
    if (++attempts === 2) return 'done'
    const [log] = batch
    assert.ok(log !== undefined)
    save()
    rewind(5n)
    deadLetter(log, 'bad')
    throw new Error('the sink is full')
  }
  const world = worldOf(process, { rules: ALL })
  const failed = await runBatch(twoLogs(), world)
  assert.deepEqual(Object.keys(failed), ['kind', 'stage', 'failure'])
  assert.equal(failure(failed).code, 'PROCESSOR_FAILED')
  const { isSaved, letters, result } = processed(await runBatch(twoLogs({ attempt: 2 }), world))
  assert.deepEqual({ isSaved, letters, result }, { isSaved: false, letters: [], result: 'done' })
})

test('a letter names its message in the response, poison counted, and its log in the group', async () => {
  const group = groupOf([{ a: '1' }, { a: '2' }, { a: '3' }], { source: 'here' })
  const messages = ['***', ...messagesOf({ b: '1' }), 5, messageOf(group)]
  const answer = processed(
    await play(
      (batch, { deadLetter }) => {
        for (const log of batch) if (log.get('a') === '2' || log.has('b')) deadLetter(log, `bad ${log.get('a')}`)
      },
      ALL,
      batchTask(responseText(104n, messages))
    )
  )
  assert.deepEqual(
    answer.letters.map(({ raw, ...rest }) => ({ ...rest, group: decodeLogGroup(raw) })),
    [
      { kind: 'log', messageIndex: 1, logIndex: 0, reason: 'bad undefined', group: groupOf([{ b: '1' }]) },
      { kind: 'log', messageIndex: 3, logIndex: 1, reason: 'bad 2', group: groupOf([{ a: '2' }], { source: 'here' }) }
    ]
  )
  assert.deepEqual(structuredClone(answer.letters), answer.letters)
})

test('a group has a letter of its own, beside those of its logs, and names its message in the response', async () => {
  const group = groupOf([{ a: '1' }, { a: '2' }], { source: 'here' })
  const answer = processed(
    await play(
      (batch, { deadLetter }) => {
        for (const each of batch.groups) {
          deadLetter(each, `of ${each.source}`)
          for (const log of each) if (log.get('a') === '2') deadLetter(log, 'likewise')
        }
      },
      ALL,
      batchTask(responseText(103n, ['***', messageOf(group), 5]))
    )
  )
  assert.deepEqual(
    answer.letters.map(({ raw, ...rest }) => ({ ...rest, group: decodeLogGroup(raw) })),
    [
      { kind: 'group', messageIndex: 1, reason: 'of here', group },
      { kind: 'log', messageIndex: 1, logIndex: 1, reason: 'likewise', group: { ...group, logs: group.logs.slice(1) } }
    ]
  )
  assert.deepEqual(structuredClone(answer.letters), answer.letters)
})

test('a letter may be asked for later in the batch, of a view from anywhere in it', async () => {
  const answer = processed(
    await play(async (batch, { deadLetter }) => {
      const [group] = batch.groups
      const [log] = group ?? []
      await null
      if (log !== undefined) deadLetter(log, 'late')
    })
  )
  assert.equal(answer.letters.length, 1)
})

test('a letter of what is no log or group of the batch fails the attempt, and says what it was', async () => {
  let foreignGroup: LogGroup | undefined
  const { log: foreign } = await keep(([log]) => {
    foreignGroup = log?.group
  })
  for (const [make, says] of [
    [() => foreign, 'not one of another batch'],
    [() => foreignGroup, 'not one of another batch'],
    [(batch: LogBatch) => batch, 'not LogBatch'],
    [(batch: LogBatch) => batch.toObjects()[0], "not { a: '1' }"],
    [() => undefined, 'not undefined'],
    [() => 3, 'not 3']
  ] as const) {
    const answer = await play((batch, context) => {
      Reflect.apply(context.deadLetter, context, [make(batch), 'why'])
    })
    const { code, message } = failure(answer)
    assert.equal(code, 'PROCESSOR_FAILED')
    assert.ok(message.includes('TypeError: context.deadLetter(logOrGroup, …)') && message.includes(says), message)
  }
})

test('a letter needs a reason in words', async () => {
  for (const [reason, says] of [
    ['', "not ''"],
    [undefined, 'not undefined'],
    [new Error('no table'), 'give its message']
  ] as const) {
    const answer = await play((batch, context) => {
      Reflect.apply(context.deadLetter, context, [[...batch][0], reason])
    })
    const { message } = failure(answer)
    assert.ok(message.includes('TypeError: context.deadLetter(…, reason)') && message.includes(says), message)
  }
})

test('without a directory a letter is refused with the cure, whatever else is wrong with it', async () => {
  const { code, message, place } = failure(
    await play((_, context) => Reflect.apply(context.deadLetter, context, []), { ...ALL, deadLetters: 'off' })
  )
  assert.equal(code, 'DEAD_LETTER_DIRECTORY')
  assert.match(message, /^context\.deadLetter\(\) at .*marks\.test.*:\d+ .*set the option deadLetterDirectory/)
  assert.deepEqual(place, { topicId: TOPIC_ID, partition: 3, offset: 100n, file: '/my/processor.mjs' })
})

test('with automatic commits a save is refused with the cure', async () => {
  const { code, message } = failure(await play((_, { save }) => save(), { ...ALL, commitMode: 'auto' }))
  assert.equal(code, 'CONSUMER_STATE')
  assert.match(message, /^context\.save\(\) at .*marks\.test.*:\d+ .*set commitMode: 'manual'/)
})

for (const [name, process] of [
  ['was processed', () => 'done'],
  ['failed', () => Promise.reject(new Error('no'))],
  ['was rewound', (_: LogBatch, { rewind }: ProcessorContext) => rewind(5n)]
] satisfies [string, ProcessFunction][]) {
  test(`a save or rewind after its batch ${name} throws, for it would count for nothing`, async () => {
    const { context } = await keep(process)
    for (const call of [() => context.save(), () => context.rewind(5n)]) {
      assert.throws(call, { code: 'CONSUMER_STATE', message: /after process had settled.*await everything/ })
    }
  })

  test(`a letter after its batch ${name} throws, as views do`, async () => {
    const { context, log } = await keep((batch, marks) => {
      for (const each of batch) marks.deadLetter(each, 'in time')
      return process(batch, marks)
    })
    assert.throws(() => context.deadLetter(log, 'late'), { code: 'BATCH_CLOSED' })
  })
}

test('a log used after a rewind is told, for the partition may have gone on behind it', async () => {
  const said: FromThread[] = []
  const { log } = await keep(
    (_, { rewind }) => rewind(500n),
    message => void said.push(message)
  )
  assert.throws(() => log.get('a'), { code: 'BATCH_CLOSED' })
  assert.deepEqual(
    said.map(({ kind }) => kind),
    ['next-offset', 'broken']
  )
})

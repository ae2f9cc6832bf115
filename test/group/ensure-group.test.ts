import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClsConsumerError } from '../../src/errors.ts'
import { decideGroup, ensureGroup } from '../../src/group/ensure-group.ts'
import type { ConsumerOptions } from '../../src/options.ts'
import type { ConsumerGroup } from '../../src/world.ts'
import { createKeptLog, rejection } from '../cls/fakes.ts'
import { createFakeControl } from '../support/fake-control.ts'
import { settingsWith } from '../support/settings.ts'

const BOUNDED = { timeout: 10_000 }
const WANTED: ConsumerGroup = { group: 'group', timeoutSeconds: 40, topicIds: ['topic-a', 'topic-b'] }

function found(topicIds: readonly string[], timeoutSeconds = 40): ConsumerGroup {
  return { group: 'group', timeoutSeconds, topicIds }
}

describe('the decision about the group', () => {
  for (const [title, group, updateGroup, expected] of [
    ['an absent group is created', undefined, false, { kind: 'create' }],
    ['the same topics in another order are left alone', found(['topic-b', 'topic-a']), false, { kind: 'none' }],
    ['a missing topic is added', found(['topic-a']), false, { kind: 'modify' }],
    ['another timeout is changed', found(['topic-a', 'topic-b'], 60), false, { kind: 'modify' }],
    [
      "another's topic is not removed",
      found(['topic-a', 'topic-b', 'theirs']),
      false,
      { kind: 'refuse', foreignTopicIds: ['theirs'] }
    ],
    ["another's topic is removed on request", found(['topic-a', 'topic-b', 'theirs']), true, { kind: 'modify' }],
    [
      "another's topic counts before what is missing",
      found(['theirs']),
      false,
      { kind: 'refuse', foreignTopicIds: ['theirs'] }
    ],
    ['updateGroup alone changes nothing', found(['topic-a', 'topic-b']), true, { kind: 'none' }]
  ] as const) {
    test(title, () => assert.deepEqual(decideGroup(WANTED, group, updateGroup), expected))
  }
})

function bench(options: Partial<ConsumerOptions> = {}) {
  const control = createFakeControl()
  const log = createKeptLog()
  const settings = settingsWith({ topicIds: ['topic-a', 'topic-b'], heartbeatIntervalMs: 20_000, ...options })
  control.created.always = () => true
  control.modified.always = () => undefined
  const ensure = (signal = new AbortController().signal) => ensureGroup({ control: control.api, log }, settings, signal)
  return { control, ensure }
}

describe('ensuring the group', () => {
  test('an absent group is created with the topics and twice the interval', BOUNDED, async () => {
    const { control, ensure } = bench({ heartbeatIntervalMs: 1500 })
    control.groups.always = () => [{ group: 'other', timeoutSeconds: 1, topicIds: [] }]
    await ensure()
    assert.deepEqual(control.created.asks, [{ ...WANTED, timeoutSeconds: 3 }])
    assert.deepEqual(control.modified.asks, [])
  })

  test('a group as it should be is not touched', BOUNDED, async () => {
    const { control, ensure } = bench()
    control.groups.always = () => [WANTED]
    await ensure()
    assert.deepEqual([control.created.asks, control.modified.asks], [[], []])
  })

  test('what differs is modified, once', BOUNDED, async () => {
    const { control, ensure } = bench()
    control.groups.always = () => [found(['topic-a'])]
    await ensure()
    assert.deepEqual([control.created.asks, control.modified.asks], [[], [WANTED]])
  })

  test("another's topics are refused by name, and nothing is changed", BOUNDED, async () => {
    const { control, ensure } = bench()
    control.groups.always = () => [found(['topic-a', 'theirs-1', 'theirs-2'])]
    const error = await rejection('GROUP_TOPICS', ensure())
    assert.match(error.message, /theirs-1, theirs-2/)
    assert.match(error.message, /updateGroup/)
    assert.deepEqual([control.created.asks, control.modified.asks], [[], []])
  })

  test('with updateGroup they are removed', BOUNDED, async () => {
    const { control, ensure } = bench({ updateGroup: true })
    control.groups.always = () => [found(['topic-a', 'topic-b', 'theirs'])]
    await ensure()
    assert.deepEqual(control.modified.asks, [WANTED])
  })

  test('a group that another creates in between is judged as found', BOUNDED, async () => {
    const { control, ensure } = bench()
    control.groups.always = () => (control.created.all.length === 0 ? [] : [found(['topic-a', 'theirs'])])
    control.created.always = () => false
    await rejection('GROUP_TOPICS', ensure())
    assert.equal(control.groups.all.length, 2)
    assert.deepEqual(control.modified.asks, [])
  })

  test('a group created in between with the same topics is left alone', BOUNDED, async () => {
    const { control, ensure } = bench()
    control.groups.always = () => (control.created.all.length === 0 ? [] : [WANTED])
    control.created.always = () => false
    await ensure()
    assert.deepEqual(control.modified.asks, [])
  })

  test('a group that exists and is not listed is modified rather than asked for without end', BOUNDED, async () => {
    const { control, ensure } = bench()
    control.groups.always = () => []
    control.created.always = () => false
    await ensure()
    assert.deepEqual([control.groups.all.length, control.modified.asks], [2, [WANTED]])
  })

  test('I6: an error of the look is an error, not an absent group', BOUNDED, async () => {
    const { control, ensure } = bench()
    control.groups.always = () => {
      throw new ClsConsumerError('API_UNAUTHORIZED', 'no')
    }
    await rejection('API_UNAUTHORIZED', ensure())
    assert.deepEqual(control.created.asks, [])
  })

  test('it ends as soon as the consumer stops', BOUNDED, async () => {
    const { ensure } = bench()
    const stop = new AbortController()
    const ensured = ensure(stop.signal)
    stop.abort(new ClsConsumerError('CONSUMER_STATE', 'stopping'))
    await rejection('CONSUMER_STATE', ensured)
  })
})

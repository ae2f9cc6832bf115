/** A partition that is split while its start is looked up must not be taken for one that has nothing left to read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lookUpStarts } from '../../src/group/start-position.ts'
import { createFakeControl } from '../support/fake-control.ts'

test('I11: a partition that gets logs and is split while it opens has its start committed', {
  timeout: 10_000
}, async () => {
  const control = createFakeControl()
  let isSplit = false
  // Begin and end are asked for while it is empty; then logs come up to 4, and it is split.
  control.offsets.always = ({ from }) => {
    const isLooked = control.offsets.all.length > 2
    isSplit = control.offsets.all.length >= 2
    return new Map([[0, isLooked && from === 'end' ? 4n : 0n]])
  }
  control.partitions.always = () => [
    {
      partition: 0,
      status: isSplit ? 'readonly' : 'readwrite',
      beginKey: '0'.repeat(32),
      endKey: 'f'.repeat(32),
      createTime: ''
    }
  ]
  const starts = await lookUpStarts(
    { control: control.api },
    { group: 'group', startFrom: 'end' },
    {
      topicId: 'topic-a',
      partitions: [0],
      partitionsAtJoin: new Set([0]),
      past: { leftAt: new Map(), isGroupMadeAgain: false },
      acknowledged: new Set(),
      signal: new AbortController().signal,
      groupMadeAgain: () => assert.fail('nothing was acknowledged')
    }
  )
  assert.equal(starts.get(0)?.offset, 0n)
  assert.equal(starts.get(0)?.mustCommit, true, 'a successor would find nothing committed, and begin behind its logs')
})

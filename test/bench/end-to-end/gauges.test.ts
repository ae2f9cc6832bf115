import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { cpuMsOfThreads, ThreadGauges } from '../../../bench/end-to-end/gauges.ts'

test('each thread has a slot of its own, seen through the same memory', () => {
  const here = new ThreadGauges()
  const there = new ThreadGauges(here.shared)
  const [one, other] = [there.take(), there.take()]
  one.add('hitCount', 2)
  one.add('hitCount', 3)
  other.add('hitCount', 7)
  other.add('gcMs', 0.5)
  assert.deepEqual(here.all('hitCount'), [5, 7])
  assert.deepEqual(here.all('gcMs'), [0, 0.5])
  assert.deepEqual(here.all('logCount'), [0, 0])
})

test('CPU time of a thread grows with its work; of one that is not there nothing is told', {
  skip: !existsSync('/proc/thread-self')
}, () => {
  const gauges = new ThreadGauges()
  gauges.take()
  const ids = gauges.all('threadId')
  const before = cpuMsOfThreads(ids) ?? assert.fail('nothing was told')
  const endMs = process.cpuUsage().user / 1000 + 50
  while (process.cpuUsage().user / 1000 < endMs);
  const spentMs = (cpuMsOfThreads(ids) ?? 0) - before
  assert.ok(spentMs >= 25 && spentMs < 5000, String(spentMs))
  assert.equal(cpuMsOfThreads([2 ** 30]), undefined)
  assert.equal(cpuMsOfThreads([]), 0)
})

/** Real input: an access log, uploaded with its fields, consumed, and counted as awk counts it over the file. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lineToLog } from '../../src/cli/logs.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import type { Stage } from './harness/stage.ts'

/** Beside the repository, where there is one. */
const FILE = fileURLToPath(new URL('../../../../shared/data/access.log', import.meta.url))
const AWK = '{ split($3, after, " "); count[after[1]]++ } END { for (status in count) print status, count[status] }'

test('a real access log is processed line by line: counts per status are those of awk', {
  timeout: 60_000
}, context => {
  if (!existsSync(FILE)) {
    context.skip(`there is no ${FILE}`)
    return
  }
  const lines = readFileSync(FILE, 'utf8')
    .split('\n')
    .filter(line => line !== '')
  return play({ topicCount: 1, partitionCount: 4 }, async stage => {
    const lanes = stage.producer.lanes(stage.topicId, 4)
    for (const [index, lane] of lanes.entries()) {
      const own = lines.filter((_, number) => number % lanes.length === index)
      const logs = own.map(line => lineToLog(line, Date.now()).contents)
      await stage.producer.sendLogs(lane, logs, 50)
    }
    assert.equal(stage.producer.ids().length, lines.length)
    const part = { options: { pullBytes: 128 * 1024, stopAt: 'now' }, behaviour: { wordKey: 'status' } } as const
    const [a, b] = [stage.fork('A', part), stage.fork('B', part)]
    await Promise.all([a.finished(30_000), b.finished(30_000)])

    assert.deepEqual(assertSound(stage.evidence()).explained, [])
    assert.deepEqual(countStatuses(stage), countByAwk())
    assert.deepEqual(await stage.committed(), await stage.ends())
  })
})

function countStatuses(stage: Stage): Map<string, number> {
  const counts = new Map<string, number>()
  for (const consumer of stage.consumers) {
    for (const line of consumer.lines()) {
      if (line.kind !== 'end') continue
      for (const status of line.words) counts.set(status, (counts.get(status) ?? 0) + 1)
    }
  }
  return sorted(counts)
}

function countByAwk(): Map<string, number> {
  const rows = execFileSync('awk', ['-F', '"', AWK, FILE], { encoding: 'utf8' }).trim().split('\n')
  return sorted(
    new Map(
      rows.map(row => {
        const [status = '', count = ''] = row.split(' ')
        return [status, Number(count)]
      })
    )
  )
}

function sorted(counts: ReadonlyMap<string, number>): Map<string, number> {
  return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
}

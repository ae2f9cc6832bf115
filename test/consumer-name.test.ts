import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseName, warnOfName } from '../src/consumer-name.ts'
import { OPTIONS } from '../src/options.ts'
import { realRandom } from '../src/real-world.ts'
import { chance, createKeptLog } from './cls/fakes.ts'

const ACCEPTED_EVERYWHERE = /^[A-Za-z][A-Za-z0-9_-]{0,254}$/

for (const host of ['web-1', 'ip-10-0-0-1.ec2.internal', '9lives', 'ホスト', '', 'x'.repeat(300)]) {
  test(`the default name is accepted everywhere on host ${JSON.stringify(host.slice(0, 30))}`, () => {
    const name = chooseName(chance(0), host, 4242)
    assert.match(name, ACCEPTED_EVERYWHERE)
    assert.equal(OPTIONS.consumer.parse(name), name)
    assert.ok(name.includes('4242'))
  })
}

test('two consumers of one process have different names', () => {
  assert.notEqual(chooseName(realRandom), chooseName(realRandom))
})

test('a name that some pages of the service refuse is warned of, not refused', () => {
  for (const name of ['0digits', 'a.b', '_x']) {
    const log = createKeptLog()
    warnOfName(log, 'group', name)
    assert.deepEqual(
      log.lines.map(({ level, fields }) => [level, fields.name]),
      [['warn', name]]
    )
  }
  const log = createKeptLog()
  warnOfName(log, 'group', 'a-name_1')
  assert.deepEqual(log.lines, [])
})

/** The emulator's faults and quirks as users of the command line meet them: a process with flags. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Json, parseJson } from '../../src/cls/json.ts'
import { at, listAt, post } from '../emulator/support.ts'
import { startCli } from './command.ts'

const BOUNDED = { timeout: 60_000 }

test('flags may be given more than once, and a comma inside one parts nothing', BOUNDED, async t => {
  const flags = ['--fault', 'pull_log:delay:5,every=3', '--fault', '*:drop:body,times=1', '--quirk', 'size=log-groups']
  const cli = startCli(['emulator', '--port', '0', '--rate-limits', ...flags, '--quirk', 'base64=escaped'], t)
  await cli.seen(/is ready/)
  const admin = /PATCH settings at (http\S+)$/m.exec(cli.out())?.[1] ?? ''
  const state: Json = parseJson((await post(admin, 'state', {}, '', 'GET')).body.toString())
  assert.deepEqual(
    listAt(state, 'faults').map(entry => at(entry, 'rule')),
    [
      { every: 3, action: 'pull_log', fault: { kind: 'delay', ms: 5 } },
      { times: 1, fault: { kind: 'drop', when: 'body' } }
    ]
  )
  assert.deepEqual([at(at(state, 'quirks'), 'size'), at(at(state, 'quirks'), 'base64')], ['log-groups', 'escaped'])
  cli.child.kill('SIGTERM')
  assert.equal((await cli.ended).code, 0)
})

test(
  'wrong rules and quirks are told together with all else that is wrong, and the exit code is 2',
  BOUNDED,
  async t => {
    const cli = startCli(['emulator', '--fault', 'x:y', '--quirk', 'size=1', '--port', 'p', '--falt', 'a'], t)
    assert.equal((await cli.ended).code, 2)
    for (const pattern of [/unknown flag --falt/, /--fault "x:y"/, /quirk size is "1"/, /--port is "p"/]) {
      assert.match(cli.err(), pattern)
    }
  }
)

test('the help tells quirks, faults and actions', BOUNDED, async t => {
  const cli = startCli(['emulator', '--help'], t)
  assert.equal((await cli.ended).code, 0)
  for (const word of [
    'nextOffset=first|last|lying',
    'drop:before|headers|body|answer',
    'structuredlog',
    '--rate-limits'
  ]) {
    assert.ok(cli.out().includes(word), word)
  }
  for (const flag of ['fault', 'quirk']) assert.match(cli.out(), new RegExp(`--${flag} [^[]*\\[repeatable\\]`))
})

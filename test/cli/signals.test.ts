/** The first signal asks, the second ends. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { watchSignals } from '../../src/cli/signals.ts'

function watched() {
  const emitter = new EventEmitter()
  const exits: number[] = []
  const said: string[] = []
  // The part of `process` that is used: an emitter.
  const fake = Object.assign(Object.create(process), {
    on: (name: string, handler: () => void) => emitter.on(name, handler),
    off: (name: string, handler: () => void) => emitter.off(name, handler)
  })
  const watch = watchSignals({ process: fake, say: line => said.push(line), exit: code => exits.push(code) })
  return { emitter, exits, said, watch }
}

test('the first signal aborts `stop` and ends nothing', () => {
  const { emitter, exits, said, watch } = watched()
  assert.equal(watch.stop.aborted, false)
  emitter.emit('SIGTERM')
  assert.equal(watch.stop.aborted, true)
  assert.deepEqual(exits, [])
  assert.match(said.join(), /SIGTERM/)
})

test('the second signal ends the process with 128 and its number, whatever the first was', () => {
  for (const [first, second, code] of [
    ['SIGINT', 'SIGINT', 130],
    ['SIGINT', 'SIGTERM', 143],
    ['SIGTERM', 'SIGINT', 130]
  ] as const) {
    const { emitter, exits } = watched()
    emitter.emit(first)
    emitter.emit(second)
    assert.deepEqual(exits, [code])
  }
})

test('after release no signal is handled', () => {
  const { emitter, watch } = watched()
  watch.release()
  assert.deepEqual([emitter.listenerCount('SIGINT'), emitter.listenerCount('SIGTERM')], [0, 0])
})

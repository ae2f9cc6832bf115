/**
 * The entry of an emulator in a process of its own.
 *
 * In: calls from the process that started it. Out: one answer each. It ends when told so, and by itself when its starter
 * is gone, however that ended: the channel to it closes with it. Ending means that nothing is left to wait for.
 */
import { toFailure } from '../errors.ts'
import { type ChildAnswer, type ChildCall, isChildCall } from './child-messages.ts'
import { resolveEmulatorOptions } from './settings.ts'
import { type EmulatorHere, startHere } from './start.ts'

let here: EmulatorHere | undefined

process.on('message', message => {
  if (isChildCall(message)) void take(message)
})
process.on('disconnect', () => void here?.server.suspend())

async function take(call: ChildCall): Promise<void> {
  try {
    say(await answer(call))
  } catch (error) {
    say({ callId: call.callId, kind: 'failed', failure: toFailure(error, 'EMULATOR_NOT_STARTED') })
  }
  if (call.kind === 'stop') process.disconnect()
}

async function answer(call: ChildCall): Promise<ChildAnswer> {
  const { callId } = call
  if (call.kind === 'start') {
    here = await startHere(resolveEmulatorOptions(call.options))
    // The starter may have gone while we began to listen, and then nobody would ever end us.
    if (!process.connected) await here.server.suspend()
    return { callId, kind: 'started', port: here.server.port }
  }
  if (call.kind === 'suspend' || call.kind === 'stop') await here?.server.suspend()
  if (call.kind === 'resume') await here?.server.listen()
  if (call.kind === 'faults') here?.setFaults(call.rules)
  if (call.kind === 'settings') here?.change(call.change)
  if (call.kind === 'snapshot' && here !== undefined) return { callId, kind: 'snapshot', snapshot: here.snapshot() }
  return { callId, kind: 'done' }
}

function say(message: ChildAnswer): void {
  if (process.connected) process.send?.(message)
}

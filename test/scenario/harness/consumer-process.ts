/**
 * The entry of a consumer in a process of its own.
 *
 * In: one spec, then commands, from the process that forked it. Out: lines of the ledger; answers to `snapshot`. It ends
 * when its consumer has finished, by having nothing left to wait for, and when its parent is gone.
 */

import type { Consumer } from '../../../src/consumer.ts'
import type { ConsumerSnapshot } from '../../../src/consumer-events.ts'
import { type ConsumerSpec, record } from './recording.ts'

export type Command =
  | { readonly kind: 'start'; readonly spec: ConsumerSpec }
  | { readonly kind: 'stop' }
  | { readonly kind: 'snapshot' }

export interface SnapshotAnswer {
  readonly kind: 'snapshot'
  readonly snapshot: ConsumerSnapshot
}

let consumer: Consumer | undefined

if (process.send !== undefined) {
  process.on('message', message => {
    if (isCommand(message)) take(message)
  })
  process.on('disconnect', () => void consumer?.stop())
  process.on('SIGTERM', () => void consumer?.stop())
}

function take(command: Command): void {
  if (command.kind === 'start') {
    consumer = record(command.spec, line => void process.stderr.write(line))
    const leave = (): void => {
      if (process.connected) process.disconnect()
    }
    consumer.finished.then(leave, leave)
  } else if (command.kind === 'stop') {
    void consumer?.stop()
  } else if (consumer !== undefined) {
    const answer: SnapshotAnswer = { kind: 'snapshot', snapshot: consumer.snapshot() }
    process.send?.(answer)
  }
}

/** Both ends are this harness, in one version. */
function isCommand(message: unknown): message is Command {
  return typeof message === 'object' && message !== null && 'kind' in message
}

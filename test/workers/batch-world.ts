/** The part of a thread that one batch touches, without the thread. */
import { Aborts } from '../../workers/aborts.ts'
import type { ProcessFunction } from '../../workers/define-processor.ts'
import { MemoryList } from '../../workers/kernel/memory-list.ts'
import type { BatchWorld } from '../../workers/open-batch.ts'

/** With a lease that lasts, automatic commits and no dead letters. */
export function worldOf(process: ProcessFunction, overrides: Partial<BatchWorld> = {}): BatchWorld {
  return {
    processor: { process },
    context: { options: undefined, log: { debug() {}, info() {}, warn() {}, error() {} } },
    file: '/my/processor.mjs',
    rules: { commitMode: 'auto', deadLetters: 'off' },
    responseBytesMax: 1 << 20,
    memories: new MemoryList(1 << 24, () => 1),
    aborts: new Aborts(),
    monotonic: () => 1,
    leaseEndMs: () => 2,
    post: () => undefined,
    receivePending: () => undefined,
    ...overrides
  }
}

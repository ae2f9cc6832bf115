/**
 * Another processor than the ledger's own, for a process with two: a class, with state of its own on each thread.
 *
 * In: what the ledger's processor gets. Out: what it writes, and an event `started` for each thread, told as `other`.
 */
import type { LogBatch } from '../../../workers/batch-view.ts'
import type { ProcessorContext } from '../../../workers/define-processor.ts'
import { readBehaviour } from './behaviour.ts'
import ledgerProcessor from './ledger-processor.ts'
import { appendLine } from './lines.ts'
import { nowMs } from './until.ts'

export default class OtherProcessor {
  readonly #options: unknown
  #batchCount = 0

  constructor(options: unknown) {
    this.#options = options
  }

  start(): void {
    this.#tell('started')
  }

  async process(batch: LogBatch, context: ProcessorContext): Promise<unknown> {
    this.#batchCount += 1
    return await ledgerProcessor.process(batch, context)
  }

  stop(): void {
    this.#tell('ended')
  }

  #tell(name: string): void {
    const { ledgerFile, process } = readBehaviour(this.#options)
    appendLine(ledgerFile, { kind: 'event', process, name, atMs: nowMs(), text: `other ${this.#batchCount}` })
  }
}

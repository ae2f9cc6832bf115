/**
 * The processor of the chaos run: the ledger's own, and now and then what the director has in store for its thread.
 *
 * In: batches; the doom file. Out: the ledger's lines, and a line `doomed` before a thread ends or a batch fails. Must
 * never happen: an unsaid doom, whose repeats nothing would explain; a doom on a further attempt, since a batch that uses
 * up its attempts stops its consumer rightly.
 */
import { threadId } from 'node:worker_threads'
import type { LogBatch } from '../../workers/batch-view.ts'
import { defineProcessor, type ProcessorContext } from '../../workers/define-processor.ts'
import { readBehaviour } from '../scenario/harness/behaviour.ts'
import ledgerProcessor from '../scenario/harness/ledger-processor.ts'
import { appendLine } from '../scenario/harness/lines.ts'
import { nowMs } from '../scenario/harness/until.ts'
import { type Doom, type DoomKind, printDoom, takeDoom } from './doom.ts'

const LOOK_INTERVAL_MS = 10

export default defineProcessor({
  async process(batch: LogBatch, context: ProcessorContext) {
    const { doomFile } = readBehaviour(context.options)
    const doom = doomFile === undefined || context.attempt > 1 ? undefined : takeDoom(doomFile)
    if (doom === undefined) return await ledgerProcessor.process(batch, context)
    // A batch that fails before it has an effect must not go on to have one.
    if (doom.when === 'before' && doom.kind === 'fail') strike(doom, batch, context)
    // Its first line is written before this returns, its last one after a pause.
    const processed = ledgerProcessor.process(batch, context)
    if (doom.when === 'after') await processed
    strike(doom, batch, context)
    // Still here: the thread ends in a moment. To return first would be to leave work behind that nobody awaits.
    return await new Promise<never>(() => {})
  }
})

/** What befalls, by what the user's code might do. `tellAlive` as long as it can. */
const BLOWS: Readonly<Record<DoomKind, (tellAlive: () => void) => void>> = {
  exit: () => process.exit(1),
  throw: () => {
    setImmediate(() => {
      throw new Error('nobody catches this')
    })
  },
  reject: () => {
    void Promise.reject(new Error('nobody handles this'))
  },
  loop: () => {
    for (;;);
  },
  block: tellAlive => {
    const never = new Int32Array(new SharedArrayBuffer(4))
    for (;;) {
      tellAlive()
      Atomics.wait(never, 0, 0, LOOK_INTERVAL_MS)
    }
  },
  fail: () => {
    throw new Error('the sink refuses this batch')
  }
}

function strike(doom: Doom, batch: LogBatch, { options, attempt }: ProcessorContext): void {
  const { ledgerFile, process: name } = readBehaviour(options)
  const { topicId, partition, startOffset, nextOffset } = batch
  const place = { process: name, topicId, partition, thread: threadId }
  const said = { kind: 'event', name: 'doomed', offset: startOffset, text: printDoom(doom) } as const
  appendLine(ledgerFile, { ...said, ...place, atMs: nowMs() })
  BLOWS[doom.kind](() => {
    // What has come out of the processor is no longer in it.
    if (doom.when === 'after') return
    const none = { ids: [], words: [] }
    appendLine(ledgerFile, { kind: 'alive', ...place, startOffset, nextOffset, attempt, ...none, atMs: nowMs() })
  })
}

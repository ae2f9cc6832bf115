/**
 * The processor of all scenarios: writes into the ledger what it processed, and where.
 *
 * In: batches of logs with an `id`. Out: lines of the ledger, written before `process` returns; the ids as its result.
 * Never says of a log that it was processed before that is so, so that what a kill cuts off counts as not done.
 */
import { existsSync, unlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { threadId } from 'node:worker_threads'
import type { LogBatch } from '../../../workers/batch-view.ts'
import { defineProcessor, type ProcessorContext } from '../../../workers/define-processor.ts'
import { type Behaviour, readBehaviour } from './behaviour.ts'
import { appendLine, type BatchLine } from './lines.ts'
import { nowMs } from './until.ts'

const LOOK_INTERVAL_MS = 10

export default defineProcessor({
  async process(batch: LogBatch, context: ProcessorContext) {
    const behaviour = readBehaviour(context.options)
    const { ledgerFile, failOn } = behaviour
    const { ids, words } = readLogs(batch, behaviour)
    const line = (kind: BatchLine['kind']): BatchLine => ({
      kind,
      process: behaviour.process,
      thread: threadId,
      attempt: context.attempt,
      topicId: batch.topicId,
      partition: batch.partition,
      startOffset: batch.startOffset,
      nextOffset: batch.nextOffset,
      ids: kind === 'end' ? ids : [],
      words: kind === 'end' ? words : [],
      atMs: nowMs()
    })
    appendLine(ledgerFile, line('begin'))
    await beSlow(behaviour, batch)
    dieOnce(behaviour)
    await hold(behaviour, context, () => appendLine(ledgerFile, line('alive')))
    if (failOn !== undefined && ids.includes(failOn)) throw new Error(`the sink refuses ${failOn}`)
    appendLine(ledgerFile, line('end'))
    return { ids }
  }
})

function readLogs(batch: LogBatch, { skip, double, wordKey }: Behaviour): { ids: string[]; words: string[] } {
  const ids: string[] = []
  const words: string[] = []
  for (const log of batch) {
    const id = log.get('id') ?? 'a log without an id'
    if (id === skip) continue
    ids.push(id)
    if (id === double) ids.push(id)
    if (wordKey !== undefined) words.push(log.get(wordKey) ?? '')
  }
  return { ids, words }
}

async function beSlow({ batchMs, slowTopicId = '' }: Behaviour, { topicId }: LogBatch): Promise<void> {
  if (batchMs !== undefined && (slowTopicId === '' || slowTopicId === topicId)) await sleep(batchMs)
}

/** By taking the file away: of all threads that look, one can. */
function dieOnce({ dieFile }: Behaviour): void {
  if (dieFile === undefined || !existsSync(dieFile)) return
  try {
    unlinkSync(dieFile)
  } catch {
    return
  }
  process.exit(1)
}

async function hold({ hold }: Behaviour, { partition, signal }: ProcessorContext, tell: () => void): Promise<void> {
  if (hold === undefined || (hold.partition !== undefined && hold.partition !== partition)) return
  const { gateFile, mode, perPartition = false } = hold
  const file = perPartition ? `${gateFile}.${partition}` : gateFile
  while (existsSync(file)) {
    tell()
    if (mode === 'block') block(LOOK_INTERVAL_MS)
    else await sleep(LOOK_INTERVAL_MS)
    if (mode === 'heed') signal.throwIfAborted()
  }
}

/** Keeps the thread in a call, as a synchronous sink does: no message, abort or timer gets in. */
function block(blockMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs)
}

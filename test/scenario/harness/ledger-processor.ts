/**
 * The processor of all scenarios: writes into the ledger what it processed, and where.
 *
 * In: batches of logs with an `id`. Out: lines of the ledger, written before `process` returns; the ids as its result.
 * Never says of a log that it was processed before that is so, so that what a kill cuts off counts as not done; nor of a
 * batch that it rewinds, of which nothing counts.
 */
import { existsSync, unlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { threadId } from 'node:worker_threads'
import type { LogBatch } from '../../../workers/batch-view.ts'
import {
  defineProcessor,
  type PartitionContext,
  type ProcessorContext,
  type RevokeContext,
  type ThreadContext
} from '../../../workers/define-processor.ts'
import { type Behaviour, readBehaviour } from './behaviour.ts'
import { appendLine, type BatchLine } from './lines.ts'
import { misbehave } from './misdeeds.ts'
import { nowMs } from './until.ts'

const LOOK_INTERVAL_MS = 10

export default defineProcessor({
  start(context: ThreadContext) {
    tellHook('start', context)
  },

  assign(_, context: PartitionContext) {
    tellHook('assign', context)
  },

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
    setAside(behaviour, batch, context)
    if (behaviour.saveOn?.some(id => ids.includes(id)) === true) context.save()
    await misbehave(behaviour.misdeeds ?? [], ids, context.attempt)
    if (rewindOnce(behaviour, ids, context)) return
    appendLine(ledgerFile, line('end'))
    return { ids }
  },

  revoke(_, context: RevokeContext) {
    tellHook('revoke', context)
    if (readBehaviour(context.options).saveIn === 'revoke') context.save()
  }
})

function tellHook(name: string, context: ThreadContext | PartitionContext): void {
  const { ledgerFile, process, tellsHooks = false } = readBehaviour(context.options)
  if (!tellsHooks) return
  const place = 'partition' in context ? { topicId: context.topicId, partition: context.partition } : {}
  const text = `${name} ${threadId}`
  appendLine(ledgerFile, { kind: 'event', process, name: 'hook', atMs: nowMs(), text, ...place })
}

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

async function beSlow({ batchMs, slowTopicId = '', burn }: Behaviour, { topicId, partition }: LogBatch): Promise<void> {
  if (burn?.partitions.includes(partition)) {
    const untilMs = performance.now() + burn.ms
    while (performance.now() < untilMs);
  }
  if (batchMs !== undefined && (slowTopicId === '' || slowTopicId === topicId)) await sleep(batchMs)
}

function dieOnce({ dieFile }: Behaviour): void {
  if (dieFile !== undefined && take(dieFile)) process.exit(1)
}

/** Of all threads that look, one can. */
function take(file: string): boolean {
  if (!existsSync(file)) return false
  try {
    unlinkSync(file)
    return true
  } catch {
    return false
  }
}

function setAside(behaviour: Behaviour, batch: LogBatch, context: ProcessorContext): void {
  const { setAside: ids = [], setGroupsAside: groupIds = [] } = behaviour
  if (ids.length === 0 && groupIds.length === 0) return
  for (const log of batch) {
    const id = log.get('id')
    if (id === undefined) continue
    if (ids.includes(id)) context.deadLetter(log, `${id} is to be looked at by a person`)
    if (groupIds.includes(id)) context.deadLetter(log.group, `the group of ${id} is to be looked at by a person`)
  }
}

function rewindOnce({ rewind }: Behaviour, ids: readonly string[], context: ProcessorContext): boolean {
  if (rewind === undefined || !ids.includes(rewind.id) || !take(rewind.file)) return false
  context.rewind(rewind.toOffset)
  return true
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

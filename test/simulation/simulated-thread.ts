/**
 * One simulated thread: the real `workers/thread.ts`, and user code of every kind on it.
 *
 * In: tasks. Out: their answers; and to the ledger, each batch that comes to the processor, with the logs that it really
 * holds: read once when it comes, and again at its end, since a batch's memory must stay its own until then. What user
 * code does is drawn by chance: it returns at once or after a while, throws, hangs, blocks its thread, ends it.
 */
import type { AnyAnswer, AnyTask, BatchTask, PartitionId } from '../../src/dispatch/messages.ts'
import type { LogBatch } from '../../workers/batch-view.ts'
import type { ProcessorContext, RevokeContext } from '../../workers/define-processor.ts'
import { createThread } from '../../workers/thread.ts'
import type { Dice } from '../fuzz/dice.ts'
import type { Course, Place } from './course.ts'
import type { Host } from './host.ts'
import { isCursed } from './identity.ts'
import { drawConduct } from './mood.ts'
import type { Visit } from './party.ts'
import type { Said, VisitEnd } from './visits.ts'

export interface ThreadParts {
  readonly course: Course
  readonly dice: Dice
  readonly host: Host
  readonly place: Place
  /** It has more to do than batches: consumers that share it, work that was not awaited. */
  readonly isBurning: boolean
  /** Whether an abort of this attempt, or of a later one, lies in the thread's port, or has. */
  isAborted(task: BatchTask): boolean
  /** It ends by itself: by an error that nobody caught, or by `process.exit`. */
  fail(how: 'error' | 'exit'): void
}

/** How `process` ends where it does not throw. */
type ProcessEnd = Exclude<VisitEnd, 'threw' | 'lost'>

/** How long a batch waits where the thread is busy with other things. */
const BURNING_MS_MAX = 200

/** Whose code runs right now. A processor is called within the very turn in which its task is performed. */
let acting: { readonly thread: SimulatedThread; readonly task: AnyTask } | undefined

export function actingThread(): SimulatedThread {
  if (acting === undefined) throw new Error('no thread is at work')
  return acting.thread
}

export class SimulatedThread {
  readonly place: Place
  readonly #parts: ThreadParts
  readonly #run: (task: AnyTask) => Promise<AnyAnswer>
  readonly #visits = new Set<Visit>()
  #busyMs = 0
  #busySinceMs = 0

  constructor(parts: ThreadParts) {
    this.#parts = parts
    this.place = parts.place
    this.#run = createThread({
      monotonic: () => parts.course.nowMs,
      every: (intervalMs, run) => this.#every(intervalMs, run)
    })
  }

  /** As if processors never waited: while any has a batch, the thread is busy. */
  get busyMs(): number {
    if (this.#parts.isBurning) return this.#parts.course.nowMs
    return this.#busyMs + (this.#visits.size === 0 ? 0 : this.#parts.course.nowMs - this.#busySinceMs)
  }

  perform(task: AnyTask): Promise<AnyAnswer> {
    acting = { thread: this, task }
    try {
      const answer = this.#run(task)
      if (task.kind === 'start') this.#awaitImport(answer)
      return answer
    } finally {
      acting = undefined
    }
  }

  /** It has exited: what was with its processor is not any more. */
  end(): void {
    for (const visit of this.#visits) this.#parts.host.ended(visit, 'lost')
  }

  async process(batch: LogBatch, context: ProcessorContext): Promise<unknown> {
    const task = acting?.task
    if (task?.kind !== 'batch') throw new Error('a batch is processed outside of its task')
    const { host } = this.#parts
    const ids = idsOf(batch)
    if (this.#parts.isAborted(task)) host.startedAborted(task)
    const visit = host.begun(task, ids, this.place.name)
    if (this.#visits.size === 0) this.#busySinceMs = this.#parts.course.nowMs
    this.#visits.add(visit)
    try {
      const outcome = await this.#behave(task, ids, context)
      const left = idsOf(batch)
      if (left.join() !== ids.join()) host.overwritten(task, ids, left)
      this.#ended(visit, outcome, this.#speak(batch, context))
      return { startOffset: task.startOffset, ids }
    } catch (error) {
      this.#ended(visit, 'threw')
      throw error
    }
  }

  async hook(name: string): Promise<void> {
    const { dice } = this.#parts
    if (dice.oneIn(4)) await this.#wait(dice.below(50), `${name} goes on`)
  }

  async revoke(partition: PartitionId, context: RevokeContext): Promise<void> {
    const { host, dice } = this.#parts
    if (host.commitMode === 'manual' && dice.oneIn(host.mood().revokeSavesOneIn)) {
      context.save()
      host.savedInRevoke(partition)
    }
    await this.hook('revoke')
  }

  /** A module is loaded by Node's own event loop, in as many turns as it takes; these processors have no `start`. */
  #awaitImport(answer: Promise<AnyAnswer>): void {
    const { course } = this.#parts
    course.underwayCount += 1
    void answer.finally(() => {
      course.underwayCount -= 1
    })
  }

  #ended(visit: Visit, outcome: VisitEnd, said?: Said): void {
    const busyMs = this.busyMs
    if (!this.#visits.delete(visit)) return
    if (this.#visits.size === 0) this.#busyMs = busyMs
    this.#parts.host.ended(visit, outcome, said)
  }

  /** What it wants of its context, at the very end: what it asks for and then fails is never done. */
  #speak(batch: LogBatch, context: ProcessorContext): Said {
    const { dice, host } = this.#parts
    const { letterOneIn, groupLetterOneIn, savesOneIn } = host.mood()
    const letters: string[] = []
    for (const group of batch.groups) {
      const isWhole = dice.oneIn(groupLetterOneIn)
      if (isWhole) context.deadLetter(group, 'as drawn')
      for (const log of group) {
        if (!isWhole && !dice.oneIn(letterOneIn)) continue
        if (!isWhole) context.deadLetter(log, 'as drawn')
        letters.push(log.get('id') ?? '')
      }
    }
    const isSaved = host.commitMode === 'manual' && dice.oneIn(savesOneIn)
    if (isSaved) context.save()
    return { letters, isSaved }
  }

  /** How it comes to its end, where it does not throw. */
  async #behave(task: BatchTask, ids: readonly string[], context: ProcessorContext): Promise<ProcessEnd> {
    const { dice, host, fail } = this.#parts
    const { signal } = context
    if (this.#parts.isBurning) await this.#wait(dice.below(BURNING_MS_MAX), 'its turn comes')
    if (host.mood().code === 'broken' && ids.some(isCursed)) {
      await this.#wait(dice.below(30), 'process throws')
      throw new Error('the batch is cursed')
    }
    const conduct = drawConduct(dice, host.mood())
    host.tell(this.place, `processes batch ${task.batchId} from ${task.startOffset}: ${JSON.stringify(conduct)}`)
    switch (conduct.kind) {
      case 'at-once':
        return 'returned'
      case 'takes':
      case 'hangs':
        await this.#wait(conduct.ms, 'process goes on')
        return 'returned'
      case 'heeds':
        await this.#waitOrAbort(conduct.ms, signal)
        return 'returned'
      case 'throws':
        await this.#wait(conduct.ms, 'process throws')
        throw new Error('the processor throws')
      case 'blocks':
        this.#block(conduct.ms)
        await this.#wait(0, 'process goes on')
        return 'returned'
      case 'dies':
        if (conduct.ms > 0) await this.#wait(conduct.ms, 'process goes on')
        fail(conduct.how)
        // Nothing runs there any more.
        return await new Promise<never>(() => undefined)
      case 'rewinds':
        await this.#wait(conduct.ms, 'process rewinds')
        if (dice.oneIn(host.mood().beyondOneIn)) {
          context.rewind(host.offsetBeyond(task))
          return 'rewound-beyond'
        }
        context.rewind(host.rewindOffset(task, dice))
        return 'rewound'
    }
  }

  #wait(delayMs: number, what: string): Promise<void> {
    return new Promise(resolve => this.#parts.course.set({ where: this.place, what, delayMs, happen: resolve }))
  }

  async #waitOrAbort(delayMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const timer = this.#parts.course.set({ where: this.place, what: 'process goes on', delayMs, happen: resolve })
      signal.addEventListener('abort', () => {
        timer.cancel()
        reject(signal.reason)
      })
    })
  }

  /** Nothing happens on the thread meanwhile: no message arrives, no other batch goes on. */
  #block(delayMs: number): void {
    const { course, host } = this.#parts
    this.place.stop()
    const happen = (): void => this.place.wake()
    course.set({ where: host.place, what: `${this.place.name} is not blocked any more`, delayMs, happen })
  }

  #every(intervalMs: number, run: () => void): void {
    const happen = (): void => {
      run()
      this.#every(intervalMs, run)
    }
    this.#parts.course.set({ where: this.place, what: 'sweeps', delayMs: intervalMs, happen })
  }
}

function idsOf(batch: LogBatch): string[] {
  return [...batch].map(log => log.get('id') ?? '')
}

/**
 * Judges what comes to processors: I2, I12, and that each batch is what its partition holds next.
 *
 * In: batches as they enter and leave processors, results as they are delivered. Out: findings.
 *
 * Two consumers may have one partition in processors at a time only where the first of them cannot know better, or has
 * known it for no longer than it takes to end its work: its lease is over, or the service took the partition away behind
 * its back.
 */
import type { CommitMode } from '../../src/dispatch/messages.ts'
import type { Findings } from './findings.ts'
import { nextFirst, type Party, type Visit } from './party.ts'
import type { Message, PartitionStock, Stock } from './stock.ts'

/**
 * lost: its thread has exited. rewound: it returned, and nothing of it counts. rewound-beyond: likewise, to where the log
 * does not go: a failed attempt.
 */
export type VisitEnd = 'returned' | 'rewound' | 'rewound-beyond' | 'threw' | 'lost'

/** What a processor said of a batch that it returned with. */
export interface Said {
  readonly letters: readonly string[]
  readonly isSaved: boolean
}

export const SAID_NOTHING: Said = { letters: [], isSaved: false }

/** Of how consumers are made. */
export interface VisitFacts {
  readonly hasResults: boolean
  readonly commitMode: CommitMode
  now(): { readonly ms: number; readonly step: number }
}

export interface VisitAsk {
  readonly party: Party
  readonly key: string
  readonly thread: string
  readonly epoch: number
  readonly startOffset: bigint
  readonly ids: readonly string[]
}

export class Visits {
  readonly #stock: Stock
  readonly #findings: Findings
  readonly #facts: VisitFacts
  readonly #parties: ReadonlySet<Party>

  constructor(stock: Stock, parties: ReadonlySet<Party>, findings: Findings, facts: VisitFacts) {
    this.#stock = stock
    this.#parties = parties
    this.#findings = findings
    this.#facts = facts
  }

  begin(ask: VisitAsk): Visit {
    const { party, key, epoch, startOffset, thread } = ask
    const { ms, step } = this.#facts.now()
    const range = this.#rangeOf(ask)
    const epochFromStep = party.progress.get(key)?.fromStep ?? step
    const visit: Visit = { party, key, epoch, epochFromStep, startOffset, thread, ...range, fromStep: step, fromMs: ms }
    if (ms >= party.leaseEndMs) this.#add('I12', visit, `starts ${ms - party.leaseEndMs} ms past the lease`)
    this.#checkAlone(visit)
    this.#checkOrder(visit)
    party.visits.add(visit)
    party.visited.set(key, visit)
    return visit
  }

  end(visit: Visit, outcome: VisitEnd, said: Said): void {
    const { party, key, epoch, first, end, thread } = visit
    if (!party.visits.delete(visit)) return
    const progress = party.progress.get(key)
    const isReturned = outcome === 'returned'
    if (progress?.epoch === epoch && progress.last?.outcome === 'open') {
      progress.last.outcome = isReturned ? 'returned' : 'lost'
      if (isReturned && !this.#facts.hasResults) progress.settled = Math.max(progress.settled, end)
      // One that was repositioned meanwhile passes what its processor comes to now, on somebody's order.
      const isCurrent = party.find(key)?.epoch === epoch
      if (isReturned && isCurrent && this.#facts.commitMode === 'manual') {
        progress.unsaved = said.isSaved ? undefined : (progress.unsaved ?? { first, thread })
      }
    }
    const stock = this.#stock.find(key)
    if (isReturned && stock !== undefined) this.#returned(visit, stock, said)
  }

  /** The answer never reached its consumer: the batch may run again. It may not even have begun. */
  unanswered(party: Party, key: string, startOffset: bigint): void {
    const progress = party.progress.get(key)
    const first = this.#stock.find(key)?.indexAt(startOffset)
    if (progress === undefined) return
    if (progress.last?.outcome === 'returned' && progress.last.first === first) progress.last.outcome = 'lost'
    // It was never processed, for all that its consumer knows.
    if (progress.unsaved?.first === first) progress.unsaved = undefined
  }

  /** `revoke` saves everything that was processed. */
  saved(party: Party, key: string): void {
    const progress = party.progress.get(key)
    if (progress !== undefined) progress.unsaved = undefined
  }

  /** `onResult` has taken the result of the batch from this offset. */
  delivered(party: Party, key: string, epoch: number | undefined, startOffset: bigint, nextOffset: bigint): void {
    const stock = this.#stock.find(key)
    const progress = party.progress.get(key)
    // The call may have begun in an epoch that has ended meanwhile.
    if (stock === undefined || progress === undefined || progress.epoch !== epoch) return
    const first = stock.indexAt(startOffset)
    if (first > progress.settled) {
      this.#findings.add('I2', `${party.name} delivers the result of ${key}:${startOffset} out of order`)
    }
    progress.settled = Math.max(progress.settled, stock.indexAt(nextOffset))
  }

  /** Done are its messages once its dead letters are on disk, and those of it that nobody can decode. */
  #returned(visit: Visit, stock: PartitionStock, { letters }: Said): void {
    const toStep = this.#facts.now().step
    const messages = stock.messages.slice(visit.first, visit.end)
    for (const message of messages) for (const id of letters) if (message.ids.includes(id)) message.asked.add(id)
    const poison = messages.filter(({ isPoison, isSettled }) => isPoison && !isSettled).flatMap(({ ids }) => ids)
    const sound = messages.filter(({ isPoison }) => !isPoison)
    stock.whenFreed(visit.party, [...letters, ...poison], () => {
      for (const message of sound) this.#done(visit, message, stock, toStep)
    })
  }

  #done(visit: Visit, message: Message, stock: PartitionStock, toStep: number): void {
    const { done } = message
    // What was begun before the partition was taken away may come to its end beside the work of its new owner.
    const ownStep = visit.epochFromStep <= stock.robbedStep ? visit.epochFromStep : visit.fromStep
    const fromStep = Math.min(ownStep, done?.fromStep ?? ownStep)
    if (done !== undefined && stock.robbed.size === 0 && stock.excuse.step < fromStep) {
      this.#add('repeat', visit, `repeats ${message.ids[0]}, done by step ${done.toStep}, and nothing explains it`)
    }
    message.done = { fromStep: ownStep, toStep }
  }

  /** The messages whose logs these are: the next ones from the start offset on, complete and in order. */
  #rangeOf({ party, key, startOffset, ids }: VisitAsk): { readonly first: number; readonly end: number } {
    const stock = this.#stock.find(key)
    const first = stock?.indexAt(startOffset) ?? 0
    let end = first
    let logCount = 0
    for (let message = stock?.messages[end]; message !== undefined && logCount < ids.length; ) {
      const isSame = message.ids.every((id, index) => ids[logCount + index] === id)
      if (!isSame && !message.isPoison) break
      if (!message.isPoison) logCount += message.ids.length
      end += 1
      message = stock?.messages[end]
    }
    if (logCount !== ids.length || ids.length === 0) {
      const held = stock?.messages[end]?.ids.join(' ') ?? 'nothing'
      const text = `${party.name} is given ${ids[logCount] ?? 'no log'} of ${key}:${startOffset}, which holds ${held} there`
      this.#findings.add('I2', text)
    }
    return { first, end }
  }

  #checkAlone(visit: Visit): void {
    const { party, key } = visit
    for (const other of this.#parties) {
      for (const open of other.visits) {
        if (open.key !== key) continue
        if (other === party) this.#add('I2', visit, `while the one from ${open.startOffset} is still with a processor`)
        else if (this.#mustKnow(open) && !this.#isDraining(visit) && !this.#isDraining(open)) {
          this.#add('I2', visit, `while ${other.name}, whose lease holds, has the one from ${open.startOffset}`)
        }
      }
    }
  }

  /** Robbed, it has heard, and gives the partition up: what its thread has been given may begin beside the new owner's work. */
  #isDraining({ party, key }: Visit): boolean {
    const stock = this.#stock.find(key)
    return stock !== undefined && stock.theftStep >= 0 && party.find(key)?.phase !== 'active'
  }

  /** Whether who has this batch open knew that the partition was its own, and has had no reason to doubt it since. */
  #mustKnow({ party, key, fromMs, fromStep }: Visit): boolean {
    const stock = this.#stock.find(key)
    const isRobbed = stock !== undefined && (stock.robbed.size > 0 || fromStep <= stock.robbedStep)
    return !isRobbed && party.hasHeldSince(fromMs, this.#facts.now().ms)
  }

  #checkOrder(visit: Visit): void {
    const { party, key, epoch, first, end } = visit
    const progress = party.progress.get(key)
    if (progress?.epoch !== epoch) {
      this.#add('I3', visit, `in epoch ${epoch}, while the partition is in ${progress?.epoch ?? 'none'}`)
      return
    }
    const stock = this.#stock.find(key)
    const expected = nextFirst(progress)
    if (stock?.pastPoison(expected) !== stock?.pastPoison(first)) {
      this.#add('I2', visit, `begins at message ${first} of the partition, expected ${expected}`)
    }
    if (progress.unsaved !== undefined && progress.unsaved.thread !== visit.thread) {
      this.#add('I1', visit, `goes on without what ${progress.unsaved.thread} kept, and had not saved`)
    }
    progress.last = { first, end, outcome: 'open' }
  }

  #add(invariant: string, { party, key, startOffset }: Visit, message: string): void {
    this.#findings.add(invariant, `${party.name} with the batch of ${key} from ${startOffset}: ${message}`)
  }
}

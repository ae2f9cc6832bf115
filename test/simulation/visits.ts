/**
 * Judges what comes to processors: I2, I12, and that each batch is what its partition holds next.
 *
 * In: batches as they enter and leave processors, results as they are delivered. Out: findings.
 *
 * Two consumers may have one partition in processors at a time only where the first of them cannot know better, or has
 * known it for no longer than it takes to end its work: its lease is over, or the service took the partition away behind
 * its back.
 */
import type { Findings } from './findings.ts'
import type { Party, Progress, Visit } from './party.ts'
import type { Message, PartitionStock, Stock } from './stock.ts'

export interface VisitAsk {
  readonly party: Party
  readonly key: string
  readonly epoch: number
  readonly startOffset: bigint
  readonly ids: readonly string[]
}

export class Visits {
  readonly #stock: Stock
  readonly #findings: Findings
  readonly #now: () => { readonly ms: number; readonly step: number }
  readonly #parties: ReadonlySet<Party>

  constructor(
    stock: Stock,
    parties: ReadonlySet<Party>,
    findings: Findings,
    now: () => { readonly ms: number; readonly step: number }
  ) {
    this.#stock = stock
    this.#parties = parties
    this.#findings = findings
    this.#now = now
  }

  begin(ask: VisitAsk): Visit {
    const { party, key, epoch, startOffset } = ask
    const { ms, step } = this.#now()
    const range = this.#rangeOf(ask)
    const visit: Visit = { party, key, epoch, startOffset, ...range, fromStep: step, fromMs: ms }
    if (ms >= party.leaseEndMs) this.#add('I12', visit, `starts ${ms - party.leaseEndMs} ms past the lease`)
    this.#checkAlone(visit)
    this.#checkOrder(visit)
    party.visits.add(visit)
    return visit
  }

  /** `lost`: its thread has exited. */
  end(visit: Visit, outcome: 'returned' | 'threw' | 'lost', hasResults: boolean): void {
    const { party, key, epoch, first, end } = visit
    if (!party.visits.delete(visit)) return
    const progress = party.progress.get(key)
    if (progress?.epoch === epoch && progress.last?.outcome === 'open') {
      progress.last.outcome = outcome === 'returned' ? 'returned' : 'lost'
      if (outcome === 'returned' && !hasResults) progress.settled = Math.max(progress.settled, end)
    }
    if (outcome !== 'returned') return
    const stock = this.#stock.find(key)
    const toStep = this.#now().step
    for (const message of stock?.messages.slice(first, end) ?? []) this.#done(visit, message, stock, toStep)
  }

  /** The answer never reached its consumer: the batch may run again. It may not even have begun. */
  unanswered(party: Party, key: string, startOffset: bigint): void {
    const last = party.progress.get(key)?.last
    const isLast = last?.first === this.#stock.find(key)?.indexAt(startOffset)
    if (last?.outcome === 'returned' && isLast) last.outcome = 'lost'
  }

  /** `onResult` has taken the result of the batch from this offset. */
  delivered(party: Party, key: string, startOffset: bigint, nextOffset: bigint): void {
    const stock = this.#stock.find(key)
    const progress = party.progress.get(key)
    if (stock === undefined || progress === undefined) return
    const first = stock.indexAt(startOffset)
    if (first > progress.settled) {
      this.#findings.add('I2', `${party.name} delivers the result of ${key}:${startOffset} out of order`)
    }
    progress.settled = Math.max(progress.settled, stock.indexAt(nextOffset))
  }

  #done(visit: Visit, message: Message, stock: PartitionStock | undefined, toStep: number): void {
    const { done } = message
    const fromStep = Math.min(visit.fromStep, done?.fromStep ?? visit.fromStep)
    if (done !== undefined && stock !== undefined && stock.robbed.size === 0 && stock.excuse.step < fromStep) {
      this.#add('repeat', visit, `repeats ${message.ids[0]}, done by step ${done.toStep}, and nothing explains it`)
    }
    message.done = { fromStep: visit.fromStep, toStep }
  }

  /** The messages whose logs these are: the next ones from the start offset on, complete and in order. */
  #rangeOf({ party, key, startOffset, ids }: VisitAsk): { readonly first: number; readonly end: number } {
    const stock = this.#stock.find(key)
    const first = stock?.indexAt(startOffset) ?? 0
    let end = first
    let logCount = 0
    for (let message = stock?.messages[end]; message !== undefined && logCount < ids.length; ) {
      const isSame = message.ids.every((id, index) => ids[logCount + index] === id)
      if (!isSame) break
      logCount += message.ids.length
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
        else if (this.#mustKnow(open)) {
          this.#add('I2', visit, `while ${other.name}, whose lease holds, has the one from ${open.startOffset}`)
        }
      }
    }
  }

  /** Whether who has this batch open knew that the partition was its own, and has had no reason to doubt it since. */
  #mustKnow({ party, key, fromMs, fromStep }: Visit): boolean {
    const stock = this.#stock.find(key)
    const isRobbed = stock !== undefined && (stock.robbed.size > 0 || fromStep <= stock.robbedStep)
    return !isRobbed && party.hasHeldSince(fromMs, this.#now().ms)
  }

  #checkOrder(visit: Visit): void {
    const { party, key, epoch, first, end } = visit
    const progress = party.progress.get(key)
    if (progress?.epoch !== epoch) {
      this.#add('I3', visit, `in epoch ${epoch}, while the partition is in ${progress?.epoch ?? 'none'}`)
      return
    }
    const expected = firstAllowed(progress)
    if (!expected.includes(first)) {
      this.#add('I2', visit, `begins at message ${first} of the partition, expected ${expected.join(' or ')}`)
    }
    progress.last = { first, end, outcome: 'open' }
  }

  #add(invariant: string, { party, key, startOffset }: Visit, message: string): void {
    this.#findings.add(invariant, `${party.name} with the batch of ${key} from ${startOffset}: ${message}`)
  }
}

/** The batch after the last one; the last one again, where it did not come to its end. */
function firstAllowed({ last, settled }: Progress): number[] {
  if (last === undefined) return [settled]
  return last.outcome === 'returned' ? [last.end] : [last.first]
}

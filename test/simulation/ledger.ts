/**
 * The ledger: knows every log by its identity, hears of everything, and says what is broken.
 *
 * In: what is stored, what goes over the wire, what comes to processors, what consumers tell. Out: findings, and whether
 * all is done. It believes no consumer: what is done is what a processor returned with, what is committed is what the
 * service has. The reasons for which work may repeat are those that it saw happen.
 */
import type { AssignedEvent, RepositionedEvent } from '../../src/consumer-events.ts'
import type { BatchTask, CommitMode, PartitionId } from '../../src/dispatch/messages.ts'
import type { ResultPlace } from '../../src/options.ts'
import type { LogFields } from '../../src/world.ts'
import type { Asked } from './asked.ts'
import { partitionKey } from './asked.ts'
import { Findings } from './findings.ts'
import { GivenUp, type GivenUpFacts } from './given-up.ts'
import { type Observed, Party, type Visit } from './party.ts'
import { type PartitionStock, Stock } from './stock.ts'
import { SAID_NOTHING, type VisitAsk, type VisitEnd, Visits } from './visits.ts'
import { type WireFacts, WireWatch } from './wire-watch.ts'

export interface LedgerFacts extends WireFacts, GivenUpFacts {
  readonly hasResults: boolean
  readonly commitMode: CommitMode
}

export class Ledger {
  readonly stock = new Stock()
  readonly findings: Findings
  readonly wire: WireWatch
  readonly givenUp: GivenUp
  readonly #visits: Visits
  readonly #parties = new Set<Party>()
  readonly #facts: LedgerFacts

  constructor(facts: LedgerFacts, trace: (where: string, what: string) => void) {
    this.#facts = facts
    this.findings = new Findings(trace)
    this.wire = new WireWatch(this.stock, this.#parties, this.findings, facts)
    this.givenUp = new GivenUp(this.stock, this.findings, facts)
    const { hasResults, commitMode } = facts
    const now = () => ({ ms: facts.nowMs(), step: facts.step() })
    this.#visits = new Visits(this.stock, this.#parties, this.findings, { hasResults, commitMode, now })
  }

  join(observed: Observed): Party {
    const party = new Party(observed)
    this.#parties.add(party)
    return party
  }

  /** Its process is no more, and all its threads with it. */
  leave(party: Party, reason: string): void {
    for (const { topicId, partition } of party.observed.partitions()) this.#excuse(topicId, partition, reason)
    for (const visit of [...party.visits]) this.end(visit, 'lost')
    this.#parties.delete(party)
    for (const stock of this.stock.partitions) stock.robbed.delete(party)
  }

  /** Its process is stopped: others may take over before it knows. */
  stopped(party: Party): void {
    for (const { topicId, partition } of party.observed.partitions()) {
      this.#excuse(topicId, partition, 'its process was stopped')
    }
  }

  begin(ask: VisitAsk): Visit {
    return this.#visits.begin(ask)
  }

  end(visit: Visit, outcome: VisitEnd, said = SAID_NOTHING): void {
    const { party, key, startOffset } = visit
    if (outcome === 'threw' || outcome === 'rewound-beyond') this.givenUp.attemptFailed(party, key, startOffset)
    this.#visits.end(visit, outcome, said)
  }

  savedInRevoke(party: Party, { topicId, partition }: PartitionId): void {
    this.#visits.saved(party, partitionKey(topicId, partition))
  }

  /** A thread has exited in `revoke`: what that saved may not count, and nobody may be left to do it again. */
  revokeUnanswered({ topicId, partition }: PartitionId): void {
    const stock = this.stock.find(partitionKey(topicId, partition))
    if (stock === undefined) return
    this.wire.excuse(stock, 'its thread has ended in revoke')
    stock.isSetBack = true
  }

  /** A thread has exited with a batch whose answer never arrived. */
  unanswered(party: Party, { topicId, partition, startOffset }: BatchTask): void {
    const key = partitionKey(topicId, partition)
    this.givenUp.attemptFailed(party, key, startOffset)
    this.#visits.unanswered(party, key, startOffset)
    this.#excuse(topicId, partition, 'its thread has ended')
  }

  /** `onResult` is called. Returns the epoch that the partition is in. */
  resultGiven(party: Party, { topicId, partition }: PartitionId): number | undefined {
    const key = partitionKey(topicId, partition)
    const phase = party.find(key)?.phase
    if (phase === undefined || phase === 'lost' || phase === 'released') {
      this.findings.add('I3', `${party.name} gives a result of ${key} to onResult, which is ${phase ?? 'not held'}`)
    }
    if (this.#facts.nowMs() >= party.leaseEndMs) {
      this.findings.add('I12', `${party.name} gives a result of ${key} to onResult past its lease`)
    }
    return party.progress.get(key)?.epoch
  }

  /** `epoch`: when the call began. */
  resultTaken(party: Party, place: ResultPlace, epoch: number | undefined): void {
    const key = partitionKey(place.topicId, place.partition)
    this.#visits.delivered(party, key, epoch, place.startOffset, place.nextOffset)
  }

  resultRefused(party: Party, { topicId, partition, startOffset }: ResultPlace): void {
    this.givenUp.resultRefused(party, partitionKey(topicId, partition), startOffset)
    this.#excuse(topicId, partition, 'onResult refused its result')
  }

  assigned(party: Party, { topicId, partition, epoch, startOffset, reason }: AssignedEvent): void {
    const key = partitionKey(topicId, partition)
    const stock = this.stock.find(key)
    const settled = stock?.indexAt(startOffset) ?? 0
    // Who goes elsewhere keeps what he has, but for what he will read again, or what his seek passes: of a batch that he had
    // processed, and that stood still for its letters; and only he commits first where he goes.
    const kept = reason.startsWith('back to its last save') ? undefined : party.progress.get(key)?.unsaved
    const first = kept === undefined ? settled : (stock?.pastWaived(kept.first) ?? settled)
    const unsaved = kept !== undefined && first < settled ? { ...kept, first } : undefined
    const hasPulled = reason.startsWith('resumed') || reason.startsWith('back to its last save')
    const fromStep = this.#facts.step()
    party.progress.set(key, { epoch, fromStep, hasPulled, settled, unsaved, last: undefined })
  }

  /** What was not saved will be processed again. */
  released(party: Party, { topicId, partition }: PartitionId): void {
    const key = partitionKey(topicId, partition)
    const isUnsaved = party.progress.get(key)?.unsaved !== undefined
    party.progress.delete(key)
    const stock = this.stock.find(key)
    stock?.awaitNothing(party)
    const last = party.visited.get(key)
    const mayHaveLetters = stock?.messages.slice(last?.first).some(({ isPoison, asked }) => isPoison || asked.size > 0)
    // A full disk: what it processed last does not count, and is not committed.
    if (stock !== undefined && last !== undefined && mayHaveLetters === true) {
      this.wire.excuse(stock, 'it was released while letters were to be written')
    }
    if (!isUnsaved || stock === undefined) return
    this.wire.excuse(stock, 'it was released without a save')
    // Nobody may be left to do it.
    stock.isSetBack = true
  }

  /** The partition goes on from another position, on somebody's order: what that passes is waived. */
  repositioned({ topicId, partition, fromOffset, toOffset, reason }: RepositionedEvent): void {
    const stock = this.stock.find(partitionKey(topicId, partition))
    if (stock === undefined) return
    this.wire.excuse(stock, reason)
    const { end } = stock.partition.log
    if (toOffset > end)
      this.findings.add('I6', `${stock.key} goes on at ${toOffset}, beyond the end of its log, ${end}: ${reason}`)
    if (!reason.startsWith('seek')) return
    for (const message of stock.between(fromOffset ?? toOffset, toOffset)) message.isWaived = true
  }

  leaseLost(partitions: readonly PartitionId[]): void {
    for (const { topicId, partition } of partitions) this.#excuse(topicId, partition, 'its lease was lost')
  }

  /** A line of a consumer's log: some are promised where nothing else tells. */
  heard(message: string, fields: LogFields): void {
    const { topicId, partition, offset, startOffset, onInvalidOffset } = fields
    if (typeof topicId !== 'string' || typeof partition !== 'number') return
    const stock = this.stock.find(partitionKey(topicId, partition))
    if (stock === undefined) return
    if (isPromiseOfRepeat(message, fields)) this.wire.excuse(stock, message)
    if (message !== 'an offset is gone: repositioning') return
    this.wire.excuse(stock, message)
    if (typeof offset !== 'bigint' || typeof startOffset !== 'bigint') return
    if (offset >= stock.begin && offset <= stock.partition.log.end) {
      this.findings.add('I6', `${stock.key}:${offset} is said to be gone, which it is not`)
    }
    if (onInvalidOffset === 'end') stock.waiveBefore(startOffset)
  }

  /** The commit may have been executed, or may yet be, and its consumer does not know. */
  doubted(asked: Asked, reason: string): void {
    if (asked.kind !== 'commit') return
    for (const { key } of asked.offsets) this.#excuseStock(this.stock.find(key), reason)
  }

  groupDeleted(): void {
    for (const stock of this.stock.partitions) {
      stock.committed = undefined
      stock.forgotten = 'now'
      this.wire.robbed(stock, 'the group was deleted')
    }
  }

  /**
   * Everything that can be read is done and committed; in commit mode manual, what `revoke` is yet to save need not be. Who had committed all before somebody else made a deleted group
   * again does not know of it, and commits once more when it gives the partition up.
   */
  get isFinished(): boolean {
    return this.#open(stock => stock.forgotten !== 'never' || this.#isKept(stock)).length === 0
  }

  /**
   * The same, once everybody has stopped. Where the group was deleted, or a partition given to two, whoever is behind may
   * have committed last.
   */
  get isSettled(): boolean {
    return this.#open(({ forgotten, theftStep }) => forgotten !== 'never' || theftStep >= 0).length === 0
  }

  /** For whoever asks what is still to do. */
  describeOpen(): string {
    return this.#open(() => false)
      .map(stock => {
        const open = stock.firstOpen()
        const last = stock.messages.at(-1)
        const what = open === undefined ? 'all done' : `${open.ids[0]} at ${open.offset} is not done`
        return `${stock.key}: ${what}, the last is at ${last?.offset}, ${stock.committed ?? 'nothing'} is committed`
      })
      .join('; ')
  }

  #open(isPardoned: (stock: PartitionStock) => boolean): PartitionStock[] {
    return [...this.stock.partitions].filter(stock => !stock.isDone || !(stock.isCommitted || isPardoned(stock)))
  }

  /** Its owner has all of it, and not saved it yet. */
  #isKept(stock: PartitionStock): boolean {
    return [...this.#parties].some(party => {
      const progress = party.progress.get(stock.key)
      if (progress?.unsaved === undefined || party.find(stock.key)?.phase !== 'active') return false
      return stock.pastPoison(progress.settled) === stock.messages.length
    })
  }

  #excuse(topicId: string, partition: number, reason: string): void {
    this.#excuseStock(this.stock.find(partitionKey(topicId, partition)), reason)
  }

  #excuseStock(stock: PartitionStock | undefined, reason: string): void {
    if (stock !== undefined) this.wire.excuse(stock, reason)
  }
}

/** A batch of it is processed, and will not count here. */
function isPromiseOfRepeat(message: string, { code }: LogFields): boolean {
  if (message === 'retried') return typeof code === 'string' && code.startsWith('DEAD_LETTER')
  return (
    message === 'released without its last commit: uncommitted work repeats' ||
    message === 'a partition is parked: it stands still until resume() or a restart'
  )
}

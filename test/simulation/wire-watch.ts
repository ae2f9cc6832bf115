/**
 * Judges what consumers say to the service, and what the service takes: I1, I3, I4, I11, I12.
 *
 * In: requests as they leave, as the service executes them, and answers as they arrive. Out: findings; what is committed;
 * reasons for which work may repeat. A request is judged twice: when it leaves, by what its consumer may know; and when it
 * is executed, by what is true: the committed offset never passes a log that no processor has returned with.
 */
import type { PartitionSnapshot } from '../../src/consumer-events.ts'
import type { Asked, AskedOffset } from './asked.ts'
import type { Findings } from './findings.ts'
import type { Party } from './party.ts'
import type { PartitionStock, Stock } from './stock.ts'

export interface WireFacts {
  readonly groupTimeoutMs: number
  readonly startFrom: 'begin' | 'end'
  /** The service gives away what its owner still lists, as soon as another asks. */
  readonly isRobbing: boolean
  /** The service answers well to a commit of who is not the owner, and does nothing. */
  readonly ignoresForeign: boolean
  /** Partitions that were there when the first consumer came: to these `startFrom` applies. */
  readonly partitionCount: number
  nowMs(): number
  step(): number
  committed(stock: PartitionStock): bigint | undefined
}

export class WireWatch {
  readonly #stock: Stock
  readonly #findings: Findings
  readonly #facts: WireFacts
  readonly #parties: ReadonlySet<Party>

  constructor(stock: Stock, parties: ReadonlySet<Party>, findings: Findings, facts: WireFacts) {
    this.#stock = stock
    this.#parties = parties
    this.#findings = findings
    this.#facts = facts
  }

  /** The request leaves. Returns its number among the party's heartbeats, where it is one. */
  sent(party: Party, asked: Asked): number {
    switch (asked.kind) {
      case 'heartbeat':
        this.#checkHeld(party, asked.held)
        party.lastBeat += 1
        party.lastHeld = asked.held
        break
      case 'commit':
        if (this.#facts.nowMs() >= party.leaseEndMs) this.#add('I12', party, 'commits past its lease')
        this.#checkCommits(party, asked.offsets)
        break
      case 'pull':
        this.#checkPull(party, asked.at)
        break
      case 'other':
    }
    return party.lastBeat
  }

  /** The answer to a heartbeat has arrived; `isGranted`: it is one without an error. */
  heard(party: Party, sentMs: number, executedStep: number, isGranted: boolean): void {
    if (isGranted) party.extendLease(this.#facts.nowMs(), sentMs + this.#facts.groupTimeoutMs)
    for (const stock of this.#stock.partitions) {
      if (stock.theftStep > executedStep || !stock.robbed.delete(party)) continue
      stock.robbedStep = this.#facts.step()
      this.excuse(stock, `${party.name} had not heard that it was taken away`)
    }
  }

  /** It has stopped in order. */
  left(party: Party): void {
    const left = party.lastHeld.join(' ')
    if (left !== '') this.#add('I4', party, `has stopped, and its last heartbeat still lists ${left}`)
  }

  /** The service has dealt with a request; `isStale`: its sender has sent another of its kind since, or is no more. */
  executed(asked: Asked, isStale: boolean): void {
    if (asked.kind === 'commit') {
      for (const at of asked.offsets) this.#lookAtCommitted(at, isStale)
    } else if (asked.kind === 'heartbeat' && (isStale || this.#facts.isRobbing)) {
      const reason = isStale ? 'an old heartbeat is executed late' : 'the service gives away what its owner lists'
      for (const stock of this.#stock.partitions) this.robbed(stock, reason)
    }
  }

  /** Something may take this partition from its owner without his knowing. */
  robbed(stock: PartitionStock, reason: string): void {
    // Who does not hold it may have been granted it, and not have heard of that either.
    for (const party of this.#parties) stock.robbed.add(party)
    stock.theftStep = this.#facts.step()
    stock.robbedStep = this.#facts.step()
    this.excuse(stock, reason)
  }

  excuse(stock: PartitionStock, reason: string): void {
    stock.excuse = { step: this.#facts.step(), reason }
  }

  #lookAtCommitted({ key, offset }: AskedOffset, isStale: boolean): void {
    const stock = this.#stock.find(key)
    if (stock === undefined) return
    const before = stock.committed
    const after = this.#facts.committed(stock)
    stock.committed = after
    // Its consumer takes it for done.
    if (this.#facts.ignoresForeign && after !== offset) {
      stock.isSetBack = true
      this.excuse(stock, 'the service has ignored a commit')
    }
    if (after === undefined) return
    if (isStale || (before !== undefined && after > before)) stock.isSetBack = isStale
    if (stock.forgotten === 'now') stock.forgotten = 'once'
    if (isStale) this.excuse(stock, 'an old commit is executed late')
    // Of two who both worked on it, the one who is behind has committed last.
    if (before !== undefined && after < before && stock.theftStep >= 0) {
      stock.isSetBack = true
      this.excuse(stock, 'its commit goes back')
    }
    // The first start of a partition that was there from the beginning is the user's choice.
    const isChosen = this.#facts.startFrom === 'end' && stock.partition.id < this.#facts.partitionCount
    if (before === undefined && isChosen) stock.waiveBefore(after)
    const open = stock.firstOpen()
    if (open !== undefined && open.offset < after) {
      const text = `${after} is committed for ${stock.key}, past ${open.ids[0]} at ${open.offset}, which nobody has done`
      this.#findings.add('I1', text)
    }
  }

  /** What a processor works on, and what this consumer holds, is in the heartbeat. */
  #checkHeld(party: Party, held: readonly string[]): void {
    const working = [...party.visits].map(({ key }) => key)
    const holding = party.observed.partitions().map(({ topicId, partition }) => `${topicId}#${partition}`)
    for (const [keys, what] of [
      [working, 'works on'],
      [holding, 'holds']
    ] as const) {
      const left = keys.find(key => !held.includes(key))
      if (left !== undefined) this.#add('I4', party, `leaves ${left} out of its heartbeat, which it still ${what}`)
    }
  }

  #checkCommits(party: Party, offsets: readonly AskedOffset[]): void {
    for (const entry of offsets) this.#checkCommit(party, entry)
  }

  #checkCommit(party: Party, { key, offset }: AskedOffset): void {
    const hold = party.find(key)
    const stock = this.#stock.find(key)
    if (hold === undefined || hold.phase === 'lost') {
      this.#add('I3', party, `commits ${key}:${offset}, which it ${hold === undefined ? 'does not hold' : 'has lost'}`)
    } else if (stock !== undefined && hold.startOffset !== undefined) this.#checkProgress(party, hold, stock, offset)
  }

  #checkProgress(party: Party, hold: PartitionSnapshot, stock: PartitionStock, offset: bigint): void {
    const progress = party.progress.get(stock.key)
    if (progress?.epoch !== hold.epoch) return
    const { settled, unsaved } = progress
    const limit = Math.min(settled, unsaved?.first ?? settled)
    if (stock.indexAt(offset) <= limit) return
    const next = stock.messages[limit]
    const what = limit < settled ? 'saved' : 'settled'
    const text = `commits ${stock.key}:${offset} past ${next?.ids[0]} at ${next?.offset}, not ${what} in this epoch`
    this.#add('I1', party, text)
  }

  /** The first pull of an epoch. */
  #checkPull(party: Party, { key, offset }: AskedOffset): void {
    const stock = this.#stock.find(key)
    const progress = party.progress.get(key)
    if (stock === undefined || progress === undefined || progress.hasPulled) return
    progress.hasPulled = true
    const { status, log } = stock.partition
    const isSpent = status === 'readonly' && offset >= log.end
    // -1 is no position that the service has named: of a partition without one, the beginning.
    if (offset < 0n || isSpent || this.#facts.committed(stock) !== undefined) return
    // His start may have been ignored, or be gone with the group, which he need not have heard of since he asked for it.
    if (!stock.robbed.has(party) && stock.forgotten !== 'now')
      this.#add('I11', party, `pulls ${key}:${offset}, and nothing is committed there`)
  }

  #add(invariant: string, { name }: Party, message: string): void {
    this.#findings.add(invariant, `${name} ${message}`)
  }
}

/**
 * What was stored, message by message, and what has become of each: the side of the ledger that does not forget.
 *
 * In: messages as they are stored, processed, committed; reasons for which work may repeat. Out: which messages are not
 * done, and whether that they are done again is explained. Offsets have gaps: only the order of the messages counts here.
 */
import type { Partition } from '../../src/emulator/topic.ts'
import { partitionKey } from './asked.ts'
import { isPoison } from './identity.ts'
import type { Party } from './party.ts'

/** A stretch of work on a message, by steps of the course. */
export interface Stretch {
  readonly fromStep: number
  readonly toStep: number
}

export class Message {
  readonly offset: bigint
  /** Of its logs, in order. */
  readonly ids: readonly string[]
  /** Nobody can decode it. */
  readonly isPoison: boolean
  /** The last time that a processor returned with it, or that it came to be a dead letter. */
  done: Stretch | undefined
  /** The user's own word allows to pass it by: it lay before where he said to start, or his policy skips it. */
  isWaived = false
  /** Those of its logs that are dead letters on disk. */
  readonly kept = new Set<string>()
  /** Those that a processor asked to be dead letters, and returned. */
  readonly asked = new Set<string>()

  constructor(offset: bigint, ids: readonly string[]) {
    this.offset = offset
    this.ids = ids
    this.isPoison = ids.every(isPoison)
  }

  get isSettled(): boolean {
    return this.done !== undefined || this.isWaived
  }
}

const BEYOND = 1_000_000n

/** A processor has returned with these messages, and they are done once these logs are on disk, or passed by the policy. */
interface Awaited {
  readonly party: Party
  readonly ids: Set<string>
  done(): void
}

/** Why work of a partition may be done again. */
export interface Excuse {
  readonly step: number
  readonly reason: string
}

export class PartitionStock {
  readonly key: string
  readonly topicId: string
  readonly partition: Partition
  readonly messages: Message[] = []
  /** The last one that was executed; undefined while there is none. */
  committed: bigint | undefined
  /** The last commit went back, late or by another: who committed more does not know, and need not mend it. */
  isSetBack = false
  /** Offsets went with a deleted group. never: not since the storm began. now: nothing has been committed since. */
  forgotten: 'never' | 'once' | 'now' = 'never'
  excuse: Excuse = { step: -1, reason: 'none' }
  /**
   * Who held the partition when the service took it away behind its owner's back, and has not heard since: until then two
   * may work on it.
   */
  readonly robbed = new Set<Party>()
  /** When it was taken away. */
  theftStep = -1
  /** The last step at which somebody had not heard. */
  robbedStep = -1
  #firstOpen = 0
  #awaited: Awaited[] = []

  constructor(topicId: string, partition: Partition) {
    this.key = partitionKey(topicId, partition.id)
    this.topicId = topicId
    this.partition = partition
  }

  /** How many messages lie before the offset. */
  indexAt(offset: bigint): number {
    let low = 0
    let high = this.messages.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const message = this.messages[middle]
      if (message !== undefined && message.offset < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Those from one offset to before another. */
  between(from: bigint, to: bigint): readonly Message[] {
    return this.messages.slice(this.indexAt(from), this.indexAt(to))
  }

  /** The first message from there on that can be decoded. */
  pastPoison(index: number): number {
    let past = index
    while (this.messages[past]?.isPoison === true) past += 1
    return past
  }

  /** The first message from there on that nobody's word passes by. */
  pastWaived(index: number): number {
    let past = index
    while (this.messages[past]?.isWaived === true) past += 1
    return past
  }

  /** The message that has this log, at the offset or behind it. */
  holding(id: string, offset: bigint): Message | undefined {
    for (let index = this.indexAt(offset); index < this.messages.length; index++) {
      if (this.messages[index]?.ids.includes(id) === true) return this.messages[index]
    }
    return undefined
  }

  /** Calls `done` once all of these logs are on disk, or passed: at once where there are none. */
  whenFreed(party: Party, ids: readonly string[], done: () => void): void {
    if (ids.length === 0) done()
    else this.#awaited.push({ party, ids: new Set(ids), done })
  }

  /** It has given the partition up: a batch whose letters are not on disk by now has not been done. */
  awaitNothing(party: Party): void {
    this.#awaited = this.#awaited.filter(awaited => awaited.party !== party)
  }

  /** These logs need nobody any more. */
  freed(ids: readonly string[]): void {
    for (const awaited of this.#awaited) {
      for (const id of ids) awaited.ids.delete(id)
      if (awaited.ids.size === 0) awaited.done()
    }
    this.#awaited = this.#awaited.filter(awaited => awaited.ids.size > 0)
  }

  /** Those at or after this offset can be read; what lies before and is not done has expired. */
  get begin(): bigint {
    return this.partition.log.begin
  }

  /** The first message that still has to be done. */
  firstOpen(): Message | undefined {
    for (
      let message = this.messages[this.#firstOpen];
      message !== undefined;
      message = this.messages[this.#firstOpen]
    ) {
      if (!message.isSettled && message.offset >= this.begin) return message
      this.#firstOpen += 1
    }
    return undefined
  }

  /** Everything has been done, as far as it can be read at all. */
  get isDone(): boolean {
    return this.firstOpen() === undefined
  }

  /** Everything that has been done is committed, as far as anybody can know. */
  get isCommitted(): boolean {
    const last = this.messages.at(-1)
    if (last === undefined || last.isWaived || last.offset < this.begin || this.isSetBack) return true
    // After the group was deleted, the end of a read-only partition need not be committed: nothing can come behind it.
    if (this.committed === undefined) return this.partition.status === 'readonly'
    return this.committed > last.offset
  }

  /** Where the log has not come, and will not in one run. */
  get beyond(): bigint {
    return this.partition.log.end + BEYOND
  }

  waiveBefore(offset: bigint): void {
    for (const message of this.messages.slice(0, this.indexAt(offset))) message.isWaived = true
  }
}

export class Stock {
  readonly #partitions = new Map<string, PartitionStock>()

  get partitions(): Iterable<PartitionStock> {
    return this.#partitions.values()
  }

  /** The partition, from its first mention on. */
  of(topicId: string, partition: Partition): PartitionStock {
    const key = partitionKey(topicId, partition.id)
    const known = this.#partitions.get(key)
    if (known !== undefined) return known
    const added = new PartitionStock(topicId, partition)
    this.#partitions.set(key, added)
    return added
  }

  find(key: string): PartitionStock | undefined {
    return this.#partitions.get(key)
  }
}

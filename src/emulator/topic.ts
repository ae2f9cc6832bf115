/**
 * A topic: its partitions with their ranges of hash keys, and which of them a write goes to.
 *
 * In: writes with or without a hash key, splits, merges. Out: partitions. The ranges of the writable partitions cover
 * all keys, each once, always; a partition that stops being writable never becomes so again, and stays readable.
 */
import { type LogRules, PartitionLog } from './partition-log.ts'
import { Refusal } from './refusal.ts'

export interface Partition {
  readonly id: number
  status: 'readwrite' | 'readonly'
  /** 128-bit hash keys. The end is exclusive, but for the largest key, which no range could hold otherwise. */
  readonly beginKey: bigint
  readonly endKey: bigint
  readonly createdMs: number
  readonly log: PartitionLog
}

export const KEY_MAX = 2n ** 128n - 1n

export class Topic {
  readonly id: string
  readonly partitions: Partition[] = []
  readonly #rules: LogRules
  #writeCount = 0

  constructor(id: string, partitionCount: number, rules: LogRules, nowMs: number) {
    this.id = id
    this.#rules = rules
    this.#addParts(0n, KEY_MAX, partitionCount, nowMs)
  }

  /** Where a write goes: by its key, or else to the writable partitions in turn. */
  route(hashKey: bigint | undefined): Partition {
    const target = this.nextFor(hashKey)
    if (target === undefined) throw new Refusal('InternalError', `topic ${this.id} has no writable partition`, 500)
    if (hashKey === undefined) this.#writeCount += 1
    return target
  }

  /** Where a write would go that came now. */
  nextFor(hashKey: bigint | undefined): Partition | undefined {
    const writable = this.writable()
    const byKey = hashKey === undefined ? undefined : writable.find(partition => covers(partition, hashKey))
    return byKey ?? writable[this.#writeCount % writable.length]
  }

  /** In the order of their keys. */
  writable(): Partition[] {
    const writable = this.partitions.filter(partition => partition.status === 'readwrite')
    return writable.sort((a, b) => (a.beginKey < b.beginKey ? -1 : 1))
  }

  /** Ends writing to the partition and gives its range to `count` new ones. */
  split(parent: Partition, count: number, nowMs: number): Partition[] {
    parent.status = 'readonly'
    return this.#addParts(parent.beginKey, parent.endKey, count, nowMs)
  }

  /** The same with two new ones; `key` is the first of the second one's. */
  splitAt(parent: Partition, key: bigint, nowMs: number): Partition[] {
    parent.status = 'readonly'
    return [[parent.beginKey, key] as const, [key, parent.endKey] as const].map(([begin, end]) =>
      this.#add(begin, end, nowMs)
    )
  }

  /** Ends writing to both neighbours and gives their ranges to one new partition. */
  merge(left: Partition, right: Partition, nowMs: number): Partition[] {
    left.status = 'readonly'
    right.status = 'readonly'
    return this.#addParts(left.beginKey, right.endKey, 1, nowMs)
  }

  #addParts(beginKey: bigint, endKey: bigint, count: number, nowMs: number): Partition[] {
    const cut = (part: number): bigint => beginKey + ((endKey - beginKey) * BigInt(part)) / BigInt(count)
    return Array.from({ length: count }, (_, part) => this.#add(cut(part), cut(part + 1), nowMs))
  }

  #add(beginKey: bigint, endKey: bigint, nowMs: number): Partition {
    const log = new PartitionLog(this.#rules)
    const id = this.partitions.length
    const added: Partition = { id, status: 'readwrite', beginKey, endKey, createdMs: nowMs, log }
    this.partitions.push(added)
    return added
  }
}

function covers(partition: Partition, key: bigint): boolean {
  return key >= partition.beginKey && (key < partition.endKey || partition.endKey === KEY_MAX)
}

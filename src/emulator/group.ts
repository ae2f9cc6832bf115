/**
 * One consumer group: its members, who owns which partition, who shall own it, and what is committed.
 *
 * In: heartbeats and commits with the moment they came. Out: what a consumer should hold. A partition has one owner at
 * most, ever: it goes to its next owner only once the old one's heartbeat left it out, or the old one fell silent for
 * longer than the group's timeout; with `handOver` at once, as soon as the next owner asks.
 *
 * Two maps, since a hand-off takes two heartbeats. `targets` is who shall have a partition; `owners` is who was told so
 * and has not given it up. The race they settle: C joins, so that p's target becomes C; C beats first, but A still
 * works on p → C is not told of p; A beats with p → A's answer lacks p; A commits and beats without p → p is free; only
 * now C's next beat gets it.
 */
import { balance } from './balance.ts'
import type { Quirks } from './quirks.ts'

export interface Member {
  readonly lastBeatMs: number
  /** Whether it has ever listed a partition since it joined. */
  readonly hasHeld: boolean
}

export type BeatRules = Pick<Quirks, 'handOver' | 'lastBeat'>

/** A partition of one of the group's topics. The key is for maps. */
export interface PartitionRef {
  readonly key: string
  readonly topicId: string
  readonly partition: number
}

export function partitionRef(topicId: string, partition: number): PartitionRef {
  return { key: `${topicId}#${partition}`, topicId, partition }
}

export class Group {
  readonly name: string
  timeoutSeconds: number
  topicIds: readonly string[]
  /** In the order of joining. */
  readonly #members = new Map<string, Member>()
  readonly #owners = new Map<string, string>()
  #targets = new Map<string, string>()
  readonly #committed = new Map<string, bigint>()

  constructor(name: string, timeoutSeconds: number, topicIds: readonly string[]) {
    this.name = name
    this.timeoutSeconds = timeoutSeconds
    this.topicIds = topicIds
  }

  /** Those heard of within the timeout. */
  members(nowMs: number): ReadonlyMap<string, Member> {
    this.#expire(nowMs)
    return this.#members
  }

  owner(partition: PartitionRef, nowMs: number): string | undefined {
    this.#expire(nowMs)
    return this.#owners.get(partition.key)
  }

  target(partition: PartitionRef): string | undefined {
    return this.#targets.get(partition.key)
  }

  committed(partition: PartitionRef): bigint | undefined {
    return this.#committed.get(partition.key)
  }

  /** Also a smaller offset than before is taken: consumers rewind. */
  commit(partition: PartitionRef, offset: bigint): void {
    this.#committed.set(partition.key, offset)
  }

  /**
   * Takes a heartbeat: `held` is what the consumer says it still holds, `all` is every partition of the group's
   * topics. The answer is what it should hold; the first heartbeat of a consumer joins it.
   */
  beat(
    consumer: string,
    held: ReadonlySet<string>,
    all: readonly PartitionRef[],
    nowMs: number,
    rules: BeatRules
  ): PartitionRef[] {
    this.#expire(nowMs)
    const hadHeld = this.#members.get(consumer)?.hasHeld ?? false
    if (rules.lastBeat === 'leaves' && hadHeld && held.size === 0) {
      this.#remove(consumer)
      this.#rebalance(all)
      return []
    }
    this.#members.set(consumer, { lastBeatMs: nowMs, hasHeld: hadHeld || held.size > 0 })
    for (const { key } of all) this.#settleHeld(key, consumer, held.has(key))
    this.#rebalance(all)

    const granted = all.filter(({ key }) => {
      const owner = this.#owners.get(key)
      const isFree = owner === undefined || owner === consumer || rules.handOver === 'at-once'
      return this.#targets.get(key) === consumer && isFree
    })
    for (const { key } of granted) this.#owners.set(key, consumer)
    return granted
  }

  /** When the clock is set: silence is a length of time. */
  shiftClock(aheadMs: number): void {
    for (const [consumer, member] of this.#members) {
      this.#members.set(consumer, { ...member, lastBeatMs: member.lastBeatMs + aheadMs })
    }
  }

  /**
   * Left out by its owner: free. Listed by somebody while it is free: theirs until they leave it out, whoever it is
   * meant for; somebody who came back after a silence says so of what it still works on. Listed by somebody while
   * another owns it: ignored; the answer, which lacks it, tells them.
   */
  #settleHeld(key: string, consumer: string, isHeld: boolean): void {
    const owner = this.#owners.get(key)
    if (owner === consumer && !isHeld) this.#owners.delete(key)
    if (owner === undefined && isHeld) this.#owners.set(key, consumer)
  }

  /** A move under way is kept up: its target, not its owner, is who the partition counts for. */
  #rebalance(all: readonly PartitionRef[]): void {
    const keys = all.map(({ key }) => key)
    const current = new Map<string, string>()
    for (const key of keys) {
      const has = this.#targets.get(key) ?? this.#owners.get(key)
      if (has !== undefined) current.set(key, has)
    }
    const known = new Set(keys)
    for (const key of this.#owners.keys()) if (!known.has(key)) this.#owners.delete(key)
    this.#targets = balance(keys, [...this.#members.keys()], current)
  }

  #expire(nowMs: number): void {
    for (const [consumer, { lastBeatMs }] of this.#members) {
      if (nowMs - lastBeatMs > this.timeoutSeconds * 1000) this.#remove(consumer)
    }
  }

  #remove(consumer: string): void {
    this.#members.delete(consumer)
    for (const map of [this.#owners, this.#targets]) {
      for (const [key, holder] of map) if (holder === consumer) map.delete(key)
    }
  }
}

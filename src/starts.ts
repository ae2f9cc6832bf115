/**
 * Where the partitions of a consumer start: what the service says, read with what this consumer remembers.
 *
 * In: topics and partitions. Out: offsets with their reasons. Remembers which partitions there were at the join, where its
 * own epochs ended, and whether the group was deleted. Must never happen: a start that `startFrom` chooses over logs that
 * the group had come to (I6, I11).
 */
import type { Epoch } from './batch.ts'
import { type ClsConsumerError, toClsError } from './errors.ts'
import { askByOtherGroup, askOwnPositions } from './group/own-positions.ts'
import { describeTopic, lookUpStarts, type Start } from './group/start-position.ts'
import type { Settings } from './options.ts'
import { isTopicTrouble } from './topic-troubles.ts'
import type { World } from './world.ts'

export class Starts {
  readonly #world: Pick<World, 'control' | 'random' | 'log'>
  readonly #settings: Settings
  /** Aborted when the consumer stops. */
  readonly #signal: AbortSignal
  /**
   * Which partitions each topic had when the consumer joined: those that come later are read from their beginning. Of a
   * topic that could not be looked at then, as soon as it can.
   */
  readonly #partitionsAtJoin = new Map<string, ReadonlySet<number>>()
  /** Where epochs ended, by topic and partition. */
  readonly #leftAt = new Map<string, Map<number, bigint>>()
  #isGroupMadeAgain = false

  constructor(world: Pick<World, 'control' | 'random' | 'log'>, settings: Settings, signal: AbortSignal) {
    this.#world = world
    this.#settings = settings
    this.#signal = signal
  }

  /**
   * Looks at every topic, before joining. What one topic alone is to blame for goes to `refused`.
   * @throws ClsConsumerError API_…
   */
  async lookAtTopics(refused: (topicId: string, error: ClsConsumerError) => void): Promise<void> {
    for (const topicId of this.#settings.topicIds) {
      try {
        await this.#partitionsOf(topicId)
      } catch (thrown) {
        const error = toClsError(thrown)
        if (!isTopicTrouble(error)) throw error
        refused(topicId, error)
      }
    }
  }

  /** The group was deleted, and what it had committed is gone: nothing is left to `startFrom`. */
  groupMadeAgain(): void {
    this.#isGroupMadeAgain = true
  }

  /** An epoch has ended there: everything before is settled. */
  left({ topicId, partition }: Epoch, nextOffset: bigint): void {
    const left = this.#leftAt.get(topicId) ?? new Map<number, bigint>()
    this.#leftAt.set(topicId, left.set(partition, nextOffset))
  }

  /** Of partitions of one topic. @throws ClsConsumerError API_… */
  async lookUp(topicId: string, partitions: readonly number[]): Promise<Map<number, Start>> {
    const past = { leftAt: this.#leftAt.get(topicId) ?? new Map(), isGroupMadeAgain: this.#isGroupMadeAgain }
    const partitionsAtJoin = await this.#partitionsOf(topicId)
    const ask = { topicId, partitions, partitionsAtJoin, past, signal: this.#signal }
    return await lookUpStarts(this.#world, this.#settings, ask)
  }

  /** The log's own begin or end, where `goneOffset` is none of its offsets any more. @throws ClsConsumerError API_… */
  async ownPosition(
    { topicId, partition }: Epoch,
    from: 'begin' | 'end',
    goneOffset: bigint
  ): Promise<bigint | undefined> {
    const question = { topicId, from, signal: this.#signal }
    const own = (await askOwnPositions(this.#world, this.#settings, question))?.get(partition)
    // The very one that was refused is the committed one: this site does not tell the log's own beside it.
    if (own !== undefined && own !== goneOffset) return own
    const [asked] = await askByOtherGroup(this.#world, [question])
    return asked?.get(partition)
  }

  async #partitionsOf(topicId: string): Promise<ReadonlySet<number>> {
    const known = this.#partitionsAtJoin.get(topicId)
    if (known !== undefined) return known
    const partitions = await describeTopic(this.#world, topicId, this.#signal)
    this.#partitionsAtJoin.set(topicId, partitions)
    return partitions
  }
}

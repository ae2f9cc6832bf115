/**
 * Where the partitions of a consumer start: what the service says, read with what this consumer remembers.
 *
 * In: topics and partitions. Out: offsets with their reasons. Remembers which partitions there were at the join, where its
 * own epochs ended, and whether the group was deleted. Must never happen: a start that `startFrom` chooses over logs that
 * the group had come to (I6, I11).
 */
import type { Epoch } from './batch.ts'
import { type ClsConsumerError, toClsError } from './errors.ts'
import { askOwnPositions, type OtherGroup, type Question } from './group/own-positions.ts'
import { describeTopic, lookUpStarts, type Start } from './group/start-position.ts'
import type { Settings } from './options.ts'
import { isTopicTrouble } from './topic-troubles.ts'
import type { Position, World } from './world.ts'

export interface StartsHandlers {
  /** Partitions of the topic whose commits were acknowledged. */
  acknowledged(topicId: string): Iterable<number>
  /** What was committed is gone: somebody deleted the group, and somebody made it again. */
  groupMadeAgain(): void
}

export class Starts {
  readonly #world: Pick<World, 'control'>
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
  /** Of these, where the service has acknowledged a commit. */
  readonly #committedAt = new Map<string, Set<number>>()
  readonly #otherGroup: OtherGroup
  readonly #handlers: StartsHandlers
  #isGroupMadeAgain = false

  constructor(parts: {
    readonly world: Pick<World, 'control'>
    readonly settings: Settings
    readonly otherGroup: OtherGroup
    readonly signal: AbortSignal
    readonly handlers: StartsHandlers
  }) {
    this.#world = parts.world
    this.#settings = parts.settings
    this.#otherGroup = parts.otherGroup
    this.#signal = parts.signal
    this.#handlers = parts.handlers
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
    this.#committedAt.clear()
  }

  /** An epoch has ended there: everything before is settled, and its last commit was acknowledged, or not. */
  left({ topicId, partition }: Epoch, nextOffset: bigint, isCommitted: boolean): void {
    const left = this.#leftAt.get(topicId) ?? new Map<number, bigint>()
    this.#leftAt.set(topicId, left.set(partition, nextOffset))
    if (!isCommitted) return
    const committed = this.#committedAt.get(topicId) ?? new Set<number>()
    this.#committedAt.set(topicId, committed.add(partition))
  }

  /** Of partitions of one topic. @throws ClsConsumerError API_… */
  async lookUp(topicId: string, partitions: readonly number[]): Promise<Map<number, Start>> {
    const past = { leftAt: this.#leftAt.get(topicId) ?? new Map(), isGroupMadeAgain: this.#isGroupMadeAgain }
    const partitionsAtJoin = await this.#partitionsOf(topicId)
    return await lookUpStarts(this.#world, this.#settings, {
      topicId,
      partitions,
      partitionsAtJoin,
      past,
      acknowledged: new Set([...(this.#committedAt.get(topicId) ?? []), ...this.#handlers.acknowledged(topicId)]),
      signal: this.#signal,
      groupMadeAgain: () => {
        this.groupMadeAgain()
        this.#handlers.groupMadeAgain()
      }
    })
  }

  /**
   * A position of the log itself. `notOffset`: one that it is not, such as one that is gone, or that a site which only knows
   * committed offsets would give instead. @throws ClsConsumerError API_…
   */
  async ownPosition(
    { topicId, partition }: Epoch,
    from: Position,
    notOffset: bigint | undefined
  ): Promise<bigint | undefined> {
    const question = { topicId, from, signal: this.#signal }
    // The very one that was refused, or is committed: this site may not tell the log's own beside it.
    return await this.#ask(question, partition, offset => offset !== notOffset)
  }

  /**
   * Where the log ends now; undefined where the service does not tell. `reached`: up to there it is known to go, and so may
   * any commit of ours, also one that is executed while we ask. @throws ClsConsumerError API_…
   */
  async endOf({ topicId, partition }: Epoch, reached: bigint, signal: AbortSignal): Promise<bigint | undefined> {
    return await this.#ask({ topicId, from: 'end', signal }, partition, offset => offset > reached)
  }

  /** `isOwn`: whether it cannot be a committed offset. Where it may be, a group that has none is asked. */
  async #ask(question: Question, partition: number, isOwn: (offset: bigint) => boolean): Promise<bigint | undefined> {
    const told = (await askOwnPositions(this.#world, this.#settings, question))?.get(partition)
    if (told !== undefined && isOwn(told)) return told
    const [asked] = await this.#otherGroup.ask([question])
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

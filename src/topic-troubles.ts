/**
 * Topics that the service refuses this consumer: no permission, closed, deleted. The others go on.
 *
 * In: refusals and successes, by topic and by what was asked. Out: what is news. Pure. A topic works again once the very
 * thing that was refused has succeeded: pulls may be allowed where commits are not.
 */
import type { ClsConsumerError, ErrorCode } from './errors.ts'

/** What is asked of a topic. */
export type TopicUse = 'positions' | 'pull' | 'commit'

interface Trouble {
  readonly use: TopicUse
  readonly error: ClsConsumerError
  /** Of partitions that were given up over it. */
  openCount: number
}

const OF_ONE_TOPIC: readonly ErrorCode[] = ['API_UNAUTHORIZED', 'API_NOT_FOUND', 'API_TOPIC_CLOSED']

/** Whether an error is the topic's, and not the consumer's as a whole. */
export function isTopicTrouble({ code }: ClsConsumerError): boolean {
  return OF_ONE_TOPIC.includes(code)
}

export class TopicTroubles {
  readonly #topicIds: readonly string[]
  readonly #troubles = new Map<string, Trouble>()

  constructor(topicIds: readonly string[]) {
    this.#topicIds = topicIds
  }

  /** Whether that is news: of a topic in trouble the first refusal is kept. */
  refuse(topicId: string, use: TopicUse, error: ClsConsumerError): boolean {
    if (this.#troubles.has(topicId)) return false
    this.#troubles.set(topicId, { use, error, openCount: 0 })
    return true
  }

  /** Whether that is news: what was refused works again. */
  restore(topicId: string, use: TopicUse): boolean {
    return this.#troubles.get(topicId)?.use === use && this.#troubles.delete(topicId)
  }

  /**
   * How often partitions of the topic were opened since its commits were refused, this time included; 0 where they are not.
   * A refused commit ends an epoch, and the partition is granted again at once: without a wait that would go round and round.
   */
  countOpening(topicId: string): number {
    const trouble = this.#troubles.get(topicId)
    if (trouble?.use !== 'commit') return 0
    trouble.openCount += 1
    return trouble.openCount
  }

  isRefused(topicId: string): boolean {
    return this.#troubles.has(topicId)
  }

  /** What was said of the first topic that is in trouble. */
  get firstError(): ClsConsumerError | undefined {
    return this.#troubles.values().next().value?.error
  }

  /** Nothing is left to read. */
  get isEveryTopicRefused(): boolean {
    return this.#topicIds.every(topicId => this.#troubles.has(topicId))
  }
}

/**
 * From granted to running: where a tenure starts is looked up and committed; then it may pull.
 *
 * In: the tenures that one heartbeat granted of one topic. Out: `run` for each that is still wanted. What the service
 * cannot tell now is asked for again, as long as it takes. Must never happen: a pull from a start that is not committed
 * (I11); an error read as a position (I6).
 */
import { type Epoch, keyOf } from './batch.ts'
import { assert, type ClsConsumerError, toClsError } from './errors.ts'
import { backoffDelayMs } from './failure/retry-policy.ts'
import type { PullBound } from './fetch/pull-chain.ts'
import { isGroupThere } from './group/ensure-group.ts'
import type { Start } from './group/start-position.ts'
import { errorFields } from './observe/error-fields.ts'
import type { Tenure } from './tenure.ts'
import type { TenuresParts } from './tenures.ts'
import { isTopicTrouble } from './topic-troubles.ts'

/** Between two questions to a service that could not answer the first. */
export const OPEN_RETRY_MS = 1000

type OpenerParts = Pick<
  TenuresParts,
  'world' | 'settings' | 'starts' | 'membership' | 'committer' | 'boundedRun' | 'signal' | 'handlers'
>

export class Opener {
  readonly #parts: OpenerParts
  readonly #run: (tenure: Tenure, start: Start, bound: PullBound | undefined) => void

  constructor(parts: OpenerParts, run: (tenure: Tenure, start: Start, bound: PullBound | undefined) => void) {
    this.#parts = parts
    this.#run = run
  }

  /** From assigned to running: find where to start, commit that (I11), pull. */
  async open(topicId: string, tenures: readonly Tenure[]): Promise<void> {
    const { world, starts, signal, handlers } = this.#parts
    const wanted = (): readonly Tenure[] => tenures.filter(({ phase }) => phase === 'opening')
    const delayMs = handlers.openDelayMs(topicId)
    if (delayMs > 0) await world.timers.sleep(delayMs, signal).catch(() => undefined)
    await this.insist(
      topicId,
      () => wanted().length > 0,
      async () => {
        const partitions = wanted().map(({ epoch }) => epoch.partition)
        const found = await starts.lookUp(topicId, partitions)
        // Revoked or lost while we asked.
        const asked = wanted().filter(({ epoch }) => found.has(epoch.partition))
        if (!(await this.#commitStarts(asked, found))) return false
        // Nothing waits from here to `run`: an end that became known before is looked up, one that becomes known later
        // finds these tenures running.
        const bounds = await this.lookUpBounds(topicId, asked)
        for (const tenure of asked.filter(({ phase }) => phase === 'opening'))
          this.#run(tenure, startOf(found, tenure.epoch), bounds?.get(tenure.epoch.partition))
        return true
      }
    )
  }

  /**
   * Asks the service about a topic until `attempt` is content. What it cannot answer now is asked again; what it refuses of
   * this topic is told, and asked less and less often. Ends when nobody wants it any more, or the consumer stops.
   * @throws ClsConsumerError what concerns more than this topic and time does not mend.
   */
  async insist(topicId: string, isWanted: () => boolean, attempt: () => Promise<boolean>): Promise<void> {
    const { world, settings, signal, handlers } = this.#parts
    let refusedCount = 0
    while (isWanted() && !signal.aborted) {
      let waitMs = OPEN_RETRY_MS
      try {
        const isContent = await attempt()
        handlers.topicAnswered(topicId, 'positions')
        if (isContent) return
        refusedCount = 0
      } catch (thrown) {
        if (signal.aborted) return
        const error = toClsError(thrown)
        if (isTopicTrouble(error)) {
          refusedCount += 1
          waitMs = backoffDelayMs({ ...settings, attempt: refusedCount, chance: world.random.next() })
          await this.#refuseOrRejoin(topicId, error)
        } else if (error.remedy !== 'retry') throw error
        else world.log.warn('the positions of a topic are not known yet', errorFields(error, { topicId }))
      }
      await world.timers.sleep(waitMs, signal).catch(() => undefined)
    }
  }

  /** "Not found" may be said of the group: then the next heartbeat finds that out, and this opening ends with its epoch. */
  async #refuseOrRejoin(topicId: string, error: ClsConsumerError): Promise<void> {
    const { world, settings, signal, membership, handlers } = this.#parts
    const isOfTopic =
      error.code !== 'API_NOT_FOUND' || (await isGroupThere(world, settings, signal).catch(() => undefined))
    if (isOfTopic === true) handlers.topicRefused(topicId, 'positions', error)
    else membership.beatNow()
  }

  async lookUpBounds(topicId: string, tenures: readonly Tenure[]): Promise<ReadonlyMap<number, PullBound> | undefined> {
    const { boundedRun, signal } = this.#parts
    if (boundedRun.phase !== 'known') return undefined
    const partitions = tenures.map(({ epoch }) => epoch.partition)
    return await boundedRun.lookUp(topicId, partitions, signal)
  }

  /** Whether every start that must be committed is, or its epoch is over. */
  async #commitStarts(tenures: readonly Tenure[], starts: ReadonlyMap<number, Start>): Promise<boolean> {
    const { committer, settings, signal } = this.#parts
    for (const { epoch } of tenures) {
      const start = startOf(starts, epoch)
      if (start.mustCommit) committer.track(epoch, start.offset)
      else if (start.offset >= 0n) committer.adopt(epoch, start.offset)
    }
    const epochs = tenures.map(({ epoch }) => epoch)
    return await committer.flush(epochs, settings.callTimeoutMs, signal)
  }
}

function startOf(starts: ReadonlyMap<number, Start>, epoch: Epoch): Start {
  const start = starts.get(epoch.partition)
  assert(start !== undefined, `I6: a start position of ${keyOf(epoch)} was looked up`)
  return start
}

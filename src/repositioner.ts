/**
 * How a partition that is held is repositioned: it goes on in a new epoch, from another position.
 *
 * In: an offset that is gone, a rewind, a seek, a resume, the loss of what a processor kept. Out: a tenure of a new epoch
 * that pulls from there; nothing of the old one counts any more (I3). Must never happen: a position that is chosen silently
 * (I6); a pull from a position that is not committed, where the one committed lies behind logs that are wanted again (I11).
 *
 * The old tenure ends and the new one stands in its place in one turn; only then does anything wait. Who repositions looks at
 * the tenure after each wait: it may be revoked or lost, or somebody else may have repositioned it.
 */
import { type Epoch, keyOf } from './batch.ts'
import { Saves } from './commit/saves.ts'
import type { PartitionId } from './dispatch/messages.ts'
import { ClsConsumerError, toClsError } from './errors.ts'
import { backoffDelayMs } from './failure/retry-policy.ts'
import type { PullBound } from './fetch/pull-chain.ts'
import { beyondEnd, endBefore } from './log-end.ts'
import { OPEN_RETRY_MS, type Opener } from './opener.ts'
import type { Beginning } from './progress.ts'
import type { Tenure } from './tenure.ts'
import type { TenuresParts } from './tenures.ts'
import { isTopicTrouble } from './topic-troubles.ts'
import { unlessAborted } from './within.ts'
import type { Position } from './world.ts'

export interface RepositionHooks {
  /** A tenure for a partition, in the place of the one that holds it. */
  add(epoch: Epoch): Tenure
  find(id: PartitionId): Tenure | undefined
  startPulling(tenure: Tenure, beginning: Beginning, bound: PullBound | undefined): void
}

/** Where to go on, and why. */
interface Reposition {
  readonly beginning: Beginning
  readonly reason: string
  /** Whether its start must be committed before anything is pulled. */
  readonly mustCommit: boolean
  /** Somebody has decided it: failed attempts are forgotten. */
  readonly isNewTry: boolean
  /** Who has brought it about. */
  readonly by: 'user' | 'processor'
}

const STATE_GONE = 'back to its last save: what the processor kept is gone'

export class Repositioner {
  readonly #parts: TenuresParts
  readonly #opener: Opener
  readonly #hooks: RepositionHooks
  /** Partitions that the user has paused, until they are resumed or gone. */
  readonly #paused = new Set<string>()
  /** Those whose processor lost what it kept before they went on. */
  readonly #stateGone = new WeakSet<Tenure>()

  constructor(parts: TenuresParts, opener: Opener, hooks: RepositionHooks) {
    this.#parts = parts
    this.#opener = opener
    this.#hooks = hooks
  }

  // ---- What the user orders ----

  /** False where it is not held, or is being given up. */
  pause(id: PartitionId): boolean {
    const tenure = this.#hooks.find(id)
    if (tenure === undefined || tenure.phase === 'closing' || tenure.phase === 'ended') return false
    this.#paused.add(keyOf(id))
    tenure.pause()
    return true
  }

  isPaused(id: PartitionId): boolean {
    return this.#paused.has(keyOf(id))
  }

  /** The partition is ours no more. */
  released(id: PartitionId): void {
    this.#paused.delete(keyOf(id))
  }

  /** Goes on where a pause or the policy has stopped it. False where neither has. */
  async resume(id: PartitionId): Promise<boolean> {
    const { dispatcher } = this.#parts
    const tenure = this.#hooks.find(id)
    const wasPaused = this.#paused.delete(keyOf(id))
    if (tenure?.phase !== 'paused' && tenure?.phase !== 'parked') return wasPaused
    // What is open still counts. It may fail meanwhile, and park the partition; or hang, until the partition is given up.
    await unlessAborted(dispatcher.rest(tenure.epoch), tenure.closed)
    const { nextOffset, committableOffset } = tenure
    if (!isHalted(tenure) || nextOffset === undefined || this.isPaused(id)) return false
    const isStateGone = this.#stateGone.has(tenure)
    const startOffset = isStateGone ? (committableOffset ?? nextOffset) : nextOffset
    const saves = tenure.saves === undefined ? undefined : new Saves(startOffset, committableOffset)
    const reason = isStateGone ? `resumed, ${STATE_GONE}` : 'resumed'
    return await this.#reposition(tenure, {
      beginning: { startOffset, saves },
      reason,
      mustCommit: false,
      isNewTry: true,
      by: 'user'
    })
  }

  /**
   * @returns Where it goes on; undefined where it is not held, is being opened or given up, or is so meanwhile.
   * @throws ClsConsumerError OPTIONS_INVALID (the log does not go so far), API_… (the service does not tell where that is)
   */
  async seek(id: PartitionId, position: bigint | Position): Promise<bigint | undefined> {
    const { committer, starts } = this.#parts
    const tenure = this.#hooks.find(id)
    if (tenure === undefined || !mayReposition(tenure)) return undefined
    const place = { topicId: id.topicId, partition: id.partition }
    let startOffset: bigint | undefined
    if (typeof position === 'bigint') {
      const endOffset = await endBefore(this.#parts, tenure, position)
      if (endOffset !== undefined) throw new ClsConsumerError('OPTIONS_INVALID', beyondEnd(position, endOffset), place)
      startOffset = position
    } else {
      startOffset = await starts.ownPosition(tenure.epoch, position, committer.committedOffset(tenure.epoch))
    }
    if (startOffset === undefined) {
      throw new ClsConsumerError(
        'API_REFUSED',
        `the service does not tell where ${position} is in this partition`,
        place
      )
    }
    const reason = `seek to ${position}`
    return (await this.#goTo(tenure, startOffset, reason, 'user')) ? startOffset : undefined
  }

  /**
   * Why the processor's batch has failed that wants to go on there: the log does not go so far. Its batch is open while the
   * service is asked. The partition closes or ends its epoch meanwhile → the word counts for nothing, whatever it is. The
   * service fails to tell → the attempt has failed, too: to go ahead of all that was read on a guess may pass logs (I1).
   */
  async rewindFault(tenure: Tenure, offset: bigint): Promise<ClsConsumerError | undefined> {
    const { topicId, partition } = tenure.epoch
    try {
      const endOffset = await endBefore(this.#parts, tenure, offset)
      if (endOffset === undefined) return undefined
      const message = `context.rewind(): ${beyondEnd(offset, endOffset)}`
      return new ClsConsumerError('PROCESSOR_FAILED', message, { topicId, partition })
    } catch (thrown) {
      const cause = toClsError(thrown)
      const message = `context.rewind(): whether the log goes as far as ${offset} is not known: ${cause.what}`
      return new ClsConsumerError('PROCESSOR_FAILED', message, { topicId, partition, cause })
    }
  }

  /** A processor's word. */
  rewind(tenure: Tenure, offset: bigint): void {
    this.#tellFailure(this.#goTo(tenure, offset, `rewind to ${offset}`, 'processor'))
  }

  /**
   * What a processor kept for the partition is gone with its thread, or was not saved before it left it: in commit mode
   * manual the partition goes on from its last save, if anything was processed since.
   */
  stateLost(tenure: Tenure): void {
    const { saves, phase } = tenure
    // A paused partition is resumed behind its last save; the end of the run is looked up; its thread dies → what lies
    // between would be in nobody's state, and a later save would pass it. One that stands still goes back once it goes on.
    if (phase === 'opening' || (isHalted(tenure) && tenure.hasUnsaved)) this.#stateGone.add(tenure)
    // It is revoked before → the `revoke` of the new thread, which has kept nothing, may save.
    if (this.#stateGone.has(tenure)) saves?.lose()
    if (saves === undefined || !tenure.hasUnsaved || !mayReposition(tenure) || isHalted(tenure)) return
    const beginning = { startOffset: saves.offset, saves: new Saves(saves.offset) }
    this.#tellFailure(
      this.#reposition(tenure, { beginning, reason: STATE_GONE, mustCommit: false, isNewTry: false, by: 'processor' })
    )
  }

  // ---- Where pulls are refused ----

  stuck(tenure: Tenure, error: ClsConsumerError, offset: bigint): void {
    const { settings, handlers } = this.#parts
    if (isTopicTrouble(error)) {
      this.#retryLater(tenure, error, offset)
    } else if (error.code !== 'API_INVALID_OFFSET' || settings.onInvalidOffset === 'stop') {
      handlers.failed(error)
    } else {
      this.#tellFailure(this.#moveOn(tenure, settings.onInvalidOffset, error, offset))
    }
  }

  /** The topic is refused: this partition stays ours, and is tried again by itself. */
  #retryLater(tenure: Tenure, error: ClsConsumerError, offset: bigint): void {
    const { world, settings, handlers } = this.#parts
    const { topicId } = tenure.epoch
    handlers.topicRefused(topicId, 'pull', error)
    const waitMs = backoffDelayMs({ ...settings, attempt: tenure.supply.refused(), chance: world.random.next() })
    world.timers.sleep(waitMs, tenure.closed).then(
      () => tenure.retry(offset),
      () => undefined
    )
  }

  /** The user's word decides where to go on, and never silently (I6). */
  async #moveOn(tenure: Tenure, from: 'begin' | 'end', error: ClsConsumerError, offset: bigint): Promise<void> {
    const { world, starts, holdings } = this.#parts
    const { topicId, partition } = tenure.epoch
    let startOffset: bigint | undefined
    await this.#opener.insist(
      topicId,
      () => tenure.phase === 'running',
      async () => {
        startOffset = await starts.ownPosition(tenure.epoch, from, offset)
        return true
      }
    )
    // Revoked or lost while we asked.
    if (tenure.phase !== 'running' || holdings.phaseOf(tenure.epoch) !== 'active') return
    // Nowhere to go.
    if (startOffset === undefined || startOffset === offset) throw error
    const onInvalidOffset = from
    world.log.warn('an offset is gone: repositioning', {
      topicId,
      partition,
      offset,
      startOffset,
      onInvalidOffset
    })
    await this.#goTo(tenure, startOffset, `offset ${offset} is gone, onInvalidOffset ${from}`, 'user')
  }

  // ---- The new epoch ----

  /** From there on, as if the partition had just been given to us there. */
  async #goTo(tenure: Tenure, startOffset: bigint, reason: string, by: Reposition['by']): Promise<boolean> {
    const { committableOffset, hasUnsaved } = tenure
    // What the processor keeps and has not saved is committed no more than before.
    const isBefore = committableOffset !== undefined && committableOffset < startOffset
    const savedOffset = hasUnsaved && isBefore ? committableOffset : startOffset
    const saves = tenure.saves === undefined ? undefined : new Saves(startOffset, savedOffset)
    return await this.#reposition(tenure, {
      beginning: { startOffset, saves },
      reason,
      mustCommit: true,
      isNewTry: true,
      by
    })
  }

  /** Resolves to whether it goes on there. What keeps it from that ends the consumer: the partition would stand still. */
  async #reposition(tenure: Tenure, reposition: Reposition): Promise<boolean> {
    const { holdings, dispatcher, committer, handlers, signal } = this.#parts
    if (!mayReposition(tenure) || holdings.phaseOf(tenure.epoch) !== 'active') return false
    const epoch = holdings.renew(tenure.epoch)
    tenure.end()
    committer.forget(tenure.epoch)
    dispatcher.renew(tenure.epoch, epoch, reposition.isNewTry)
    const next = this.#hooks.add(epoch)
    if (!reposition.mustCommit) next.carry(reposition.beginning)
    if (reposition.by === 'processor') next.standsStillSince(tenure.progressMs)
    const { startOffset, saves } = reposition.beginning
    handlers.repositioned(epoch, { from: tenure.nextOffset, to: startOffset, reason: reposition.reason })
    committer.track(epoch, saves?.offset ?? startOffset)
    try {
      return await this.#open(next, reposition)
    } catch (thrown) {
      if (!signal.aborted) handlers.failed(toClsError(thrown))
      return false
    }
  }

  async #open(next: Tenure, { beginning, reason, mustCommit }: Reposition): Promise<boolean> {
    const { world, settings, committer, boundedRun, handlers, signal } = this.#parts
    const { epoch } = next
    const { topicId, partition } = epoch
    const isCommitted = (): Promise<boolean> => committer.flush([epoch], settings.callTimeoutMs, next.closed)
    while (mustCommit && next.phase === 'opening' && !(await isCommitted())) {
      // Closed meanwhile: whoever closes it does not wait for this.
      if (next.phase !== 'opening') return false
      world.log.warn('the new start is not committed yet', { topicId, partition, startOffset: beginning.startOffset })
      // Past the lease a flush ends at once, and only a timer tells that the lease has ended.
      await world.timers.sleep(OPEN_RETRY_MS, next.closed).catch(() => undefined)
    }
    let bounds: ReadonlyMap<number, PullBound> | undefined
    // The end of the run may become known right after we had asked for it, and be told to those that run already.
    do {
      await this.#opener.insist(
        topicId,
        () => next.phase === 'opening',
        async () => {
          bounds = await this.#opener.lookUpBounds(topicId, [next])
          return true
        }
      )
    } while (boundedRun.phase === 'known' && bounds === undefined && next.phase === 'opening' && !signal.aborted)
    // A consumer that stops does not insist, and so may not know where a bounded run ends.
    if (next.phase !== 'opening' || signal.aborted) return false
    const { saves } = beginning
    // From here on its thread keeps anew: another loss is another word.
    const isStateGone = this.#stateGone.delete(next) && saves !== undefined
    const begun = isStateGone ? { startOffset: saves.offset, saves: new Saves(saves.offset) } : beginning
    handlers.assigned({ ...epoch, startOffset: begun.startOffset, reason: isStateGone ? STATE_GONE : reason })
    this.#hooks.startPulling(next, begun, bounds?.get(partition))
    return true
  }

  #tellFailure(repositioned: Promise<unknown>): void {
    const { signal, handlers } = this.#parts
    repositioned.catch(thrown => {
      if (!signal.aborted) handlers.failed(toClsError(thrown))
    })
  }
}

function isHalted({ phase }: Tenure): boolean {
  return phase === 'paused' || phase === 'parked'
}

/** Its position is known, and nobody is giving it up. */
function mayReposition(tenure: Tenure): boolean {
  return tenure.phase === 'running' || tenure.phase === 'done' || isHalted(tenure)
}

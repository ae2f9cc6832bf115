/**
 * How a partition that is held goes on elsewhere: in a new epoch, from another position.
 *
 * In: an offset that is gone, a rewind, a seek, a resume, the loss of what a processor kept. Out: a tenure of a new epoch
 * that pulls from there; nothing of the old one counts any more (I3). Must never happen: a position that is chosen silently
 * (I6); a pull from a position that is not committed, where the one committed lies behind logs that are wanted again (I11).
 *
 * The old tenure ends and the new one stands in its place in one turn; only then does anything wait. Who renews looks at the
 * tenure after each wait: it may be revoked or lost, or somebody else may have renewed it.
 */
import { type Epoch, keyOf } from './batch.ts'
import { Saves } from './commit/saves.ts'
import type { PartitionId } from './dispatch/messages.ts'
import { ClsConsumerError, toClsError } from './errors.ts'
import { backoffDelayMs } from './failure/retry-policy.ts'
import type { PullBound } from './fetch/pull-chain.ts'
import { OPEN_RETRY_MS, type Opener } from './opener.ts'
import type { Beginning, Tenure } from './tenure.ts'
import type { TenuresParts } from './tenures.ts'
import { isTopicTrouble } from './topic-troubles.ts'
import type { Position } from './world.ts'

export interface RenewalHooks {
  /** A tenure for a partition, in the place of the one that holds it. */
  add(epoch: Epoch): Tenure
  find(id: PartitionId): Tenure | undefined
  startPulling(tenure: Tenure, beginning: Beginning, bound: PullBound | undefined): void
}

/** Where to go on, and why. */
interface Turn {
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

export class Renewals {
  readonly #parts: TenuresParts
  readonly #opener: Opener
  readonly #hooks: RenewalHooks
  /** Partitions that the user has paused, until they are resumed or gone. */
  readonly #paused = new Set<string>()
  /** Those whose processor lost what it kept before they went on. */
  readonly #bereft = new WeakSet<Tenure>()

  constructor(parts: TenuresParts, opener: Opener, hooks: RenewalHooks) {
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
    // What is open still counts. It may fail meanwhile, and park the partition.
    await dispatcher.rest(tenure.epoch)
    const { nextOffset, committableOffset } = tenure
    if (!isHalted(tenure) || nextOffset === undefined || this.isPaused(id)) return false
    const isBereft = this.#bereft.has(tenure)
    const startOffset = isBereft ? (committableOffset ?? nextOffset) : nextOffset
    const saves = tenure.saves === undefined ? undefined : new Saves(startOffset, committableOffset)
    const reason = isBereft ? `resumed, ${STATE_GONE}` : 'resumed'
    return await this.#renew(tenure, {
      beginning: { startOffset, saves },
      reason,
      mustCommit: false,
      isNewTry: true,
      by: 'user'
    })
  }

  /**
   * @returns Where it goes on; undefined where it is not held, is being opened or given up, or is so meanwhile.
   * @throws ClsConsumerError API_… (the service does not tell where that is)
   */
  async seek(id: PartitionId, position: bigint | Position): Promise<bigint | undefined> {
    const { committer, starts } = this.#parts
    const tenure = this.#hooks.find(id)
    if (tenure === undefined || !mayTurn(tenure)) return undefined
    let startOffset: bigint | undefined
    if (typeof position === 'bigint') startOffset = position
    else startOffset = await starts.ownPosition(tenure.epoch, position, committer.committedOffset(tenure.epoch))
    if (startOffset === undefined) {
      const message = `the service does not tell where ${position} is in this partition`
      throw new ClsConsumerError('API_REFUSED', message, { topicId: id.topicId, partition: id.partition })
    }
    const reason = `seek to ${position}`
    return (await this.#turnTo(tenure, startOffset, reason, 'user')) ? startOffset : undefined
  }

  /** A processor's word. */
  rewind(tenure: Tenure, offset: bigint): void {
    this.#tellFailure(this.#turnTo(tenure, offset, `rewind to ${offset}`, 'processor'))
  }

  /**
   * What a processor kept for the partition is gone with its thread, or was not saved before it left it: in commit mode
   * manual the partition goes on from its last save, if anything was processed since.
   */
  stateLost(tenure: Tenure): void {
    const { saves, phase } = tenure
    // A paused partition is resumed behind its last save; the end of the run is looked up; its thread dies → what lies
    // between would be in nobody's state, and a later save would pass it. One that stands still goes back once it goes on.
    if (phase === 'opening' || (isHalted(tenure) && tenure.hasUnsaved)) this.#bereft.add(tenure)
    // It is revoked before → the `revoke` of the new thread, which has kept nothing, may save.
    if (this.#bereft.has(tenure)) saves?.lose()
    if (saves === undefined || !tenure.hasUnsaved || !mayTurn(tenure) || isHalted(tenure)) return
    const beginning = { startOffset: saves.offset, saves: new Saves(saves.offset) }
    this.#tellFailure(
      this.#renew(tenure, { beginning, reason: STATE_GONE, mustCommit: false, isNewTry: false, by: 'processor' })
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
    const waitMs = backoffDelayMs({ ...settings, attempt: tenure.refused(), chance: world.random.next() })
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
    world.log.warn('an offset is gone: going on elsewhere', {
      topicId,
      partition,
      offset,
      startOffset,
      onInvalidOffset
    })
    await this.#turnTo(tenure, startOffset, `offset ${offset} is gone, onInvalidOffset ${from}`, 'user')
  }

  // ---- The turn ----

  /** From there on, as if the partition had just been given to us there. */
  async #turnTo(tenure: Tenure, startOffset: bigint, reason: string, by: Turn['by']): Promise<boolean> {
    const { committableOffset, hasUnsaved } = tenure
    // What the processor keeps and has not saved is committed no more than before.
    const isBefore = committableOffset !== undefined && committableOffset < startOffset
    const savedOffset = hasUnsaved && isBefore ? committableOffset : startOffset
    const saves = tenure.saves === undefined ? undefined : new Saves(startOffset, savedOffset)
    return await this.#renew(tenure, {
      beginning: { startOffset, saves },
      reason,
      mustCommit: true,
      isNewTry: true,
      by
    })
  }

  /** Resolves to whether it goes on there. What keeps it from that ends the consumer: the partition would stand still. */
  async #renew(tenure: Tenure, turn: Turn): Promise<boolean> {
    const { holdings, dispatcher, committer, handlers, signal } = this.#parts
    if (!mayTurn(tenure) || holdings.phaseOf(tenure.epoch) !== 'active') return false
    const epoch = holdings.renew(tenure.epoch)
    tenure.end()
    committer.forget(tenure.epoch)
    dispatcher.renew(tenure.epoch, epoch, turn.isNewTry)
    const next = this.#hooks.add(epoch)
    if (!turn.mustCommit) next.carry(turn.beginning)
    if (turn.by === 'processor') next.standsStillSince(tenure.progressMs)
    const { startOffset, saves } = turn.beginning
    handlers.turned(epoch, { from: tenure.nextOffset, to: startOffset, reason: turn.reason })
    committer.track(epoch, saves?.offset ?? startOffset)
    try {
      return await this.#open(next, turn)
    } catch (thrown) {
      if (!signal.aborted) handlers.failed(toClsError(thrown))
      return false
    }
  }

  async #open(next: Tenure, { beginning, reason, mustCommit }: Turn): Promise<boolean> {
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
    const isBereft = this.#bereft.has(next) && saves !== undefined
    const begun = isBereft ? { startOffset: saves.offset, saves: new Saves(saves.offset) } : beginning
    handlers.assigned({ ...epoch, startOffset: begun.startOffset, reason: isBereft ? STATE_GONE : reason })
    this.#hooks.startPulling(next, begun, bounds?.get(partition))
    return true
  }

  #tellFailure(renewal: Promise<unknown>): void {
    const { signal, handlers } = this.#parts
    renewal.catch(thrown => {
      if (!signal.aborted) handlers.failed(toClsError(thrown))
    })
  }
}

function isHalted({ phase }: Tenure): boolean {
  return phase === 'paused' || phase === 'parked'
}

/** Its position is known, and nobody is giving it up. */
function mayTurn(tenure: Tenure): boolean {
  return tenure.phase === 'running' || tenure.phase === 'done' || isHalted(tenure)
}

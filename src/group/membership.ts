/**
 * Membership: heartbeats, the lease, and what follows from both.
 *
 * In: the answers to heartbeats, and the consumer's word that a partition is released. Out: calls of `handlers`. Holds
 * no policy: `Holdings` and `Lease` decide. Must never happen: two heartbeats in flight; an answer applied after the
 * lease had ended as if it had not; the last heartbeat leaves before the last release (I4).
 */
import type { Epoch } from '../batch.ts'
import type { PartitionId } from '../dispatch/messages.ts'
import { ClsConsumerError, toClsError } from '../errors.ts'
import { errorFields } from '../observe/error-fields.ts'
import type { Settings } from '../options.ts'
import type { CallOptions, Timer, World } from '../world.ts'
import type { Holdings } from './holdings.ts'
import type { Lease } from './lease.ts'

export interface MembershipHandlers {
  assigned(epochs: readonly Epoch[]): void
  revoked(epochs: readonly Epoch[]): void
  /** These epochs are over, whatever still runs. */
  lost(epochs: readonly Epoch[], reason: string): void
  /** The service does not know the group: every epoch has ended. Heartbeats go on with `groupMade`. */
  unknown(error: ClsConsumerError): void
  /** The service refuses heartbeats for good. */
  failed(error: ClsConsumerError): void
}

/** A heartbeat and its retries end within this share of the interval, so that the next one leaves on time. */
const BEAT_SHARE = 0.9

/** A heartbeat that is never answered leaves time for two more tries, and does not cost the lease. */
const BEAT_TRY_SHARE = 0.3

/** The last heartbeat is a courtesy: nothing depends on it. */
const LAST_BEAT_MS_MAX = 5000

/** A group that was made again is known to the next heartbeat. So many times in a row that it is not is a refusal. */
const UNKNOWN_BEATS_MAX = 5

/** Between two heartbeats that try to join. */
const JOIN_PAUSE_MS = 200

/** taking: joins and takes what is granted. draining: beats on, takes nothing. leaving: the last heartbeat. */
type Phase = 'idle' | 'taking' | 'draining' | 'leaving' | 'left'

export class Membership {
  readonly #world: Pick<World, 'clock' | 'timers' | 'control' | 'log'>
  readonly #settings: Settings
  readonly #consumer: string
  readonly #holdings: Holdings
  readonly #lease: Lease
  readonly #handlers: MembershipHandlers
  readonly #warnedForeign = new Set<string>()
  readonly #leaving = new AbortController()
  #phase: Phase = 'idle'
  /** gone: the service does not know it; no heartbeat leaves until it is made again. */
  #group: 'there' | 'gone' = 'there'
  /** How often it was gone since the last heartbeat that was understood. */
  #unknownCount = 0
  #inFlight: Promise<void> | undefined
  /** A release happened while a heartbeat was in flight: another one leaves as soon as that is answered. */
  #isBeatDue = false
  #beatTimer: Timer | undefined
  #leaseTimer: Timer | undefined

  constructor(parts: {
    readonly world: Pick<World, 'clock' | 'timers' | 'control' | 'log'>
    readonly settings: Settings
    readonly consumer: string
    readonly holdings: Holdings
    readonly lease: Lease
    readonly handlers: MembershipHandlers
  }) {
    this.#world = parts.world
    this.#settings = parts.settings
    this.#consumer = parts.consumer
    this.#holdings = parts.holdings
    this.#lease = parts.lease
    this.#handlers = parts.handlers
  }

  /**
   * Joins: resolves with the first heartbeat that counts, rejects where the service refuses, or stays silent for
   * `callTimeoutMs`. Each heartbeat ends within its interval, this first one too.
   */
  async join(signal: AbortSignal): Promise<void> {
    const { clock, timers } = this.#world
    const { callTimeoutMs, heartbeatIntervalMs } = this.#settings
    const untilMs = clock.monotonic() + callTimeoutMs
    this.#phase = 'taking'
    try {
      while (!(await this.#tryJoin(untilMs, signal))) await timers.sleep(JOIN_PAUSE_MS, signal)
    } catch (error) {
      this.#phase = 'left'
      throw error
    }
    this.#schedule(heartbeatIntervalMs)
  }

  /** Whether the partitions are still ours, by the clock (I12). Ends the epochs if not: it may be the first to know. */
  checkLease(): boolean {
    if (this.#lease.holds(this.#world.clock.monotonic())) return true
    this.#endLease('the lease has ended')
    return false
  }

  /** The group is made again: joins it. */
  groupMade(): void {
    this.#group = 'there'
    this.beatNow()
  }

  /** A heartbeat leaves at once, or as soon as the one in flight is answered. */
  beatNow(): void {
    if (!this.#isBeating() || this.#group === 'gone') return
    if (this.#inFlight !== undefined) {
      this.#isBeatDue = true
      return
    }
    this.#beatTimer?.cancel()
    this.#inFlight = this.#beat().finally(() => {
      this.#inFlight = undefined
      if (this.#isBeatDue) {
        this.#isBeatDue = false
        this.beatNow()
      }
    })
  }

  /** The consumer is stopping: what is granted from now on is not taken. */
  takeNoMore(): void {
    if (this.#phase === 'taking') this.#phase = 'draining'
  }

  /** Nothing of this partition runs any more. Tells the server at once. */
  release(epoch: Epoch): void {
    this.#holdings.release(epoch)
    this.beatNow()
  }

  /**
   * Ends heartbeats with a last one that lists every topic without partitions. Its answer grants partitions, since it
   * looks like a join: ignored. Its loss only means that the server waits for the timeout.
   */
  async leave(): Promise<void> {
    if (!this.#isBeating()) return
    this.#phase = 'leaving'
    this.#beatTimer?.cancel()
    // What it says is overtaken by the last one.
    this.#leaving.abort(new ClsConsumerError('CONSUMER_STATE', 'the consumer is leaving the group'))
    await this.#inFlight
    const { group, heartbeatIntervalMs } = this.#settings
    try {
      const deadlineMs = Math.min(LAST_BEAT_MS_MAX, heartbeatIntervalMs * BEAT_SHARE)
      await this.#world.control.sendConsumerHeartbeat(
        { group, consumer: this.#consumer, held: this.#holdings.held() },
        { deadlineMs }
      )
    } catch (error) {
      this.#world.log.warn('last heartbeat failed', errorFields(toClsError(error)))
    }
    this.#phase = 'left'
    this.#leaseTimer?.cancel()
  }

  /** False: not joined yet, and there is time for another heartbeat. */
  async #tryJoin(untilMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock, log } = this.#world
    const remainingMs = untilMs - clock.monotonic()
    const deadlineMs = Math.min(this.#settings.heartbeatIntervalMs * BEAT_SHARE, remainingMs)
    try {
      return await this.#exchange({ deadlineMs, signal })
    } catch (error) {
      const isFinal = !(error instanceof ClsConsumerError) || error.remedy !== 'retry'
      if (isFinal || signal.aborted || clock.monotonic() + JOIN_PAUSE_MS >= untilMs) throw error
      log.warn('heartbeat failed', errorFields(error))
      return false
    }
  }

  #isBeating(): boolean {
    return this.#phase === 'taking' || this.#phase === 'draining'
  }

  #schedule(delayMs: number): void {
    if (!this.#isBeating()) return
    this.#beatTimer?.cancel()
    this.#beatTimer = this.#world.timers.after(delayMs, () => this.beatNow())
  }

  async #beat(): Promise<void> {
    const { heartbeatIntervalMs } = this.#settings
    const sentMs = this.#world.clock.monotonic()
    try {
      await this.#exchange({ deadlineMs: heartbeatIntervalMs * BEAT_SHARE, signal: this.#leaving.signal })
    } catch (thrown) {
      if (this.#leaving.signal.aborted) return
      this.checkLease()
      const error = toClsError(thrown)
      if (error.code === 'API_NOT_FOUND' && this.#unknownCount < UNKNOWN_BEATS_MAX) {
        this.#unknownCount += 1
        this.#group = 'gone'
        this.#endEpochs('the group is gone')
        this.#handlers.unknown(error)
      } else if (error.remedy === 'stop' || error.remedy === 'fix-input') {
        this.#handlers.failed(error)
      } else {
        this.#world.log.warn('heartbeat failed', { ...errorFields(error), leaseMs: this.#leaseRemainingMs() })
      }
    }
    const elapsedMs = this.#world.clock.monotonic() - sentMs
    this.#schedule(Math.max(0, heartbeatIntervalMs - elapsedMs))
  }

  /** One heartbeat and what its answer changes. False where it was answered too late to count. */
  async #exchange(call: CallOptions): Promise<boolean> {
    const { control, clock, log } = this.#world
    const { group } = this.#settings
    const beat = this.#holdings.nextBeat()
    const sentMs = clock.monotonic()
    const granted = await control.sendConsumerHeartbeat(
      { group, consumer: this.#consumer, held: this.#holdings.held() },
      { ...call, tryMs: this.#settings.heartbeatIntervalMs * BEAT_TRY_SHARE }
    )
    // The lease ended while the answer was on its way (this process may have been stopped): others may have worked on
    // the partitions since, so the epochs end first, and the answer assigns anew.
    if (this.#lease.endMs > Number.NEGATIVE_INFINITY) this.checkLease()
    this.#unknownCount = 0
    this.#lease.acknowledge(sentMs)
    if (!this.#lease.holds(clock.monotonic())) {
      log.warn('heartbeat answered too late to count', { tookMs: Math.round(clock.monotonic() - sentMs) })
      return false
    }
    // `leave` was called meanwhile: what is granted now would never be worked on.
    if (!this.#isBeating()) return true
    this.#watchLease()
    const { assigned, revoked, foreign } = this.#holdings.apply(granted, beat, this.#phase === 'taking')
    this.#warnOfForeign(foreign)
    if (revoked.length > 0) this.#handlers.revoked(revoked)
    if (assigned.length > 0) this.#handlers.assigned(assigned)
    return true
  }

  #watchLease(): void {
    this.#leaseTimer?.cancel()
    this.#leaseTimer = this.#world.timers.after(Math.ceil(this.#leaseRemainingMs()), () => {
      if (this.checkLease()) this.#watchLease()
    })
  }

  /** The membership is gone, and with it every epoch; what is granted from now on is taken as new. */
  #endEpochs(reason: string): void {
    this.#lease.end()
    this.#endLease(reason)
  }

  #endLease(reason: string): void {
    this.#leaseTimer?.cancel()
    const epochs = this.#holdings.loseAll()
    if (epochs.length > 0) this.#handlers.lost(epochs, reason)
  }

  #leaseRemainingMs(): number {
    return this.#lease.remainingMs(this.#world.clock.monotonic())
  }

  /** The group was given a topic that we do not read: its partitions, granted to us, are read by nobody. */
  #warnOfForeign(foreign: readonly PartitionId[]): void {
    for (const { topicId } of foreign) {
      if (this.#warnedForeign.has(topicId)) continue
      this.#warnedForeign.add(topicId)
      this.#world.log.warn('partitions of a topic that topicIds lacks are assigned here and not read: add it', {
        topicId
      })
    }
  }
}

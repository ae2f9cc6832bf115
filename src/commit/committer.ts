/**
 * The committer: sends the frontiers of all partitions, merged into one call per interval.
 *
 * In: `track`ed offsets. Out: `CommitConsumerOffsets`, and what became of them. Must never happen: two calls in flight;
 * an offset of an ended epoch in a call (I3); a call past the lease (I12); a position that goes back silently (I6).
 *
 * Walks of the race:
 * - call leaves with offset 100; frontier moves to 200; answer arrives → acknowledged is what was sent, not what is
 *   wanted now; 200 goes with the next call.
 * - call leaves; epoch ends; answer arrives → the entry is gone or of another epoch; the answer says nothing of it.
 * - call is refused for its rate or its signature, or waits for its turn; epoch ends; call would be sent (again) → the
 *   service would be told an offset of an ended epoch, maybe over a newer one's. Hence each try asks first. What was sent
 *   is sent; the other partitions of the call go at once, in a new one.
 * - call times out, and is executed later, after 200 was committed → 100 stands. Hence a timeout leaves the entries
 *   unacknowledged and in doubt: the newest offset is sent until one call after it has been acknowledged, and once more.
 * - 100 is acknowledged; the partition is rewound to 50, in a new epoch; 50 is acknowledged → the service went back, and
 *   it is told. Had the first answer come after the end of its epoch, 100 is what the service held all the same.
 */
import { type Epoch, keyOf } from '../batch.ts'
import { Recent } from '../cls/recent.ts'
import { isUnsure } from '../cls/retry.ts'
import { assert, ClsConsumerError, toClsError } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { PartitionOffset, Timer, World } from '../world.ts'
import { Doubts } from './doubts.ts'

export interface CommitHandlers {
  committed(epoch: Epoch, offset: bigint): void
  /** A commit was acknowledged that is lower than the partition's one before, of this epoch or another. */
  wentBack(epoch: Epoch, from: bigint, to: bigint): void
  /** The call failed and will be repeated. */
  failed(error: ClsConsumerError, partitionCount: number): void
  /** The service refuses this partition's commit: the epoch is not ours any more. */
  refused(epoch: Epoch, error: ClsConsumerError): void
  /** No commit will ever succeed. */
  broken(error: ClsConsumerError): void
  /** How long the lease still holds, ms; 0 once it has ended. Asked right before each call. */
  leaseRemainingMs(): number
}

interface Entry {
  readonly epoch: Epoch
  wanted: bigint
  acknowledged: bigint | undefined
  /** Acknowledged by an answer, not adopted. */
  isSent: boolean
}

/** A call and its retries: past this the newest offsets are sent instead of repeating older ones. */
const CALL_MS_MAX = 10_000

/** Between a failed call and the next of a flush. */
const RETRY_PAUSE_MS = 200

/** The partitions of one consumer are far fewer. One that is forgotten only goes back without a word, once. */
const POSITIONS_MAX = 10_000

/** broken: the service refuses commits for good. */
type Phase = 'running' | 'broken' | 'stopped'

export class Committer {
  readonly #world: Pick<World, 'timers' | 'control'>
  readonly #settings: Pick<Settings, 'group' | 'commitIntervalMs' | 'callTimeoutMs'>
  readonly #consumer: string
  readonly #handlers: CommitHandlers
  readonly #entries = new Map<string, Entry>()
  readonly #doubts = new Doubts()
  /** By partition: what the service was last known to hold. Outlives the epoch: only a new one goes back. */
  #positions = new Recent<bigint>(POSITIONS_MAX)
  #phase: Phase = 'running'
  #timer: Timer | undefined
  #inFlight: Promise<void> | undefined
  #failureCount = 0

  constructor(parts: {
    readonly world: Pick<World, 'timers' | 'control'>
    readonly settings: Pick<Settings, 'group' | 'commitIntervalMs' | 'callTimeoutMs'>
    readonly consumer: string
    readonly handlers: CommitHandlers
  }) {
    this.#world = parts.world
    this.#settings = parts.settings
    this.#consumer = parts.consumer
    this.#handlers = parts.handlers
  }

  start(): void {
    this.#schedule()
  }

  /** `offset` is the epoch's frontier now. A new epoch of the partition replaces the old one's entry. */
  track(epoch: Epoch, offset: bigint): void {
    const entry = this.#entries.get(keyOf(epoch))
    if (entry?.epoch.epoch === epoch.epoch) entry.wanted = offset
    else this.#enter({ epoch, wanted: offset, acknowledged: undefined, isSent: false })
  }

  /** The offset is the committed one already: nothing to send until it moves. */
  adopt(epoch: Epoch, offset: bigint): void {
    this.#enter({ epoch, wanted: offset, acknowledged: offset, isSent: false })
    this.#positions.set(keyOf(epoch), offset)
  }

  /**
   * Sends once more what was acknowledged: another's late call may have been executed over it, by a service that takes
   * commits of those who own nothing; or it is gone with its group.
   */
  repeat(epoch: Epoch): void {
    const entry = this.#entries.get(keyOf(epoch))
    if (entry?.epoch.epoch === epoch.epoch && entry.isSent) this.#doubts.addUnknown(keyOf(epoch))
  }

  /** Nothing that was acknowledged is committed any more. */
  repeatAll(): void {
    this.#positions = new Recent(POSITIONS_MAX)
    for (const entry of this.#entries.values()) {
      this.repeat(entry.epoch)
      entry.isSent = false
    }
  }

  /** Partitions of the topic of which the service has acknowledged a commit. */
  acknowledged(topicId: string): number[] {
    const entries = [...this.#entries.values()].filter(({ epoch, isSent }) => epoch.topicId === topicId && isSent)
    return entries.map(({ epoch }) => epoch.partition)
  }

  /** The epoch has ended: nothing of it is committed any more (I3). */
  forget(epoch: Epoch): void {
    if (this.#entries.get(keyOf(epoch))?.epoch.epoch === epoch.epoch) this.#entries.delete(keyOf(epoch))
  }

  committedOffset(epoch: Epoch): bigint | undefined {
    const entry = this.#entries.get(keyOf(epoch))
    return entry?.epoch.epoch === epoch.epoch ? entry.acknowledged : undefined
  }

  /** Whether what the epochs want is acknowledged. */
  isClean(epochs: readonly Epoch[]): boolean {
    return epochs.every(epoch => {
      const entry = this.#entries.get(keyOf(epoch))
      return entry?.epoch.epoch !== epoch.epoch || !this.#isDirty(entry)
    })
  }

  /**
   * Commits until these epochs are clean or gone, the lease ends, or the deadline passes. Resolves to whether they are
   * clean or gone. Callers in one turn share one call. `signal` ends it as the deadline does.
   */
  async flush(epochs: readonly Epoch[], deadlineMs: number, signal?: AbortSignal): Promise<boolean> {
    const deadline = new AbortController()
    const expire = (): void => deadline.abort()
    const timer = this.#world.timers.after(deadlineMs, expire)
    const expired = new Promise<void>(resolve => deadline.signal.addEventListener('abort', () => resolve()))
    if (signal?.aborted === true) expire()
    signal?.addEventListener('abort', expire)
    try {
      await Promise.resolve()
      const mayCommit = (): boolean => this.#phase !== 'broken' && this.#handlers.leaseRemainingMs() > 0
      while (!this.isClean(epochs) && !deadline.signal.aborted && mayCommit()) {
        const failureCount = this.#failureCount
        await Promise.race([this.#commitOnce(), expired])
        const hasFailed = this.#failureCount > failureCount
        if (hasFailed && !deadline.signal.aborted)
          await this.#world.timers.sleep(RETRY_PAUSE_MS, deadline.signal).catch(() => undefined)
      }
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', expire)
    }
    return this.isClean(epochs)
  }

  /** Resolves when the call in flight, if there is one, has ended. It ends within CALL_MS_MAX. */
  async rest(): Promise<void> {
    await this.#inFlight
  }

  /** Ends the interval. A call in flight is waited for. */
  async stop(): Promise<void> {
    this.#phase = 'stopped'
    this.#timer?.cancel()
    await this.rest()
  }

  #schedule(): void {
    if (this.#phase !== 'running') return
    this.#timer = this.#world.timers.after(this.#settings.commitIntervalMs, () => {
      void this.#commitOnce().finally(() => this.#schedule())
    })
  }

  #enter(entry: Entry): void {
    const { epoch } = entry
    const before = this.#entries.get(keyOf(epoch))
    assert(
      before === undefined || before.epoch.epoch <= epoch.epoch,
      `I3: epoch ${epoch.epoch} of ${keyOf(epoch)} has ended`
    )
    this.#entries.set(keyOf(epoch), entry)
  }

  /** Joins the call in flight if there is one: what it did not carry goes with the next. */
  #commitOnce(): Promise<void> {
    if (this.#inFlight !== undefined) return this.#inFlight
    const entries = [...this.#entries.values()].filter(entry => this.#isDirty(entry))
    if (entries.length === 0) return Promise.resolve()
    this.#inFlight = this.#send(entries).finally(() => {
      this.#inFlight = undefined
    })
    return this.#inFlight
  }

  async #send(entries: readonly Entry[]): Promise<void> {
    const error = await this.#call(entries)
    if (error?.code === 'CALL_WITHDRAWN') this.#goOn()
    if (error === undefined || error.remedy === 'retry' || error.code === 'LEASE_LOST') return
    if (error.code === 'INVARIANT_BROKEN') {
      this.#break(error)
      return
    }
    // Refused, and it is not known for which partitions: commit one by one, and end only the refused epochs.
    for (const entry of entries) {
      if (!this.#isCurrent(entry)) continue
      const refusal = entries.length === 1 ? error : await this.#call([entry])
      if (refusal === undefined || refusal.remedy === 'retry') continue
      if (refusal.code === 'LEASE_LOST') return
      if (refusal.code === 'INVARIANT_BROKEN') {
        this.#break(refusal)
        return
      }
      this.forget(entry.epoch)
      this.#handlers.refused(entry.epoch, refusal)
    }
  }

  /** The call in flight was withdrawn. What is left of it may have waited for seconds: it goes at once. */
  #goOn(): void {
    void this.#inFlight?.then(() => (this.#phase === 'running' ? this.#commitOnce() : undefined))
  }

  /** One call. Returns its error, if any. */
  async #call(entries: readonly Entry[]): Promise<ClsConsumerError | undefined> {
    const leaseMs = this.#handlers.leaseRemainingMs()
    if (leaseMs <= 0) return new ClsConsumerError('LEASE_LOST', 'I12: nothing is committed past the lease')
    const sent = entries.map(entry => ({ entry, offset: entry.wanted }))
    const offsets = sent.map(({ entry, offset }): PartitionOffset => {
      const { topicId, partition } = entry.epoch
      return { topicId, partition, offset }
    })
    try {
      await this.#world.control.commitConsumerOffsets(
        { group: this.#settings.group, consumer: this.#consumer, offsets },
        {
          deadlineMs: Math.min(CALL_MS_MAX, this.#settings.callTimeoutMs, leaseMs),
          whenUnsure: 'fail',
          maySend: () => entries.every(entry => this.#isCurrent(entry))
        }
      )
    } catch (thrown) {
      const error = toClsError(thrown)
      if (error.code === 'CALL_WITHDRAWN') return error
      if (isUnsure(error)) {
        for (const { entry, offset } of sent) this.#doubts.add(keyOf(entry.epoch), offset)
      }
      this.#failureCount += 1
      if (error.remedy === 'retry') this.#handlers.failed(error, entries.length)
      return error
    }
    for (const { entry, offset } of sent) this.#acknowledge(entry, offset)
    return undefined
  }

  #acknowledge(entry: Entry, offset: bigint): void {
    const { epoch } = entry
    const before = this.#positions.get(keyOf(epoch))
    this.#positions.set(keyOf(epoch), offset)
    if (before !== undefined && offset < before) this.#handlers.wentBack(epoch, before, offset)
    if (!this.#isCurrent(entry)) return
    const isNews = entry.acknowledged !== offset
    entry.acknowledged = offset
    entry.isSent = true
    this.#doubts.acknowledged(keyOf(epoch))
    if (isNews) this.#handlers.committed(epoch, offset)
  }

  /** Its epoch has neither ended nor been replaced. */
  #isCurrent(entry: Entry): boolean {
    return this.#entries.get(keyOf(entry.epoch)) === entry
  }

  #isDirty({ epoch, wanted, acknowledged }: Entry): boolean {
    return wanted !== acknowledged || this.#doubts.threaten(keyOf(epoch), wanted)
  }

  #break(error: ClsConsumerError): void {
    if (this.#phase === 'running') this.#phase = 'broken'
    this.#handlers.broken(error)
  }
}

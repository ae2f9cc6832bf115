/**
 * Notices partitions that have something to do and make no progress.
 *
 * In: the tenures, looked at now and then by one timer for all. Out: for each that stalls, how long and what it waits for; told
 * again after as long once more. Must never happen: a partition that stands still without a word; one that merely has
 * nothing to read, or that the user has paused, taken for one that stalls. What was open when it was paused is to end all the
 * same: a resume waits for it.
 */
import { keyOf } from './batch.ts'
import type { PartitionId } from './dispatch/messages.ts'
import type { DispatchWait } from './dispatch/runs.ts'
import type { ClsConsumerError } from './errors.ts'
import type { PullWait } from './fetch/pull-chain.ts'
import type { Settings } from './options.ts'
import type { Tenure } from './tenure.ts'
import type { Timer, World } from './world.ts'

export interface StalledEvent extends PartitionId {
  /** Everything before is settled; `undefined` where its start is not known yet. */
  readonly offset: bigint | undefined
  readonly stalledMs: number
  /** What it waits for, in words. */
  readonly reason: string
}

export interface StallWatchParts {
  readonly world: Pick<World, 'clock' | 'timers'>
  readonly settings: Pick<Settings, 'stallMs' | 'pollIntervalMs'>
  readonly tenures: Iterable<Tenure>
  /** What the partition's next batch waits for on its lane. */
  waitOf(tenure: Tenure): DispatchWait | undefined
  /** Since when a thread has the open batch, ms on the monotonic clock. */
  givenMs(tenure: Tenure): number | undefined
  stalled(event: StalledEvent): void
}

/** Of `stallMs`: how often is looked. */
const LOOKS_PER_STALL = 4

export class StallWatch {
  readonly #parts: StallWatchParts
  /** By partition: for how long its stall had lasted when it was told last. */
  readonly #toldMs = new Map<string, number>()
  #timer: Timer | undefined

  constructor(parts: StallWatchParts) {
    this.#parts = parts
  }

  start(): void {
    const { world, settings } = this.#parts
    this.#timer = world.timers.after(Math.ceil(settings.stallMs / LOOKS_PER_STALL), () => {
      this.start()
      this.#look()
    })
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #look(): void {
    const { world, settings, tenures, stalled } = this.#parts
    const nowMs = world.clock.monotonic()
    const seen = new Set<string>()
    for (const tenure of tenures) {
      const stalledMs = nowMs - tenure.progressMs
      const reason = this.#reasonOf(tenure, stalledMs)
      if (reason === undefined || stalledMs < settings.stallMs) continue
      const key = keyOf(tenure.epoch)
      seen.add(key)
      if (stalledMs - (this.#toldMs.get(key) ?? 0) < settings.stallMs) continue
      this.#toldMs.set(key, stalledMs)
      const { topicId, partition } = tenure.epoch
      stalled({ topicId, partition, offset: tenure.nextOffset, stalledMs: Math.round(stalledMs), reason })
    }
    for (const key of this.#toldMs.keys()) if (!seen.has(key)) this.#toldMs.delete(key)
  }

  /** Undefined: it has nothing to do, or is not meant to do anything. */
  #reasonOf(tenure: Tenure, stalledMs: number): string | undefined {
    switch (tenure.phase) {
      case 'opening':
        return 'its start position is not known or not committed yet'
      case 'parked':
        return 'it is parked after a failure: resume() tries again'
      case 'closing':
        return 'it is being given up'
      case 'running':
        return this.#reasonToWait(tenure, stalledMs)
      case 'paused': {
        const reason = this.#dispatchReason(tenure)
        return reason === undefined ? undefined : `its batch from before the pause is still open: ${reason}`
      }
      default:
        return undefined
    }
  }

  #reasonToWait(tenure: Tenure, stalledMs: number): string | undefined {
    const dispatchReason = this.#dispatchReason(tenure)
    if (dispatchReason !== undefined) return dispatchReason
    const { wait: pullWait, lastRetry } = tenure.supply.pulling
    if (tenure.isRefused) return 'the service refuses its topic'
    if (lastRetry !== undefined) return `its pulls fail: ${reasonOfError(lastRetry)}`
    // Where nothing new was there, it asks again after a while, and has nothing to do until then.
    const { stallMs, pollIntervalMs } = this.#parts.settings
    return pullWait === undefined || stalledMs < stallMs + pollIntervalMs ? undefined : PULL_REASONS[pullWait]
  }

  #dispatchReason(tenure: Tenure): string | undefined {
    const { world, waitOf, givenMs } = this.#parts
    const wait = waitOf(tenure)
    if (wait !== 'processor') return wait === undefined ? undefined : DISPATCH_REASONS[wait]
    // Of this attempt: the partition may have come no further for longer.
    const runMs = world.clock.monotonic() - (givenMs(tenure) ?? world.clock.monotonic())
    return `processor running for ${Math.round(runMs / 1000)} s`
  }
}

const DISPATCH_REASONS = {
  settling: 'onResult has not returned, or dead letters are not written yet',
  backoff: 'its batch has failed, and waits for the next attempt',
  thread: 'its thread is not up, or the assign hook has not returned',
  results: 'too many results wait for onResult (option resultsMax)',
  lane: 'other partitions are at work on its thread, or the memory is full (option heldBytesMax)'
} as const satisfies Record<Exclude<DispatchWait, 'processor'>, string>

const PULL_REASONS = {
  answer: 'the service has not answered its pull',
  offset: 'nobody knows where its next pull starts',
  bound: 'the end of the bounded run is not known yet',
  bytes: 'the byte budget is full (option heldBytesMax)',
  pace: 'its next pull is due later'
} as const satisfies Record<PullWait, string>

function reasonOfError({ code, message }: ClsConsumerError): string {
  return code === 'API_THROTTLED' ? `throttled by the service: ${message}` : message
}

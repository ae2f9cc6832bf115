/**
 * What a stop waits for, told while it does.
 *
 * In: the stop, a consumer that ends. Out: a line in the log every few seconds until cancelled, with what is waited for
 * and the limits of that. Must never happen: minutes of silence after Ctrl-C, so that the user kills what was about to
 * commit.
 */
import type { Consumer } from '../consumer.ts'
import type { Settings } from '../options.ts'
import type { Clock, LogFields, Logger, Timer, Timers } from '../world.ts'
import { every } from './ticker.ts'

const TOLD_EVERY_MS = 5000

type Limits = Pick<Settings, 'drainTimeoutMs' | 'abortGraceMs' | 'hookTimeoutMs' | 'callTimeoutMs'>

export interface WaitsWorld {
  readonly stop: AbortSignal
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Pick<Logger, 'warn'>
}

export function tellWaits(
  consumer: Pick<Consumer, 'snapshot'>,
  limits: Limits,
  { stop, clock, timers, log }: WaitsWorld
): Timer {
  let ticker: Timer | undefined
  const arm = () => {
    const stoppedMs = clock.monotonic()
    // Asked before the consumer hears of the stop, or right after: from then on its phase tells no more.
    const { phase } = consumer.snapshot()
    ticker = every(timers, TOLD_EVERY_MS, () => {
      const [what, fields] = waitOf(consumer, phase, limits)
      log.warn(`still stopping: waiting for ${what}`, { afterMs: Math.round(clock.monotonic() - stoppedMs), ...fields })
    })
  }
  if (stop.aborted) arm()
  else stop.addEventListener('abort', arm, { once: true })
  return {
    cancel: () => {
      stop.removeEventListener('abort', arm)
      ticker?.cancel()
    }
  }
}

/** By the order of a stop: what starts, partitions, `stop` of the processor. */
function waitOf(
  consumer: Pick<Consumer, 'snapshot'>,
  before: ReturnType<Consumer['snapshot']>['phase'],
  { drainTimeoutMs, abortGraceMs, hookTimeoutMs, callTimeoutMs }: Limits
): readonly [string, LogFields] {
  const { partitions } = consumer.snapshot()
  if (partitions.length > 0) {
    const which = partitions.map(({ topicId, partition }) => `${topicId}/${partition}`).join(', ')
    const what = 'open batches, `revoke` and the last commit of these partitions'
    return [what, { partitions: which, drainTimeoutMs, abortGraceMs, hookTimeoutMs, callTimeoutMs }]
  }
  if (before === 'starting') return ["the processor's `start`, or the service", { abortGraceMs, callTimeoutMs }]
  return ["the processor's `stop`, or the service", { hookTimeoutMs, callTimeoutMs }]
}

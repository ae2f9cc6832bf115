/**
 * Around the processor that is measured: counts what goes through it, and how long its thread stood still.
 *
 * In: the module to load, its options, and shared memory for the gauges. Out: what that processor does, unchanged. Its
 * results go no further, since nobody takes them; of a feed with a rate the times of the logs go in their place.
 */
import { realClock } from '../../../src/real-world.ts'
import type { LogBatch } from '../../../workers/batch-view.ts'
import type {
  PartitionContext,
  Processor,
  ProcessorContext,
  RevokeContext,
  ThreadContext
} from '../../../workers/define-processor.ts'
import { loadProcessor } from '../../../workers/processor.ts'
import { DUE_FIELD } from '../feeds.ts'
import { ThreadGauges, type ThreadSlot, watchCollections } from '../gauges.ts'
import type { Timed } from '../latency.ts'

export interface MeasuredOptions {
  readonly file: string
  readonly options: unknown
  readonly gauges: SharedArrayBuffer
  /** The logs have times. */
  readonly isTimed: boolean
}

export default class Measured {
  readonly #options: MeasuredOptions
  #processor: Processor | undefined
  #slot: ThreadSlot | undefined

  constructor(options: MeasuredOptions) {
    this.#options = options
  }

  get onFailure() {
    return this.#processor?.onFailure
  }

  async start(context: ThreadContext): Promise<void> {
    const { file, options, gauges } = this.#options
    const make = await loadProcessor(file)
    const slot = new ThreadGauges(gauges).take()
    watchCollections(ms => slot.add('gcMs', ms))
    this.#slot = slot
    this.#processor = make(options)
    await this.#processor.start?.(this.#own(context))
  }

  async assign(partition: { topicId: string; partition: number }, context: PartitionContext): Promise<void> {
    await this.#processor?.assign?.(partition, this.#own(context))
  }

  async process(batch: LogBatch, context: ProcessorContext): Promise<Timed | undefined> {
    const timed = this.#options.isTimed ? timesOf(batch) : undefined
    const { logCount } = batch
    const result = await this.#processor?.process(batch, this.#own(context))
    this.#slot?.add('logCount', logCount)
    this.#slot?.add('hitCount', typeof result === 'number' ? result : 0)
    return timed
  }

  async revoke(partition: { topicId: string; partition: number }, context: RevokeContext): Promise<void> {
    await this.#processor?.revoke?.(partition, this.#own(context))
  }

  async stop(context: ThreadContext): Promise<void> {
    await this.#processor?.stop?.(this.#own(context))
  }

  #own<Context extends ThreadContext>(context: Context): Context {
    return { ...context, options: this.#options.options }
  }
}

function timesOf(batch: LogBatch): Timed {
  const begunMs = realClock.monotonic()
  const dueMs = new Float64Array(batch.logCount)
  let at = 0
  for (const log of batch) dueMs[at++] = Number(log.get(DUE_FIELD))
  return { begunMs, dueMs }
}

/**
 * The bench's own processors, by what a plan asks for.
 *
 * In: batches. Out: a count: hits of the filter, else logs.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LogBatch } from '../../../workers/batch-view.ts'
import type { ProcessorContext } from '../../../workers/define-processor.ts'
import type { ProcessorPlan } from '../workload.ts'

export type BuiltInPlan = Exclude<ProcessorPlan, { kind: 'module' }>

export default async function process(batch: LogBatch, { options }: ProcessorContext<BuiltInPlan>): Promise<number> {
  switch (options.kind) {
    case 'count':
      return batch.logCount
    case 'filter':
      return countEqual(batch, options.key, options.text)
    case 'objects':
      return batch.toObjects().length
    case 'burn':
      burn(options.ms)
      return batch.logCount
    case 'sleep':
      if (options.partition === undefined || options.partition === batch.partition) await sleep(options.ms)
      return batch.logCount
  }
}

function countEqual(batch: LogBatch, key: string, text: string): number {
  let count = 0
  for (const log of batch) if (log.equals(key, text)) count++
  return count
}

/** By the clock: a thread that has to share its core is busy no longer for that. */
export function burn(ms: number): void {
  const endMs = performance.now() + ms
  while (performance.now() < endMs);
}

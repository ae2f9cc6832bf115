/** The processor of `bench/consume.ts`: one field compared per log. */
import type { LogBatch } from '../src/index.ts'

export default function count(batch: LogBatch): number {
  let hitCount = 0
  for (const log of batch) if (log.equals('status', '500')) hitCount++
  return hitCount
}

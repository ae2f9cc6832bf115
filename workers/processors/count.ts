/**
 * Built-in processor `count`: counts logs, in all and per value of one key.
 *
 * In: batches; option `key`, the key to count by, and `valuesMax`, how many different values one batch may list. Out: per
 * batch `{ logCount, values }`. Must never happen: a result as large as the logs; values past the limit are counted
 * together under `otherCount`.
 */
import { ClsConsumerError } from '../../src/errors.ts'
import type { LogBatch } from '../batch-view.ts'
import { defineProcessor, type ProcessorContext, type ThreadContext } from '../define-processor.ts'

export interface CountResult {
  readonly logCount: number
  /** Logs per value of the key; a log without the key counts under none. Empty where no key is given. */
  readonly values: ReadonlyMap<string, number>
  /** Logs whose value came after `valuesMax` different ones. */
  readonly otherCount: number
}

const VALUES_MAX = 1000

export default defineProcessor({
  start({ options }: ThreadContext) {
    readOptions(options)
  },
  process(batch: LogBatch, { options }: ProcessorContext): CountResult {
    const { key, valuesMax } = readOptions(options)
    return count(batch, key, valuesMax)
  }
})

function count(batch: LogBatch, key: string | undefined, valuesMax: number): CountResult {
  const values = new Map<string, number>()
  let otherCount = 0
  if (key !== undefined) {
    for (const log of batch) {
      const value = log.get(key)
      if (value === undefined) continue
      const soFar = values.get(value)
      if (soFar === undefined && values.size >= valuesMax) otherCount++
      else values.set(value, (soFar ?? 0) + 1)
    }
  }
  return { logCount: batch.logCount, values, otherCount }
}

function readOptions(options: unknown): { readonly key: string | undefined; readonly valuesMax: number } {
  const given: object = typeof options === 'object' && options !== null ? options : {}
  const key = 'key' in given ? given.key : undefined
  const valuesMax = 'valuesMax' in given && given.valuesMax !== undefined ? given.valuesMax : VALUES_MAX
  if (key !== undefined && typeof key !== 'string') throw invalid('key', 'a text')
  if (typeof valuesMax !== 'number' || !(valuesMax >= 0)) throw invalid('valuesMax', 'a number of 0 or more')
  return { key, valuesMax }
}

function invalid(name: string, expected: string): ClsConsumerError {
  return new ClsConsumerError('OPTIONS_INVALID', `option ${name} of the processor count is not ${expected}`)
}

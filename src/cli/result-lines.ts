/**
 * What `process` returned, as lines of JSON on standard output.
 *
 * In: a result (any structured-cloneable value) and its place. Out: one JSON line, int64 as exact digits. A result counts
 * as delivered once its line is written: a closed pipe makes the batch's delivery fail, so that it is not committed.
 */
import { type Json, printJson } from '../cls/json.ts'
import type { ResultPlace } from '../options.ts'
import type { Sink } from './command-world.ts'

export function resultLine(result: unknown, place: ResultPlace): string {
  const { topicId, partition, startOffset, nextOffset, logCount } = place
  return `${printJson({ topicId, partition, startOffset, nextOffset, logCount, result: toJson(result, []) })}\n`
}

/** `above` are the values around this one: a value inside itself, which a clone may hold, becomes null. */
function toJson(value: unknown, above: readonly object[]): Json {
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value !== 'object' || value === null || above.includes(value)) return null
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (value instanceof Error) return { name: value.name, message: value.message }
  const inside = [...above, value]
  if (Array.isArray(value) || value instanceof Set || isNumberList(value)) {
    return Array.from<unknown, Json>(value, item => toJson(item, inside))
  }
  // Maps become objects; what JSON has no word for became null above.
  const entries: Iterable<readonly [unknown, unknown]> = value instanceof Map ? value : Object.entries(value)
  return Object.fromEntries(Array.from(entries, ([key, item]) => [String(key), toJson(item, inside)]))
}

function isNumberList(value: object): value is Uint8Array | BigInt64Array {
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
}

/** Resolves once `text` is with the operating system; rejects where nobody reads any more. */
export function writeOut(output: Sink, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write(text, error => (error == null ? resolve() : reject(error)))
  })
}

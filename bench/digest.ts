/** A short text that two answers share only if they are the same. */
import { createHash } from 'node:crypto'

export function digestOf(answer: string | Uint8Array): string {
  return createHash('sha256').update(answer).digest('hex').slice(0, 32)
}

/** Of plain objects with their values and the order of their keys. */
export function digestOfObjects(objects: readonly object[]): string {
  return digestOf(JSON.stringify(objects))
}

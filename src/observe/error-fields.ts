/** An error as the fields of a log line, in which each part of its place stands once. Pure. */
import type { ClsConsumerError } from '../errors.ts'
import type { LogFields } from '../world.ts'

/** `at`: what else the line is about, first; where the error knows the same by another value, `at` is what is said. */
export function errorFields({ code, what, place }: ClsConsumerError, at: LogFields = {}): LogFields {
  return { ...at, ...place, ...at, code, error: what }
}

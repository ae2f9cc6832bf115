/**
 * A position in a log, as a caller of the API writes it.
 *
 * In: an offset, an end of the log, a time. Out: the same, checked. Must never pass: a number that may be meant as an offset
 * and would be taken for a time; that is what bigint is for.
 */
import { ClsConsumerError } from './errors.ts'
import { position, Wrong } from './option-kinds.ts'
import type { Position } from './world.ts'

const NAMED = position(['begin', 'end'], { help: '' })

/** No log is from before September 2001; such a number is an offset without its `n`. */
const SECONDS_MIN = 1_000_000_000

/** @throws ClsConsumerError OPTIONS_INVALID */
export function checkPosition(given: unknown): bigint | Position {
  if (typeof given === 'bigint') {
    if (given >= 0n && given < 2n ** 63n) return given
    throw wrong(`${given}n`, 'an offset from 0n to 2n ** 63n - 1n')
  }
  if (typeof given === 'number' && Number.isInteger(given) && given >= 0 && given < SECONDS_MIN) {
    throw wrong(`${given}, as a time in Unix seconds long before any log`, `an offset as a bigint: ${given}n`)
  }
  const parsed = NAMED.parse(given)
  if (parsed instanceof Wrong) throw wrong(String(given), `an offset as a bigint, such as 42n, or ${parsed.expected}`)
  return parsed
}

function wrong(given: string, expected: string): ClsConsumerError {
  return new ClsConsumerError('OPTIONS_INVALID', `the position is ${given}, expected ${expected}`)
}

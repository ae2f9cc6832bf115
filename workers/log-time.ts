/**
 * The time of a log: an int64 whose unit its writer chose.
 *
 * In: its two words. Out: the number nearest to it, and Unix milliseconds, both without a bigint. The protocol leaves the
 * unit to the writer, so it is inferred from the magnitude. The bounds are those at which each unit names a year between
 * 1973 and 5138; negative times (before 1970) are judged by their absolute value.
 */
const SECONDS_BELOW = 1e11
const MILLISECONDS_BELOW = 1e14
const MICROSECONDS_BELOW = 1e17
const HIGH_WORD = 2 ** 32

/** As `Number` makes it of the bigint: both addends are exact, so it is rounded once. `high` has the sign. */
export function toNumber(low: number, high: number): number {
  return high * HIGH_WORD + (low >>> 0)
}

/** Rounded down to a whole millisecond. */
export function toUnixMs(low: number, high: number): number {
  const time = toNumber(low, high)
  const magnitude = Math.abs(time)
  if (magnitude < SECONDS_BELOW) return time * 1000
  if (magnitude < MILLISECONDS_BELOW) return time
  return divideDown(low, high, isBelow(low, high, magnitude, MICROSECONDS_BELOW) ? 1000 : 1_000_000)
}

/** Past 2^53 numbers round: one that is equal to the bound may stand for a time just below it. */
function isBelow(low: number, high: number, magnitude: number, bound: number): boolean {
  if (magnitude !== bound) return magnitude < bound
  const boundLow = bound % HIGH_WORD
  return high < 0 ? low >>> 0 > HIGH_WORD - boundLow : low >>> 0 < boundLow
}

/**
 * From the exact value: as a number, nanoseconds could round up into the next millisecond. What the high word leaves over
 * is less than 2^31 × 10^6, so that each step is exact; and the quotient of safe integers never rounds up to a whole one.
 */
function divideDown(low: number, high: number, by: number): number {
  const over = HIGH_WORD % by
  return high * ((HIGH_WORD - over) / by) + Math.floor((high * over + (low >>> 0)) / by)
}

/**
 * The unit of a log's time.
 *
 * In: a time as its writer wrote it, int64. Out: Unix milliseconds. The protocol leaves the unit to the writer, so it is
 * inferred from the magnitude. The bounds are those at which each unit names a year between 1973 and 5138; negative
 * times (before 1970) are judged by their absolute value.
 */
const SECONDS_BELOW = 1e11
const MILLISECONDS_BELOW = 1e14
const MICROSECONDS_BELOW = 1e17

/** Rounded down to a whole millisecond. */
export function toUnixMs(raw: bigint): number {
  const time = Number(raw)
  const magnitude = Math.abs(time)
  if (magnitude < SECONDS_BELOW) return time * 1000
  if (magnitude < MILLISECONDS_BELOW) return time
  // From the exact value: as a double, nanoseconds could round up into the next millisecond.
  return Number(divideDown(raw, magnitude < MICROSECONDS_BELOW ? 1000n : 1_000_000n))
}

function divideDown(value: bigint, by: bigint): bigint {
  const quotient = value / by // towards zero
  return value < 0n && quotient * by !== value ? quotient - 1n : quotient
}

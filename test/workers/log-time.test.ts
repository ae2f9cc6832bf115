import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toNumber, toUnixMs } from '../../workers/log-time.ts'
import { ROUNDS } from './kernel/setup.ts'

function wordsOf(time: bigint): [low: number, high: number] {
  return [Number(BigInt.asIntN(32, time)), Number(time >> 32n)]
}

/** In whole numbers of any size. */
function exactUnixMs(time: bigint): number {
  const magnitude = time < 0n ? -time : time
  if (magnitude < 10n ** 11n) return Number(time * 1000n)
  if (magnitude < 10n ** 14n) return Number(time)
  const perMs = magnitude < 10n ** 17n ? 1000n : 1_000_000n
  const whole = time / perMs
  return Number(time < 0n && whole * perMs !== time ? whole - 1n : whole)
}

/** Of every magnitude, and beside where units and words end. */
const edge = fc.constantFrom(
  ...[0, 31, 32, 33, 52, 53, 54, 62, 63].map(bits => 2n ** BigInt(bits)),
  10n ** 11n,
  10n ** 14n,
  10n ** 17n
)
const time = fc
  .oneof(
    fc.bigInt({ min: 0n, max: 2n ** 63n }),
    fc
      .tuple(fc.bigInt({ min: 0n, max: 2n ** 63n }), fc.integer({ min: 0, max: 62 }))
      .map(([all, bits]) => all >> BigInt(bits)),
    fc.tuple(edge, fc.bigInt({ min: -1100n, max: 1100n })).map(([at, by]) => at + by)
  )
  .chain(magnitude => fc.constantFrom(magnitude, -magnitude))
  .map(value => BigInt.asIntN(64, value))

test('any int64 is the number that is nearest, as Number makes it of the bigint', () => {
  fc.assert(
    fc.property(time, raw => {
      assert.equal(toNumber(...wordsOf(raw)), Number(raw))
    }),
    { numRuns: ROUNDS * 20 }
  )
})

test('just below where nanoseconds begin are microseconds, though the number nearest to both is the same', () => {
  for (const sign of [1n, -1n]) {
    for (const [magnitude, ms] of [
      [10n ** 17n - 1n, sign > 0n ? 99_999_999_999_999 : -100_000_000_000_000],
      [10n ** 17n, Number(sign) * 100_000_000_000],
      [10n ** 17n + 1n, sign > 0n ? 100_000_000_000 : -100_000_000_001]
    ] as const) {
      assert.equal(toUnixMs(...wordsOf(sign * magnitude)), ms)
    }
  }
})

test('any int64 has the Unix milliseconds of its exact value, rounded down', () => {
  fc.assert(
    fc.property(time, raw => {
      assert.equal(toUnixMs(...wordsOf(raw)), exactUnixMs(raw))
    }),
    { numRuns: ROUNDS * 20 }
  )
})

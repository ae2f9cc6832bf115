/**
 * Random numbers that a seed repeats, for generated logs.
 *
 * In: a 32-bit seed. Out: the same sequence for the same seed, on every machine. Never for secrets or names: use the
 * world's `Random` there.
 */

/** Uniform in [0, 1). The generator is mulberry32: 32 bits of state, every value once in 2^32 calls. */
export type SeededRandom = () => number

export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Of made-up logs, those that have a value with Chinese text. */
export const CHINESE_SHARE = 1 / 20

/** A whole number from `least` to `most`, both included. */
export function between(random: SeededRandom, least: number, most: number): number {
  return least + Math.floor(random() * (most - least + 1))
}

/** Lower case. */
export function hexDigits(random: SeededRandom, count: number): string {
  let digits = ''
  while (digits.length < count)
    digits += Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return digits.slice(0, count)
}

export function pick<T>(random: SeededRandom, items: readonly [T, ...T[]]): T {
  return items[Math.floor(random() * items.length)] ?? items[0]
}

/** What each share, out of 1,000, stands for. Shares are cumulative: the last is 1,000. */
export type Shares<T> = readonly [readonly [number, T], ...(readonly [number, T])[]]

export function pickByShare<T>(random: SeededRandom, shares: Shares<T>): T {
  const share = random() * 1000
  return (shares.find(([upTo]) => share < upTo) ?? shares[0])[1]
}

/** Ranks 0 … count - 1, where rank r comes up about 1/(r+1) as often as rank 0: how popularity falls in practice. */
export function zipf(count: number): (random: SeededRandom) => number {
  const cumulative = new Float64Array(count)
  let sum = 0
  for (let rank = 0; rank < count; rank++) {
    sum += 1 / (rank + 1)
    cumulative[rank] = sum
  }
  return random => {
    const target = random() * sum
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((cumulative[middle] ?? sum) <= target) low = middle + 1
      else high = middle
    }
    return low
  }
}

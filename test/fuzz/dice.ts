/**
 * Random choices for the generators of these tests.
 *
 * In: a 32-bit seed. Out: the same choices for the same seed, on every machine. Cheap: a response takes hundreds.
 */
import { type SeededRandom, seededRandom } from '../../src/cli/random.ts'

export class Dice {
  readonly #random: SeededRandom

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  /** A whole number from 0 to below `bound`. */
  below(bound: number): number {
    return Math.floor(this.#random() * bound)
  }

  /** True one time in so many; never of `Infinity`. */
  oneIn(times: number): boolean {
    return this.#random() * times < 1
  }

  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0]
  }

  /** Any of all 2^64. */
  int64(): bigint {
    return BigInt.asIntN(64, (BigInt(this.below(2 ** 32)) << 32n) | BigInt(this.below(2 ** 32)))
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count)
    for (let at = 0; at < count; at++) bytes[at] = this.below(256)
    return bytes
  }

  /** A list of so many. */
  list<T>(count: number, draw: (index: number) => T): T[] {
    const drawn: T[] = []
    for (let index = 0; index < count; index++) drawn.push(draw(index))
    return drawn
  }

  /** A copy in another order, all orders alike. */
  shuffled<T>(items: readonly T[]): T[] {
    const left = [...items]
    return items.flatMap(() => left.splice(this.below(left.length), 1))
  }
}

/** One number of two, so that runs next to each other have nothing in common. */
export function mixSeeds(seed: number, number: number): number {
  let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(number + 1, 0xc2b2ae35)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d)
  return (mixed ^ (mixed >>> 15)) >>> 0
}

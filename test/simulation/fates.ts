/**
 * What the network does to one request and its answer.
 *
 * In: dice and rates. Out: a fate. Pure but for the dice.
 */
import type { PullFlaw } from '../../src/emulator/pull-body.ts'
import type { Dice } from '../fuzz/dice.ts'

export type Fate =
  | { readonly kind: 'well' }
  /** No connection: nothing leaves. */
  | { readonly kind: 'refused-connection' }
  /** The request is lost, and nobody says so. */
  | { readonly kind: 'lost' }
  /** Executed; the answer is lost, by a connection that breaks, or in silence. */
  | { readonly kind: 'deaf'; readonly ending: 'break' | 'silence' }
  /** Executed long after it was sent: its caller may have given up. */
  | { readonly kind: 'late'; readonly lateMs: number }
  /** Something on the way sends it once more, later. Its second answer goes nowhere. */
  | { readonly kind: 'twice'; readonly lateMs: number }
  /** The answer takes its time. */
  | { readonly kind: 'slow'; readonly slowMs: number }
  /** The service has no time: not executed. */
  | { readonly kind: 'busy'; readonly serviceCode: string }
  /** Executed, and then something on the way answers in its place. */
  | { readonly kind: 'page'; readonly status: number }
  /** A pull whose body is damaged, or breaks off. */
  | { readonly kind: 'flawed'; readonly flaw: PullFlaw }
  | { readonly kind: 'half' }
  /** A pull whose next offset does not lead on. */
  | { readonly kind: 'stuck'; readonly at: 'start' | 'before' | 'zero' | 'minus-one' }

const WELL: Fate = { kind: 'well' }
const LATE_MS_MAX = 6000
const SLOW_MS_MAX = 1500

/** `oneIn`: one request in so many fares badly; never where infinite. */
export function drawFate(dice: Dice, isPull: boolean, oneIn: number): Fate {
  if (!dice.oneIn(oneIn)) return WELL
  const bad: readonly [() => Fate, ...(() => Fate)[]] = [
    () => ({ kind: 'refused-connection' }),
    () => ({ kind: 'lost' }),
    () => ({ kind: 'deaf', ending: dice.pick(['break', 'silence']) }),
    () => ({ kind: 'late', lateMs: 50 + dice.below(LATE_MS_MAX) }),
    () => ({ kind: 'twice', lateMs: 1 + dice.below(LATE_MS_MAX) }),
    () => ({ kind: 'slow', slowMs: 1 + dice.below(SLOW_MS_MAX) }),
    () => ({
      kind: 'busy',
      serviceCode: dice.pick(['RequestLimitExceeded', 'InternalError', 'FailedOperation.Timeout'])
    }),
    () => ({ kind: 'page', status: dice.pick([200, 502, 504]) })
  ]
  if (!isPull) return dice.pick(bad)()
  return dice.pick([
    ...bad,
    (): Fate => ({ kind: 'flawed', flaw: { kind: 'damage', layer: dice.pick(['bytes', 'json']) } }),
    (): Fate => ({ kind: 'half' }),
    (): Fate => ({ kind: 'stuck', at: dice.pick(['start', 'before', 'zero', 'minus-one']) })
  ])()
}

/** The next offset of a stuck pull. */
export function stuckOffset(at: 'start' | 'before' | 'zero' | 'minus-one', startOffset: bigint): bigint {
  return { start: startOffset, before: startOffset - 3n, zero: 0n, 'minus-one': -1n }[at]
}

/** Whether the caller cannot know what has become of it, so that it may have taken effect, or may yet. */
export function isDoubtful({ kind }: Fate): boolean {
  return kind !== 'well' && kind !== 'refused-connection'
}

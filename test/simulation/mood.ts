/**
 * What user code does with a batch.
 *
 * In: dice, and the mood of the run. Out: a conduct. Pure but for the dice.
 */
import type { Dice } from '../fuzz/dice.ts'

export type Conduct =
  | { readonly kind: 'at-once' }
  /** heeds: ends early where its signal aborts. hangs: for longer than anybody waits, whatever its signal says. */
  | { readonly kind: 'takes' | 'heeds' | 'throws' | 'hangs' | 'blocks' | 'rewinds'; readonly ms: number }
  | { readonly kind: 'dies'; readonly ms: number; readonly how: 'error' | 'exit' }

/** One batch in so many meets each of these; never where infinite. */
export interface Mood {
  readonly slowOneIn: number
  readonly throwsOneIn: number
  readonly hangsOneIn: number
  readonly blocksOneIn: number
  readonly diesOneIn: number
  readonly rewindsOneIn: number
  /** One rewind in so many goes to where the log has never come. */
  readonly beyondOneIn: number
  /** One log, and one whole group, in so many becomes a dead letter on its processor's word. */
  readonly letterOneIn: number
  readonly groupLetterOneIn: number
  /** In commit mode manual. */
  readonly savesOneIn: number
  readonly revokeSavesOneIn: number
  readonly slowMsMax: number
  /** broken: cursed logs make processors fail, each time. */
  readonly code: 'broken' | 'mended'
}

const BLOCK_MS_MAX = 3000
const HANG_MS_MIN = 4000
const HANG_MS_MAX = 14_000

/** After the storm. */
export function calmed(mood: Mood): Mood {
  const never = Number.POSITIVE_INFINITY
  return {
    ...mood,
    throwsOneIn: never,
    hangsOneIn: never,
    blocksOneIn: never,
    diesOneIn: never,
    rewindsOneIn: never,
    savesOneIn: 1,
    revokeSavesOneIn: 1,
    code: 'mended'
  }
}

export function drawConduct(dice: Dice, mood: Mood): Conduct {
  if (dice.oneIn(mood.diesOneIn))
    return { kind: 'dies', ms: dice.below(3) * dice.below(200), how: dice.pick(['error', 'exit']) }
  if (dice.oneIn(mood.hangsOneIn)) return { kind: 'hangs', ms: HANG_MS_MIN + dice.below(HANG_MS_MAX - HANG_MS_MIN) }
  if (dice.oneIn(mood.blocksOneIn)) return { kind: 'blocks', ms: 1 + dice.below(BLOCK_MS_MAX) }
  if (dice.oneIn(mood.throwsOneIn)) return { kind: 'throws', ms: dice.below(100) }
  if (dice.oneIn(mood.rewindsOneIn)) return { kind: 'rewinds', ms: dice.below(100) }
  if (dice.oneIn(mood.slowOneIn)) return { kind: dice.pick(['takes', 'heeds']), ms: 1 + dice.below(mood.slowMsMax) }
  return dice.oneIn(3) ? { kind: 'at-once' } : { kind: 'takes', ms: dice.below(30) }
}

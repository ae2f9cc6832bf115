/**
 * Text that hardly compresses, so that a few logs make a large body.
 *
 * In: a seed and a length. Out: the same text each time. Pure.
 */
const MODULUS = 2_147_483_647

export function noise(seed: number, characterCount: number): string {
  let state = seed + 1
  let text = ''
  while (text.length < characterCount) {
    state = (state * 48_271) % MODULUS
    text += state.toString(36)
  }
  return text.slice(0, characterCount)
}

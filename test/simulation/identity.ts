/**
 * The names of logs: short, in every log's own bytes, and to be found in whatever bytes hold them.
 *
 * In: a number, and what the log is like. Out: its name; and back. Pure. A name ends with a sign, so that none begins
 * another, and tells what processors make of it: sound; cursed: they fail of it each time; poison: nobody can decode it.
 */
export type LogNature = 'sound' | 'cursed' | 'poison'

const SIGNS = { sound: '.', cursed: '!', poison: '?' } as const satisfies Record<LogNature, string>

export function nameLog(number: number, nature: LogNature): string {
  return `L${number}${SIGNS[nature]}`
}

export function isCursed(id: string): boolean {
  return id.endsWith(SIGNS.cursed)
}

export function isPoison(id: string): boolean {
  return id.endsWith(SIGNS.poison)
}

export function namesIn(bytes: Buffer): string[] {
  return bytes.toString('latin1').match(/L\d+[.!?]/g) ?? []
}

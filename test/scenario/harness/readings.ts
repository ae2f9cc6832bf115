/**
 * The switches of the emulator, as rows of tables.
 *
 * In: the emulator's own table, so that a switch or a value that comes to it later is played, too. Out: a row for each
 * value; rows as words for a title. Pure.
 */
import { isQuirkChange, QUIRKS, type Quirks } from '../../../src/emulator/quirks.ts'

/** How the group hands partitions over and takes commits: it takes two consumers to tell. */
const OF_THE_GROUP: readonly string[] = ['foreignCommit', 'refusedCommit', 'handOver', 'lastBeat']

/** Each value of each switch alone: those of the group, or all others. */
export function everyReading(whose: 'group' | 'others'): Partial<Quirks>[] {
  return Object.entries(QUIRKS)
    .filter(([name]) => OF_THE_GROUP.includes(name) === (whose === 'group'))
    .flatMap(([name, { values }]) => values.map((value): unknown => ({ [name]: value })))
    .filter(isQuirkChange)
}

export function describeReading(quirks: Partial<Quirks>): string {
  return Object.entries(quirks)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

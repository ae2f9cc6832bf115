/**
 * Made-up logs, for trials, benchmarks and tests.
 *
 * In: a kind, a seeded sequence of random numbers, and for each log its time. Out: logs; the same kind, seed and times
 * give the same logs on every machine. Each kind is what a decoder meets in practice: few short fields (`access`), few
 * fields of which some are long (`app`), many fields (`wide`). In all of them about one log in 20 has a value with
 * Chinese text, so that both the ASCII and the UTF-8 way of every decoder is walked.
 */
import type { Log } from '../cls/log-group.ts'
import { accessLines } from './generate-access.ts'
import { appLogs } from './generate-app.ts'
import { wideLogs } from './generate-wide.ts'
import { lineToLog } from './logs.ts'
import { type SeededRandom, seededRandom } from './random.ts'

export const GENERATED_KINDS = ['access', 'app', 'wide'] as const
export type GeneratedKind = (typeof GENERATED_KINDS)[number]

/** Makes the next log, for something that happened at `unixMs`. */
export type NextLog = (unixMs: number) => Log

export const generators: Readonly<Record<GeneratedKind, (random: SeededRandom) => NextLog>> = {
  access: random => {
    const nextLine = accessLines(random)
    return unixMs => lineToLog(nextLine(unixMs), unixMs)
  },
  app: appLogs,
  wide: wideLogs
}

/** Access logs as lines of text: the next line, without its line feed, for a request at `unixMs`. */
export function lineGenerator(seed: number): (unixMs: number) => string {
  return accessLines(seededRandom(seed))
}

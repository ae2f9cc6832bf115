/**
 * How much the random tests do, and from which seeds, by the environment.
 *
 *   KERNEL_ROUNDS=3000   ten times as much as usual, of these as of the kernel's own tests
 *   FUZZ_MINUTES=20      as much as fits into so long: of the differential test on one core, of the fuzzer on all
 *   FUZZ_SEED=1          the same as the run that printed it
 *   FUZZ_CASE=2          of that run of the fuzzer only this case
 *   FUZZ_PATH=3:0        of that run of the differential test only what fast-check names so
 */
import { randomInt } from 'node:crypto'
import { ROUNDS } from '../workers/kernel/setup.ts'

const { FUZZ_MINUTES, FUZZ_SEED, FUZZ_CASE, FUZZ_PATH } = process.env
/** Of `ROUNDS`, where nothing else is said. */
const USUAL_ROUNDS = 300

export const MINUTES_MS = FUZZ_MINUTES === undefined ? undefined : Number(FUZZ_MINUTES) * 60_000
export const SEED = FUZZ_SEED === undefined ? randomInt(2 ** 31) : Number(FUZZ_SEED)
export const ONLY_CASE = FUZZ_CASE === undefined ? undefined : Number(FUZZ_CASE)
export const ONLY_PATH = FUZZ_PATH

/** At once, and not with the test's result: a crash leaves none. */
export function tellSeed(of: string, seed: number): void {
  process.stderr.write(`${of}: FUZZ_SEED=${seed}\n`)
}

/** As many as usual, or more or fewer in the same measure as the rounds. */
export function scaled(usual: number): number {
  return Math.ceil((usual * ROUNDS) / USUAL_ROUNDS)
}

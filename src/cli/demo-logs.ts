/**
 * The demo's input.
 *
 * In: how many made-up lines, or a file. Out: logs with the ids 0 … n - 1 in order, by which the demo judges.
 */
import { resolve } from 'node:path'
import type { Log } from '../cls/log-group.ts'
import type { CommandWorld } from './command-world.ts'
import { lineGenerator } from './generate.ts'
import { readLines } from './lines.ts'
import { lineToLog } from './logs.ts'

/** Made-up lines start here, 20 ms apart: the same seed gives the same lines at any time. */
const FIRST_LINE_MS = Date.UTC(2026, 0, 31, 8)
const LINE_STEP_MS = 20

export async function* demoLogs(
  plan: { readonly lineCount: number; readonly seed: number; readonly file: string | undefined },
  { cwd, stop, clock }: Pick<CommandWorld, 'cwd' | 'stop' | 'clock'>
): AsyncGenerator<Log, void, undefined> {
  let id = 0
  if (plan.file !== undefined) {
    const path = plan.file === '-' ? '-' : resolve(cwd, plan.file)
    for await (const line of readLines(path, stop)) yield lineToLog(line, clock.now(), id++)
    return
  }
  const nextLine = lineGenerator(plan.seed)
  for (; id < plan.lineCount; id++) {
    const timeMs = FIRST_LINE_MS + id * LINE_STEP_MS
    yield lineToLog(nextLine(timeMs), timeMs, id)
  }
}

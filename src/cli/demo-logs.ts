/**
 * The demo's input.
 *
 * In: how many made-up lines, or a file. Out: logs with the ids 0 … n - 1 in order, by which the demo judges.
 */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { UPLOAD_LIMITS } from '../cls/upload-limits.ts'
import type { CommandWorld } from './command-world.ts'
import { lineGenerator } from './generate.ts'
import { readLines } from './lines.ts'
import { lineToLog } from './logs.ts'
import type { OutgoingLog } from './outgoing-log.ts'
import { CHUNK_LOGS_MAX } from './upload-logs.ts'

/** Made-up lines start here, 20 ms apart: the same seed gives the same lines at any time. */
const FIRST_LINE_MS = Date.UTC(2026, 0, 31, 8)
const LINE_STEP_MS = 20

export interface DemoInput {
  /** How many to make up. */
  readonly lineCount: number
  readonly seed: number
  /** Taken whole, where given. */
  readonly file: string | undefined
}

export async function* demoLogs(
  plan: DemoInput,
  { cwd, stop, clock }: Pick<CommandWorld, 'cwd' | 'stop' | 'clock'>
): AsyncGenerator<OutgoingLog, void, undefined> {
  let id = 0
  if (plan.file !== undefined) {
    const path = plan.file === '-' ? '-' : resolve(cwd, plan.file)
    for await (const { text } of readLines(path, stop, UPLOAD_LIMITS.valueBytes))
      yield { log: lineToLog(text, clock.now(), id++) }
    return
  }
  const nextLine = lineGenerator(plan.seed)
  for (; id < plan.lineCount; id++) {
    const timeMs = FIRST_LINE_MS + id * LINE_STEP_MS
    yield { log: lineToLog(nextLine(timeMs), timeMs, id) }
  }
}

/** A guess that only cuts chunks. */
const LINE_BYTES_TYPICAL = 250
const LINES_UNKNOWN = 4000
const CHUNKS_PER_PARTITION = 5

/** Logs a chunk, so that every partition gets some chunks also where there are few logs. */
export async function demoChunkSize(
  { lineCount, file }: DemoInput,
  { cwd }: Pick<CommandWorld, 'cwd'>,
  partitionCount: number
): Promise<number> {
  const logCount = file === undefined ? lineCount : await typicalLineCount(resolve(cwd, file))
  return Math.min(CHUNK_LOGS_MAX, Math.max(1, Math.floor(logCount / (partitionCount * CHUNKS_PER_PARTITION))))
}

async function typicalLineCount(path: string): Promise<number> {
  try {
    return (await stat(path)).size / LINE_BYTES_TYPICAL
  } catch {
    return LINES_UNKNOWN // standard input, or a file whose reading will tell what is wrong
  }
}

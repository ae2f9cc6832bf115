/**
 * What npm snappy takes where each of its buffers is fresh, and the kernel beside it.
 *
 * In: a payload. Out: CPU ms of a body, both. npm snappy makes a buffer for each body, and has two speeds: of pages that the
 * process has never touched, as in a loop that does not come back to the event loop, where nothing is given back; and of
 * pages that its allocator still has from the buffer before. Which of them a long process meets depends on what else it
 * does, so this has one of its own; the other speed is measured with the contenders.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { PayloadName } from '../payloads.ts'
import type { Spread } from '../statistics.ts'

export interface FreshSnappy {
  readonly npmMs: Spread
  readonly kernelMs: Spread
}

const LIMIT_MS = 120_000

/** @throws Error where an answer is wrong. */
export function measureFreshSnappy(payload: PayloadName, runCount: number): FreshSnappy {
  const file = fileURLToPath(new URL('fresh-snappy-process.js', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, payload, String(runCount)], {
    encoding: 'utf8',
    timeout: LIMIT_MS
  })
  if (status !== 0) throw new Error(`snappy could not be measured: ${stderr}`)
  return JSON.parse(stdout)
}

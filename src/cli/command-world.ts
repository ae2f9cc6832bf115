/**
 * What a command may touch: given by `cli.ts`, or by a test.
 *
 * Signals arrive as `stop`. A command resolves when it is done (or stopped in order) and throws what failed; it never ends
 * the process by itself.
 */
import type { Env } from '../config/option-sources.ts'
import type { Clock, Random, Timers } from '../world.ts'

/** Standard output or error; a test's own. */
export interface Sink {
  readonly isTTY?: boolean
  readonly columns?: number
  /** `done` is called once the text, or bytes, are with the operating system, or with what went wrong. */
  write(text: string | Uint8Array, done?: (error?: Error | null) => void): unknown
}

export interface CommandWorld {
  readonly env: Env
  /** Relative paths of flags are relative to this. */
  readonly cwd: string
  readonly stop: AbortSignal
  readonly stdout: Sink
  readonly stderr: Sink
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

/**
 * Virtual time, chosen chance and a log that is kept.
 */
import assert from 'node:assert/strict'
import { ClsConsumerError, type ErrorCode } from '../../src/errors.ts'
import type { Clock, LogFields, Logger, Random, Timers } from '../../src/world.ts'

/** Timers that set each other anew would let `settle` run for ever: past the timeout of its test, and of the whole run. */
const SETTLE_MS_MAX = 24 * 3_600_000

export interface FakeTime {
  readonly clock: Clock
  readonly timers: Timers
  /** Delays asked for by `sleep`, in order. */
  readonly sleptMs: number[]
  /** Timers set and not yet fired or cancelled. */
  readonly pendingCount: number
  /** Lets everything happen that is due within this time, in order. */
  advance(ms: number): Promise<void>
  /** Lets time run from timer to timer until the promise settles. */
  settle<T>(promise: Promise<T>): Promise<T>
}

export function createFakeTime(wallMs = 1_700_000_000_000): FakeTime {
  let nowMs = 0
  const pending = new Set<{ readonly atMs: number; readonly fire: () => void }>()
  const sleptMs: number[] = []

  const timers: Timers = {
    after(delayMs, fire) {
      const timer = { atMs: nowMs + delayMs, fire }
      pending.add(timer)
      return { cancel: () => pending.delete(timer) }
    },
    sleep(delayMs, signal) {
      sleptMs.push(delayMs)
      return new Promise((resolve, reject) => {
        const onAbort = () => {
          timer.cancel()
          reject(signal?.reason)
        }
        const timer = timers.after(delayMs, () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        })
        signal?.addEventListener('abort', onAbort)
      })
    }
  }

  async function fireNext(untilMs: number): Promise<boolean> {
    await turn()
    const next = [...pending].sort((a, b) => a.atMs - b.atMs)[0]
    if (next === undefined || next.atMs > untilMs) return false
    pending.delete(next)
    nowMs = next.atMs
    next.fire()
    return true
  }

  return {
    clock: { now: () => wallMs + nowMs, monotonic: () => nowMs },
    timers,
    sleptMs,
    get pendingCount() {
      return pending.size
    },
    async advance(ms) {
      const untilMs = nowMs + ms
      while (await fireNext(untilMs)) {}
      nowMs = untilMs
      await turn()
    },
    async settle(promise) {
      let settled = false
      const end = () => {
        settled = true
      }
      promise.then(end, end)
      await turn()
      const untilMs = nowMs + SETTLE_MS_MAX
      while (!settled) {
        assert.ok(await fireNext(untilMs), pending.size === 0 ? 'the promise waits for nothing' : 'it does not settle')
        await turn()
      }
      return promise
    }
  }
}

/** Everything that is ready to run, runs. */
function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

export function chance(value: number): Random {
  return { next: () => value, hex: byteCount => '0'.repeat(2 * byteCount) }
}

export interface KeptLog extends Logger {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[]
}

export function createKeptLog(): KeptLog {
  const lines: { level: string; message: string; fields: LogFields }[] = []
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}) => {
      lines.push({ level, message, fields })
    }
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** The error that a promise rejects with; it must be one of ours with this code. */
export async function rejection(code: ErrorCode, promise: Promise<unknown>): Promise<ClsConsumerError> {
  const error = await promise.then(
    () => assert.fail(`resolved, where ${code} was expected`),
    (thrown: unknown) => thrown
  )
  assert.ok(error instanceof ClsConsumerError, String(error))
  assert.equal(error.code, code, error.message)
  return error
}

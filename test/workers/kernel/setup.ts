/** For the kernel's tests: bytes put where a stage finds them, with canaries around, and how many rounds to go. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { align, KernelMemory, type Span } from '../../../workers/kernel/memory.ts'
import { ROOT } from '../../support/source.ts'

/** `KERNEL_ROUNDS=20000 npm test kernel` for more. */
export const ROUNDS = Number(process.env.KERNEL_ROUNDS ?? 300)

const CANARY = 0xa5
const CANARY_BYTES = 64

/** A stage that works on bytes, with exactly as many in front of it and behind it that it must leave alone. */
export class Bench {
  readonly memory = new KernelMemory()

  /** Fills everything with canaries, then puts `parts` into it, each with room around it. */
  place(...parts: readonly Uint8Array[]): Span[] {
    let at = this.memory.start + CANARY_BYTES
    const spans = parts.map(part => {
      const span = { start: at, end: at + part.length }
      at = align(span.end + CANARY_BYTES)
      return span
    })
    this.memory.reserve(at)
    this.memory.bytes.fill(CANARY, this.memory.start, at)
    for (const [index, { start }] of spans.entries()) this.memory.bytes.set(parts[index] ?? [], start)
    return spans
  }

  /** Puts `part` where the memory ends: whoever reads or writes behind it traps. */
  placeLast(part: Uint8Array): Span {
    const end = this.memory.byteCount
    const span = { start: end - part.length, end }
    this.memory.bytes.set(part, span.start)
    return span
  }

  /** @returns The bytes of a span. */
  read({ start, end }: Span): Buffer {
    return this.memory.bytes.subarray(start, end)
  }

  assertUntouched({ start, end }: Span): void {
    const before = this.memory.bytes.subarray(start - CANARY_BYTES, start)
    const behind = this.memory.bytes.subarray(end, end + CANARY_BYTES)
    assert.ok(before.every(isCanary) && behind.every(isCanary), `bytes beside ${start} to ${end} were written`)
  }
}

function isCanary(byte: number): boolean {
  return byte === CANARY
}

/** A file of `shared/data`, beside the repository; skips the test where there is none. */
export function sharedData(context: TestContext, name: string): Buffer | undefined {
  const file = join(ROOT, '../shared/data', name)
  if (existsSync(file)) return readFileSync(file)
  context.skip(`there is no ../shared/data/${name}`)
  return undefined
}

/**
 * A kernel memory that is watched: what ran in it, what it held before, and what a stage must not write.
 *
 * In: the leftovers that it is to have. Out: the stages that were reached since, told by their calls and not by what an
 * outcome suggests. One memory serves case after case, as one serves batch after batch in a worker thread. A stage that
 * writes into what it only reads, or beside where it may write, fails at once: an outcome need not show it.
 */
import assert from 'node:assert/strict'
import { KernelMemory } from '../../workers/kernel/memory.ts'
import type { Layer } from './response-plan.ts'

/** How far a response gets: its layers, and then a log that is read. */
export type Stage = Layer | 'views'

/** So far beside its place a stage is watched: further than any vector reaches. */
const BESIDE_BYTES = 64

export class WatchedMemory extends KernelMemory {
  readonly reached = new Set<Stage>()

  constructor() {
    super()
    const { kernel } = this
    Object.assign(this, { kernel: this.#watched(kernel) })
  }

  /** For another case: as if the last response had been `leftovers`, over and over, to the end of the memory. */
  beginAfter(leftovers: Uint8Array): void {
    this.begin()
    this.reached.clear()
    this.bytes.fill(leftovers, this.start)
  }

  /** The same functions; each notes its stage. */
  #watched(kernel: KernelMemory['kernel']): KernelMemory['kernel'] {
    return {
      ...kernel,
      decompressSnappy: (source, sourceEnd, output, outputEnd) => {
        this.reached.add('compressed')
        return this.#keeping(outputEnd, sourceEnd + BESIDE_BYTES, () =>
          kernel.decompressSnappy(source, sourceEnd, output, outputEnd)
        )
      },
      decompressLz4: (source, sourceEnd, output, outputEnd) => {
        this.reached.add('compressed')
        return this.#keeping(outputEnd, sourceEnd + BESIDE_BYTES, () =>
          kernel.decompressLz4(source, sourceEnd, output, outputEnd)
        )
      },
      scanResponse: (text, textEnd, table, tableEnd) => {
        this.reached.add('json')
        return this.#keeping(text, textEnd, () => kernel.scanResponse(text, textEnd, table, tableEnd))
      },
      decodeBase64: (text, textEnd, output) => {
        this.reached.add('base64')
        return this.#keeping(textEnd, textEnd + BESIDE_BYTES, () => kernel.decodeBase64(text, textEnd, output))
      },
      checkHeader: (message, messageEnd) => {
        this.reached.add('header')
        return kernel.checkHeader(message, messageEnd)
      },
      indexLogGroup: (payload, payloadEnd, table, tableEnd) => {
        if (payloadEnd > payload) this.reached.add('protobuf')
        return this.#keeping(payload - BESIDE_BYTES, Math.min(payloadEnd + BESIDE_BYTES, table), () =>
          kernel.indexLogGroup(payload, payloadEnd, table, tableEnd)
        )
      },
      matchShapes: (group, shapeCount) => {
        this.reached.add('views')
        return kernel.matchShapes(group, shapeCount)
      }
    }
  }

  /** A call that leaves these bytes as they are. */
  #keeping<T>(start: number, end: number, call: () => T): T {
    const before = Buffer.from(this.bytes.subarray(start, end))
    const result = call()
    assert.ok(this.bytes.subarray(start, end).equals(before), `bytes between ${start} and ${end} were written`)
    return result
  }
}

/**
 * A kernel memory that is watched: what ran in it, and what it held before.
 *
 * In: the leftovers that it is to have. Out: the stages that were reached since, told by their calls and not by what an
 * outcome suggests. One memory serves case after case, as one serves batch after batch in a worker thread.
 */
import { KernelMemory } from '../../workers/kernel/memory.ts'
import type { Layer } from './response-plan.ts'

/** How far a response gets: its layers, and then a log that is read. */
export type Stage = Layer | 'views'

export class WatchedMemory extends KernelMemory {
  readonly reached = new Set<Stage>()

  constructor() {
    super()
    Object.assign(this, { kernel: watched(this.kernel, this.reached) })
  }

  /** For another case: as if the last response had been `leftovers`, over and over, to the end of the memory. */
  beginAfter(leftovers: Uint8Array): void {
    this.begin()
    this.reached.clear()
    this.bytes.fill(leftovers, this.start)
  }
}

type Kernel = KernelMemory['kernel']

/** The same functions; each notes its stage. */
function watched(kernel: Kernel, reached: Set<Stage>): Kernel {
  return {
    ...kernel,
    decompressLz4(source, sourceEnd, output, outputEnd) {
      reached.add('compressed')
      return kernel.decompressLz4(source, sourceEnd, output, outputEnd)
    },
    decompressSnappy(source, sourceEnd, output, outputEnd) {
      reached.add('compressed')
      return kernel.decompressSnappy(source, sourceEnd, output, outputEnd)
    },
    scanResponse(text, textEnd, table, tableEnd) {
      reached.add('json')
      return kernel.scanResponse(text, textEnd, table, tableEnd)
    },
    decodeBase64(text, textEnd, output) {
      reached.add('base64')
      return kernel.decodeBase64(text, textEnd, output)
    },
    checkHeader(message, messageEnd) {
      reached.add('header')
      return kernel.checkHeader(message, messageEnd)
    },
    indexLogGroup(payload, payloadEnd, table, tableEnd) {
      if (payloadEnd > payload) reached.add('protobuf')
      return kernel.indexLogGroup(payload, payloadEnd, table, tableEnd)
    },
    matchShapes(group, shapeCount) {
      reached.add('views')
      return kernel.matchShapes(group, shapeCount)
    }
  }
}

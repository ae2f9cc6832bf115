/**
 * The memory of one open response: its text, its messages, their index, side by side in an instance of the kernel.
 *
 * In: how many bytes a stage needs. Out: views and the kernel's functions. An instance belongs to one batch at a time,
 * so that growing it detaches nobody else's views, and no batch can read another's bytes; instances share compiled code,
 * and cost 64 KiB when empty. Must never happen: a view kept over `reserve`. Byte-level.
 */
import { readFileSync } from 'node:fs'
import { ClsConsumerError } from '../../src/errors.ts'

/** The functions of `assembly/index.ts`; addresses and sizes are whole numbers under 2^31. */
interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pageCount: number): number }
  readonly FREE: { readonly value: number }
  readonly REPORT: { readonly value: number }
  readonly SHAPES: { readonly value: number }
  decompressSnappy(source: number, sourceEnd: number, output: number, outputEnd: number): number
  decompressLz4(source: number, sourceEnd: number, output: number, outputEnd: number): number
  scanResponse(text: number, textEnd: number, table: number, tableEnd: number): number
  unescapeText(text: number, textEnd: number): number
  decodeBase64(text: number, textEnd: number, output: number): number
  checkHeader(message: number, messageEnd: number): number
  indexLogGroup(payload: number, payloadEnd: number, table: number, tableEnd: number): number
  matchShapes(group: number, shapeCount: number): number
}

/** What TypeScript knows only of browsers, with the exports that `assembly/index.ts` has. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: KernelExports }
}

/** A part of the memory, by addresses. */
export interface Span {
  readonly start: number
  readonly end: number
}

const PAGE_BYTES = 2 ** 16
/** `maximumMemory` of `assembly/asconfig.json`: every address is less than 2^31, and an end has its top bit free. */
const MEMORY_BYTES_MAX = 2 ** 31 - PAGE_BYTES
/** Of everything that gets a place of its own: vectors, int64. */
const ALIGNMENT_BYTES = 16
/** The top bit of an end in a table: what it flags is its table's affair. */
export const END_FLAG = 0x8000_0000
export const END_MASK = 0x7fff_ffff

const compiled = new WebAssembly.Module(readFileSync(new URL('kernel.wasm', import.meta.url)))

export class KernelMemory {
  readonly kernel: KernelExports
  /** The first address that a stage may use. */
  readonly start: number
  #bytes: Buffer
  #words: Int32Array
  #times: BigInt64Array
  #neededBytes = 0

  constructor() {
    this.kernel = instantiate()
    this.start = align(this.kernel.FREE.value)
    const { buffer } = this.kernel.memory
    this.#bytes = Buffer.from(buffer)
    this.#words = new Int32Array(buffer)
    this.#times = new BigInt64Array(buffer)
  }

  /** All of it, by address. Not to be kept over `reserve`. */
  get bytes(): Buffer {
    return this.#bytes
  }

  /** By address / 4. Not to be kept over `reserve`. */
  get words(): Int32Array {
    return this.#words
  }

  /** By address / 8. Not to be kept over `reserve`. */
  get times(): BigInt64Array {
    return this.#times
  }

  /** What it costs, whether used or not. */
  get byteCount(): number {
    return this.#bytes.length
  }

  /** What was reserved since `begin`: so small it might be. */
  get neededBytes(): number {
    return this.#neededBytes
  }

  /** For another response. What the one before left is written over. */
  begin(): void {
    this.#neededBytes = 0
  }

  /** A word of the last call's report. */
  report(at: number): number {
    return this.#words[(this.kernel.REPORT.value + at) / 4] ?? 0
  }

  reportInt64(at: number): bigint {
    return this.#times[(this.kernel.REPORT.value + at) / 8] ?? 0n
  }

  /**
   * Makes addresses up to `end` usable.
   * @throws ClsConsumerError BODY_TOO_LARGE, whether the kernel has no such address or the host no such memory: half as
   * much is asked for then, which may do, and nothing is lost where it does not.
   */
  reserve(end: number): void {
    if (end > this.#bytes.length) this.#grow(end)
    if (end > this.#neededBytes) this.#neededBytes = end
  }

  #grow(end: number): void {
    if (end > MEMORY_BYTES_MAX) throw tooLarge(end, `the kernel has ${MEMORY_BYTES_MAX} at most`)
    try {
      this.kernel.memory.grow(Math.ceil((end - this.#bytes.length) / PAGE_BYTES))
    } catch (cause) {
      throw tooLarge(end, `the host has no more than the ${this.byteCount} there are`, cause)
    }
    const { buffer } = this.kernel.memory
    this.#bytes = Buffer.from(buffer)
    this.#words = new Int32Array(buffer)
    this.#times = new BigInt64Array(buffer)
  }
}

/** A host may limit addresses too, and V8 takes ten gigabytes of them for each instance. */
function instantiate(): KernelExports {
  try {
    return new WebAssembly.Instance(compiled).exports
  } catch (cause) {
    throw tooLarge(PAGE_BYTES, 'the host has no room for them', cause)
  }
}

function tooLarge(end: number, limit: string, cause?: unknown): ClsConsumerError {
  return new ClsConsumerError('BODY_TOO_LARGE', `a response takes ${end} bytes to decode, and ${limit}`, { cause })
}

/** The next address at which a table or a text may begin. */
export function align(address: number): number {
  return Math.ceil(address / ALIGNMENT_BYTES) * ALIGNMENT_BYTES
}

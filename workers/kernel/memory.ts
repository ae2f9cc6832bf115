/**
 * The memory of one open response: its text, its messages, their index, side by side in an instance of the kernel.
 *
 * In: how many bytes a stage needs. Out: views and the kernel's functions. An instance belongs to one batch at a time,
 * so that growing it detaches nobody else's views, and no batch can read another's bytes; instances share compiled code,
 * and cost 64 KiB when empty. Must never happen: a view kept over `reserve`. Byte-level.
 */
import { readFileSync } from 'node:fs'

/** The functions of `assembly/index.ts`; addresses and sizes are whole numbers under 2^31. */
interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pageCount: number): number }
  readonly FREE: { readonly value: number }
  readonly REPORT: { readonly value: number }
  decompressSnappy(source: number, sourceEnd: number, output: number, outputEnd: number): number
  lz4PlainBytes(source: number, sourceEnd: number): bigint
  decompressLz4(source: number, sourceEnd: number, output: number, outputEnd: number): number
  scanResponse(text: number, textEnd: number, table: number, tableEnd: number): number
  unescapeText(text: number, textEnd: number): number
  decodeBase64(text: number, textEnd: number, output: number): number
  checkHeader(message: number, messageEnd: number): number
  indexLogGroup(payload: number, payloadEnd: number, table: number, tableEnd: number): number
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

  constructor() {
    this.kernel = new WebAssembly.Instance(compiled).exports
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

  /** A word of the last call's report. */
  report(at: number): number {
    return this.#words[(this.kernel.REPORT.value + at) / 4] ?? 0
  }

  reportInt64(at: number): bigint {
    return this.#times[(this.kernel.REPORT.value + at) / 8] ?? 0n
  }

  /** Makes addresses up to `end` usable. @throws RangeError where the host has no more memory. */
  reserve(end: number): void {
    const pageCount = Math.ceil((end - this.#bytes.length) / PAGE_BYTES)
    if (pageCount <= 0) return
    this.kernel.memory.grow(pageCount)
    const { buffer } = this.kernel.memory
    this.#bytes = Buffer.from(buffer)
    this.#words = new Int32Array(buffer)
    this.#times = new BigInt64Array(buffer)
  }
}

/** The next address at which a table or a text may begin. */
export function align(address: number): number {
  return Math.ceil(address / ALIGNMENT_BYTES) * ALIGNMENT_BYTES
}

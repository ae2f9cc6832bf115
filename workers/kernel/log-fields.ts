/**
 * Where the logs of a log group stand on the wire, which the index does not keep.
 *
 * In: a payload that the kernel has indexed, and so found sound. Out: each of its `logs` fields, tag and length included,
 * in order. Must never happen: another opinion than the index's on what is a log; a step behind the payload's end.
 */
import { assert } from '../../src/errors.ts'
import type { Span } from './memory.ts'

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const GROUP = 3
const GROUP_END = 4
const FIXED32 = 5
/** Field 1; with another wire type it is an unknown field. */
const LOG_TAG = 8 + BYTES

export function findLogFields(bytes: Uint8Array, payload: Span): Span[] {
  const fields: Span[] = []
  const cursor = new FieldCursor(bytes, payload)
  while (cursor.at < payload.end) {
    const start = cursor.at
    const tag = cursor.number()
    cursor.skip(tag)
    if (tag === LOG_TAG) fields.push({ start, end: cursor.at })
  }
  assert(cursor.at === payload.end, 'the fields of an indexed group end where it ends')
  return fields
}

class FieldCursor {
  at: number
  readonly #bytes: Uint8Array
  readonly #end: number

  constructor(bytes: Uint8Array, { start, end }: Span) {
    this.#bytes = bytes
    this.at = start
    this.#end = end
  }

  /** A tag or a length: at most five bytes, though it may be written with more of them than it needs. */
  number(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#byte()
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }

  /** What follows a tag. */
  skip(tag: number): void {
    switch (tag & 7) {
      case VARINT:
        while (this.#byte() > 127);
        break
      case FIXED64:
        this.at += 8
        break
      case BYTES: {
        const byteCount = this.number()
        this.at += byteCount
        break
      }
      case GROUP:
        this.#skipGroup()
        break
      case FIXED32:
        this.at += 4
        break
      default:
        assert(false, `an indexed group has no field of tag ${tag}`)
    }
  }

  #skipGroup(): void {
    for (let tag = this.number(); (tag & 7) !== GROUP_END; tag = this.number()) this.skip(tag)
  }

  #byte(): number {
    assert(this.at < this.#end, 'the fields of an indexed group end where it ends')
    return this.#bytes[this.at++] ?? 0
  }
}

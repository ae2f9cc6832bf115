/**
 * Protobuf on the wire, field by field, as a plan that says more than an encoder would ever write.
 *
 * In: fields in any order, of any wire type, with lengths and numbers longer than need be, nested or not. Out: their
 * bytes. Written from the end to the beginning: so the length of what is nested is known when its turn comes.
 */
interface Numbered {
  readonly number: number
  /** Bytes of the tag, where it takes more than need be. */
  readonly tagBytes?: number
}

export interface VarintField extends Numbered {
  readonly wire: 'varint'
  /** Taken modulo 2^64. */
  readonly value: bigint
  /** Bytes of the number, where it takes more than need be. */
  readonly valueBytes?: number
}

/** `fixed64` has eight bytes, `fixed32` four. */
export interface FixedField extends Numbered {
  readonly wire: 'fixed64' | 'fixed32'
  readonly bytes: Buffer
}

export interface BytesField extends Numbered {
  readonly wire: 'bytes'
  readonly content: Buffer | readonly Field[]
  /** Bytes of the length, where it takes more than need be. */
  readonly lengthBytes?: number
  /** By so much the length is wrong. */
  readonly lengthOff?: number
}

export interface GroupField extends Numbered {
  readonly wire: 'group'
  readonly fields: readonly Field[]
}

export type Field = VarintField | FixedField | BytesField | GroupField

const WIRE_TYPES = { varint: 0, fixed64: 1, bytes: 2, group: 3, groupEnd: 4, fixed32: 5 } as const

export function encodeFields(fields: readonly Field[]): Buffer {
  const writer = new BackwardWriter()
  writeFields(writer, fields)
  return writer.finish()
}

function writeFields(writer: BackwardWriter, fields: readonly Field[]): void {
  for (let index = fields.length - 1; index >= 0; index--) {
    const field = fields[index]
    if (field !== undefined) writeField(writer, field)
  }
}

function writeField(writer: BackwardWriter, field: Field): void {
  switch (field.wire) {
    case 'varint':
      writer.varint64(field.value, field.valueBytes)
      break
    case 'fixed64':
    case 'fixed32':
      writer.bytes(field.bytes)
      break
    case 'bytes': {
      const before = writer.byteCount
      if (Buffer.isBuffer(field.content)) writer.bytes(field.content)
      else writeFields(writer, field.content)
      writer.varint(Math.max(0, writer.byteCount - before + (field.lengthOff ?? 0)), field.lengthBytes)
      break
    }
    case 'group':
      writer.varint(field.number * 8 + WIRE_TYPES.groupEnd, field.tagBytes)
      writeFields(writer, field.fields)
  }
  writer.varint(field.number * 8 + WIRE_TYPES[field.wire], field.tagBytes)
}

const LOW_BITS = 49n
const LOW_GROUPS = 7

class BackwardWriter {
  #bytes = Buffer.allocUnsafe(1024)
  #at = this.#bytes.length

  get byteCount(): number {
    return this.#bytes.length - this.#at
  }

  /** A copy of all that was written. */
  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(this.#at))
  }

  bytes(content: Buffer): void {
    const start = this.#take(content.length)
    this.#bytes.set(content, start)
  }

  /** A whole number under 2^53. */
  varint(value: number, leastBytes = 1): void {
    this.#write(value, 0, Math.max(leastBytes, sizeOf(value)))
  }

  varint64(value: bigint, leastBytes = 1): void {
    const unsigned = BigInt.asUintN(64, value)
    const low = Number(BigInt.asUintN(Number(LOW_BITS), unsigned))
    const high = Number(unsigned >> LOW_BITS)
    this.#write(low, high, Math.max(leastBytes, high === 0 ? sizeOf(low) : LOW_GROUPS + sizeOf(high)))
  }

  /** Seven bits a byte: `low` has the first seven bytes of them, `high` what is more. */
  #write(low: number, high: number, byteCount: number): void {
    const start = this.#take(byteCount)
    let rest = low
    for (let index = 0; index < byteCount; index++) {
      if (index === LOW_GROUPS && high > 0) rest = high
      this.#bytes[start + index] = (rest % 128) + (index < byteCount - 1 ? 128 : 0)
      rest = Math.floor(rest / 128)
    }
  }

  #take(byteCount: number): number {
    if (byteCount > this.#at) this.#grow(byteCount)
    this.#at -= byteCount
    return this.#at
  }

  #grow(byteCount: number): void {
    const written = this.#bytes.subarray(this.#at)
    const larger = Buffer.allocUnsafe((this.#bytes.length + byteCount) * 2)
    this.#at = larger.length - written.length
    larger.set(written, this.#at)
    this.#bytes = larger
  }
}

function sizeOf(value: number): number {
  let size = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++
  return size
}

/**
 * A response that is compressed once and answered many times, each time with another next offset.
 *
 * In: messages. Out: a snappy block in two parts: a head, whose one literal holds all up to the first message, and a tail
 * that is the same every time. Byte-level. A block is its plain size and then elements; copies look back from where they
 * stand, never past what they were compressed with, so that a tail compressed alone stays right behind any head.
 */
import { compress } from '../../src/cls/compression.ts'

export interface RepeatableBody {
  readonly messageCount: number
  readonly logCount: number
  /** Logs that the filter finds. */
  readonly hitCount: number
  /** Messages as stored, before base64: what the `Size` of a pull counts. */
  readonly storedBytes: number
  /** Of the JSON, behind the head. */
  readonly tailPlainBytes: number
  /** The block's elements behind the head's literal. */
  readonly tail: Uint8Array
}

/** Longer literals have their length in further bytes. A head is 38 bytes and the digits of an offset. */
const SHORT_LITERAL_BYTES_MAX = 60

export function repeatableBody(
  messages: readonly Uint8Array[],
  counts: Pick<RepeatableBody, 'logCount' | 'hitCount'>
): RepeatableBody {
  const texts = messages.map(message => `"${Buffer.from(message).toString('base64')}"`)
  const plain = Buffer.from(`${texts.join(',')}],"RequestId":"bench"}}`)
  return {
    ...counts,
    messageCount: messages.length,
    storedBytes: messages.reduce((total, { length }) => total + length, 0),
    tailPlainBytes: plain.length,
    tail: withoutSize(compress(plain, 'snappy'))
  }
}

/** All that differs between two answers with one body. */
export function headOf({ tailPlainBytes }: Pick<RepeatableBody, 'tailPlainBytes'>, nextOffset: number): Uint8Array {
  const plain = Buffer.from(`{"Response":{"NextOffset":${nextOffset},"Message":[`)
  if (plain.length > SHORT_LITERAL_BYTES_MAX) throw new Error(`the head has ${plain.length} bytes, which is too long`)
  return Buffer.concat([varint(plain.length + tailPlainBytes), Uint8Array.of((plain.length - 1) << 2), plain])
}

function withoutSize(block: Uint8Array): Uint8Array {
  const last = block.findIndex(byte => byte < 0x80)
  return block.subarray(last + 1)
}

/** Little-endian groups of seven bits, all but the last with their high bit set. */
function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Uint8Array.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}

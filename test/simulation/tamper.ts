/**
 * Pull answers that the emulator does not give by itself.
 *
 * A range without logs told as such: truthful, since offsets have gaps. And a next offset that does not lead on although
 * there are messages: a fault.
 */
import { compress, decompress } from '../../src/cls/compression.ts'
import { pullHeaders } from '../../src/emulator/actions/pull-log.ts'
import type { WireAnswer } from '../../src/emulator/plane.ts'
import { packPullBody } from '../../src/emulator/pull-body.ts'
import type { EmulatorState } from '../../src/emulator/state.ts'
import type { Compression } from '../../src/world.ts'
import type { AskedOffset } from './asked.ts'
import type { PartitionStock } from './stock.ts'

const PLAIN_BYTES_MAX = 1024 * 1024

/** What the pull finds first lies behind a gap: the answer leads there, and no further. Undefined where there is none. */
export function tellGap(stock: PartitionStock, { offset }: AskedOffset, state: EmulatorState): WireAnswer | undefined {
  const next = stock.messages[stock.indexAt(offset)]
  if (next === undefined || next.offset <= offset || offset < stock.begin) return undefined
  const { quirks } = state.settings
  const compression = compressionOf(state)
  const content = { messages: [], fromOffset: offset, nextOffset: next.offset, requestId: 'gap' }
  const body = packPullBody(content, { quirks, compression, flaw: undefined })
  return { status: 200, headers: pullHeaders(compression, quirks), body }
}

/** The same messages, with another next offset wherever one stands. */
export function withNextOffset(answer: WireAnswer, nextOffset: bigint, state: EmulatorState): WireAnswer {
  if (answer.status !== 200) return answer
  const compression = compressionOf(state)
  const text = Buffer.from(decompress(answer.body, compression, PLAIN_BYTES_MAX)).toString()
  const tampered = text.replaceAll(/("NextOffset"\s*:\s*)-?\d+/g, `$1${nextOffset}`)
  return { ...answer, body: compress(Buffer.from(tampered), compression) }
}

function compressionOf({ settings }: EmulatorState): Compression {
  const { compression } = settings.quirks
  return compression === 'asked' ? 'snappy' : compression
}

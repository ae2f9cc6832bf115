/**
 * Third stage: from a message's base64 to its payload.
 *
 * In: where the text stands. Out: where the payload stands: the bytes take the text's own place, so that a response costs
 * no memory twice. The kernel's base64, not Node's: `Buffer.write` is about as fast, but first wants a string per message,
 * 4 MB of heap per response, and takes what is no base64 (bench: `kernel-stages`). Must never happen: a message half decoded and taken for whole.
 */
import type { KernelMemory, Span } from './memory.ts'

/** What is wrong with a message. */
export interface MessageFault {
  readonly reason: string
  /** In the decoded message; what the reason itself counts is its text. `undefined` where there is neither. */
  readonly bytePosition: number | undefined
}

export const HEADER_BYTES = 96
const AT_VERSION = 0
const AT_PAYLOAD_BYTES = 92

/** The verdicts of `assembly/header.ts`. */
const SHORT = -1
const WRONG_VERSION = -2

/** The decoded message, at the text's start. */
export function decodeMessageText(memory: KernelMemory, text: Span): Span | MessageFault {
  const byteCount = memory.kernel.decodeBase64(text.start, text.end, text.start)
  if (byteCount >= 0) return { start: text.start, end: text.start + byteCount }
  // Of four characters the first: those before it have come to bytes.
  const character = -1 - byteCount
  return { reason: `the message is not base64 from character ${character} on`, bytePosition: (character / 4) * 3 }
}

/** The payload of a decoded message, a `LogGroup`; what follows it is ignored. */
export function payloadOf(memory: KernelMemory, message: Span): Span | MessageFault {
  const payloadBytes = memory.kernel.checkHeader(message.start, message.end)
  if (payloadBytes < 0) return faultOf(memory, message, payloadBytes)
  const start = message.start + HEADER_BYTES
  return { start, end: start + payloadBytes }
}

function faultOf({ bytes }: KernelMemory, { start, end }: Span, verdict: number): MessageFault {
  if (verdict === SHORT) {
    return { reason: `a message of ${end - start} bytes is shorter than its header`, bytePosition: end - start }
  }
  if (verdict === WRONG_VERSION) {
    const version = bytes.readInt32BE(start + AT_VERSION)
    return { reason: `version ${version} of a message is not 130`, bytePosition: AT_VERSION }
  }
  const declared = bytes.readInt32BE(start + AT_PAYLOAD_BYTES)
  const there = end - start - HEADER_BYTES
  return {
    reason: `a message declares a payload of ${declared} bytes, but ${there} follow`,
    bytePosition: AT_PAYLOAD_BYTES
  }
}

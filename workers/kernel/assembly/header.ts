/**
 * The envelope of a message: 96 bytes, big-endian.
 *
 * In: a message. Out: how long its payload is. What follows the payload is ignored; the other fields are informative.
 */
const HEADER_BYTES: usize = 96
const VERSION: i32 = 130
const AT_PAYLOAD_BYTES: usize = 92

export const SHORT: i32 = -1
export const WRONG_VERSION: i32 = -2
export const WRONG_PAYLOAD_BYTES: i32 = -3

/** @returns The payload's bytes; -1: the message is shorter than a header; -2: its version; -3: the payload's bytes. */
export function checkHeader(message: usize, messageEnd: usize): i32 {
  if (messageEnd - message < HEADER_BYTES) return SHORT
  if (bswap<i32>(load<i32>(message)) !== VERSION) return WRONG_VERSION
  const payloadBytes = bswap<i32>(load<i32>(message + AT_PAYLOAD_BYTES))
  const thereBytes = i32(messageEnd - message - HEADER_BYTES)
  return payloadBytes < 0 || payloadBytes > thereBytes ? WRONG_PAYLOAD_BYTES : payloadBytes
}

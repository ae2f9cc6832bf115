/**
 * What comes of a response, as plain data: the same form for the way that is tested and for the reference.
 *
 * Two ways agree where their outcomes are equal to the last character. Of a response that is read: the next offset, the
 * count of messages left after the cut at the end of a bounded run, the decompressed size, each group with all that its
 * views tell, and each poisoned message with its index, its layer and its bytes. Of a response that is refused: the code,
 * and of a service's own error also its code, request id and words. Not compared are the words in which the two decoders
 * name the place in a block, in base64 or in protobuf at which they stopped.
 */
import assert from 'node:assert/strict'
import type { ClsConsumerError } from '../../src/errors.ts'
import { NOT_TEXT } from '../workers/reference-decode.ts'

export type Outcome = ReadOutcome | RefusedOutcome

export interface ReadOutcome {
  /** An int64 as text, so that an outcome is JSON. */
  readonly nextOffset: string | undefined
  readonly messageCount: number
  readonly responseBytes: number
  readonly logCount: number
  readonly groups: readonly GroupOutcome[]
  readonly poison: readonly PoisonOutcome[]
}

export interface GroupOutcome {
  readonly source: string | undefined
  readonly filename: string | undefined
  readonly hostname: string | undefined
  readonly contextFlow: string | undefined
  /** In their order; of a repeated key the first value. */
  readonly tags: Pairs
  readonly logs: readonly LogOutcome[]
}

export interface LogOutcome {
  readonly time: string
  readonly entries: Pairs
  /** What `toObject` has, in its order; of a repeated key the first value. */
  readonly object: Pairs
}

export type Pairs = readonly (readonly [key: string, value: string])[]

export interface PoisonOutcome {
  readonly messageIndex: number
  /** Which layer it failed in; for the header, whose words are the same, why and where. */
  readonly layer: string
  /** The message's JSON, printed anew. */
  readonly raw: string
}

export interface RefusedOutcome {
  readonly code: string
  readonly serviceCode?: string
  readonly requestId?: string
  readonly words?: string
}

/** Of outcomes and their parts, all of which is JSON: much faster than a deep comparison, which only words a difference. */
export function assertSame(actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) assert.deepEqual(actual, expected)
}

export function refusedOutcome({ code, what, place }: ClsConsumerError): RefusedOutcome {
  if (place.serviceCode === undefined) return { code }
  const { serviceCode, requestId } = place
  return { code, serviceCode, words: what, ...(requestId === undefined ? {} : { requestId }) }
}

export function poisonOutcome({ messageIndex, reason, bytePosition }: PoisonNote, raw: string): PoisonOutcome {
  return { messageIndex, layer: layerOf(reason, bytePosition), raw }
}

interface PoisonNote {
  readonly messageIndex: number
  readonly reason: string
  readonly bytePosition: number | undefined
}

function layerOf(reason: string, bytePosition: number | undefined): string {
  if (reason === NOT_TEXT) return 'json'
  if (reason.startsWith('the message is not base64')) return 'base64'
  // With the size of the payload.
  const [protobuf] = /^\d+ bytes are not a LogGroup/.exec(reason) ?? []
  return protobuf ?? `header: ${reason}, at ${bytePosition}`
}

/** Of equal keys the first. */
export function firstOfEach(pairs: Pairs): Pairs {
  const first = new Map<string, string>()
  for (const [key, value] of pairs) if (!first.has(key)) first.set(key, value)
  // As an object would have them: keys that are indexes come before the others.
  return Object.entries(Object.fromEntries(first))
}

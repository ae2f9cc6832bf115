/**
 * Reads a response so small that the peek has it whole: at the end of a partition nearly all are, and a thread need not
 * be bothered to find that there is nothing.
 *
 * In: at most `PEEK_BYTES` of text. Out: empty, or with messages, or an error: what the service refused inside a 200, or
 * BODY_CORRUPT. Pure.
 */
import { findDataError } from '../cls/answer.ts'
import { int64, isRecord, type Json, parseJson } from '../cls/json.ts'
import { ClsConsumerError, type ErrorPlace } from '../errors.ts'

export type SmallResponse =
  | { readonly kind: 'empty' | 'messages'; readonly nextOffset: bigint | undefined }
  | { readonly kind: 'error'; readonly error: ClsConsumerError }

export function readSmallResponse(text: string, place: ErrorPlace): SmallResponse {
  const corrupt = (what: string): SmallResponse => ({
    kind: 'error',
    error: new ClsConsumerError('BODY_CORRUPT', `the response ${what}`, place)
  })
  // Nearly all are good: only what looks like a refusal is read once more.
  const refused = (what: string): SmallResponse => {
    const answer = { status: 200, headers: new Map(), body: Buffer.from(text) }
    const error = findDataError(answer, { place, secrets: [] })
    return error === undefined ? corrupt(what) : { kind: 'error', error }
  }
  let parsed: Json
  try {
    parsed = parseJson(text)
  } catch {
    return corrupt('is not JSON')
  }
  const response = isRecord(parsed) ? parsed.Response : undefined
  if (!isRecord(response)) return refused('has no Response')
  const { Error: error, NextOffset: next, Message: messages } = response
  // Not the documented form, but an error all the same: never "nothing new" (I6).
  if (error !== undefined && error !== null) return refused('has an Error without a Code')
  const nextOffset = int64(next)
  if (next !== undefined && next !== null && nextOffset === undefined)
    return corrupt('has a NextOffset that is no int64')
  if (messages !== undefined && messages !== null && !Array.isArray(messages))
    return corrupt('has a Message that is no list')
  return { kind: messages?.length ? 'messages' : 'empty', nextOffset }
}

/**
 * What a response means, by the obvious way: npm snappy or lz4-napi, `JSON.parse`, Node's base64, protobufjs.
 *
 * In: a batch task. Out: its outcome, sharing no code with the kernel. `JSON.parse` rounds integers, so only the next
 * offset itself is taken from our own parser, and that is held against `JSON.parse`'s. Our parser refuses nesting and
 * integers beyond its limits, which `JSON.parse` takes: there it is right.
 */
import assert from 'node:assert/strict'
import { decompress } from '../../src/cls/compression.ts'
import { isRecord, type Json, parseJson } from '../../src/cls/json.ts'
import type { LogGroup } from '../../src/cls/log-group.ts'
import type { BatchTask } from '../../src/dispatch/messages.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { decodeMessages } from '../workers/reference-decode.ts'
import { firstOfEach, type GroupOutcome, type Outcome, type Pairs, poisonOutcome, refusedOutcome } from './outcome.ts'

const CORRUPT = { code: 'BODY_CORRUPT' } as const
const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

export function referenceOutcome(task: BatchTask, responseBytesMax: number): Outcome {
  let plain: Buffer
  try {
    plain = decompress(new Uint8Array(task.body, 0, task.byteCount), task.compression, responseBytesMax)
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError, String(error))
    return refusedOutcome(error)
  }
  const text = plain.toString('latin1')
  const body = parseBoth(text)
  if (body === undefined) return CORRUPT
  const refused = errorIn(body.parsed)
  if (refused !== undefined) return refused
  const next = nextOffsetOf(body)
  const messages = messagesOf(body.parsed)
  if (next === 'bad' || messages === undefined) return CORRUPT
  return outcomeOf(task, next, messages, plain.length)
}

interface ParsedTwice {
  readonly parsed: Json
  readonly exact: Json
}

function parseBoth(text: string): ParsedTwice | undefined {
  let parsed: Json
  try {
    parsed = JSON.parse(text)
  } catch {
    assert.throws(() => parseJson(text), SyntaxError)
    return undefined
  }
  try {
    return { parsed, exact: parseJson(text) }
  } catch (error) {
    assert.match(String(error), /nested deeper than|a shorter integer/)
    return undefined
  }
}

/** The error of a response, in either form; what is neither that nor a response is corrupt. */
function errorIn(body: Json): Outcome | undefined {
  if (!isRecord(body)) return CORRUPT
  const { Response: response } = body
  if (!isRecord(response)) {
    const code = wordsOf(body.errorcode)
    return code === '' ? CORRUPT : refusal(code, body.errormessage, undefined)
  }
  const { Error: error } = response
  if (error === undefined || error === null) return undefined
  const code = isRecord(error) ? wordsOf(error.Code) : ''
  return isRecord(error) && code !== '' ? refusal(code, error.Message, response.RequestId) : CORRUPT
}

function refusal(serviceCode: string, message: Json | undefined, id: Json | undefined): Outcome {
  const words = `the service answered a pull with an error: ${wordsOf(message) || '(no message)'}`
  const requestId = wordsOf(id)
  return { code: 'API_REFUSED', serviceCode, words, ...(requestId === '' ? {} : { requestId }) }
}

/** A text that was read one character a byte. */
function wordsOf(value: Json | undefined): string {
  return typeof value === 'string' ? Buffer.from(value, 'latin1').toString() : ''
}

/** An int64, as a number or as a text of digits; nothing, where the response has none. */
function nextOffsetOf({ parsed, exact }: ParsedTwice): bigint | undefined | 'bad' {
  const next = member(exact, 'NextOffset')
  if (typeof next === 'bigint') assert.equal(Number(next), member(parsed, 'NextOffset'))
  else assert.deepEqual(next, member(parsed, 'NextOffset'))
  if (next === undefined || next === null) return undefined
  const isInteger = typeof next === 'bigint' || (typeof next === 'number' && Number.isSafeInteger(next))
  const isDigits = typeof next === 'string' && /^-?[0-9]{1,19}$/.test(next)
  if (!isInteger && !isDigits) return 'bad'
  const value = BigInt(next)
  return value >= INT64_MIN && value <= INT64_MAX ? value : 'bad'
}

function messagesOf(body: Json): readonly Json[] | undefined {
  const messages = member(body, 'Message') ?? []
  return Array.isArray(messages) ? messages : undefined
}

function member(body: Json, name: string): Json | undefined {
  return isRecord(body) && isRecord(body.Response) ? body.Response[name] : undefined
}

function outcomeOf(
  { startOffset, endOffset }: BatchTask,
  next: bigint | undefined,
  messages: readonly Json[],
  responseBytes: number
): Outcome {
  const advances = next !== undefined && next > startOffset && next > 0n
  const ends = next === -1n && endOffset !== undefined
  if (messages.length > 0 && !advances && !ends) return { code: 'NEXT_OFFSET_STUCK' }

  // Message i is known to have offset start + i only where no offset is without a message.
  const isDense = next !== undefined && next === startOffset + BigInt(messages.length)
  const isCut = isDense && endOffset !== undefined && next > endOffset
  const keptCount = isCut ? Number(endOffset > startOffset ? endOffset - startOffset : 0n) : messages.length
  const kept = messages.slice(0, keptCount)
  const { groups, logCount, poison } = decodeMessages(kept)
  return {
    nextOffset: (isCut ? startOffset + BigInt(keptCount) : next)?.toString(),
    messageCount: keptCount,
    responseBytes,
    logCount,
    groups: groups.map(groupOutcome),
    poison: poison.map(note => poisonOutcome(note, JSON.stringify(kept[note.messageIndex])))
  }
}

function groupOutcome({ source, filename, hostname, contextFlow, logTags, logs }: LogGroup): GroupOutcome {
  return {
    source,
    filename,
    hostname,
    contextFlow,
    tags: firstOfEach(pairsOf(logTags)),
    logs: logs.map(({ time, contents }) => {
      const entries = pairsOf(contents)
      return { time: `${time}`, entries, object: firstOfEach(entries) }
    })
  }
}

function pairsOf(all: readonly { readonly key: string; readonly value: string }[]): Pairs {
  return all.map(({ key, value }) => [key, value])
}

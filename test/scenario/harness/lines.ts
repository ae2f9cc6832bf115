/**
 * The lines of a ledger: what happened in one consumer, in the order in which it happened.
 *
 * In: lines to print, or printed ones. Out: text, one JSON object a line, or lines. Threads and the main thread of a
 * consumer append to one file, each line by one write before anything follows from it, so that kill -9 loses none.
 */
import { appendFileSync } from 'node:fs'
import { int64, isRecord, type Json, parseJson, printJson } from '../../../src/cls/json.ts'

export interface Place {
  readonly process: string
  readonly topicId: string
  readonly partition: number
}

/** A batch went into a processor (`begin`), is still there (`alive`), or came out of it by the end of `process`. */
export interface BatchLine extends Place {
  readonly kind: 'begin' | 'alive' | 'end'
  readonly thread: number
  readonly attempt: number
  readonly startOffset: bigint
  /** Absent where the response named none, as at the end of a bounded run. */
  readonly nextOffset: bigint | undefined
  /** Of `end`: the logs that count as processed, in order. */
  readonly ids: readonly string[]
  /** Of `end`: the processor's own word on each log, where it was asked for one. */
  readonly words: readonly string[]
  readonly atMs: number
}

/** An event of the consumer, or a call of `onResult`. Absent fields do not belong to the event. */
export interface EventLine {
  readonly kind: 'event'
  readonly process: string
  readonly name: string
  readonly atMs: number
  readonly topicId?: string
  readonly partition?: number
  readonly epoch?: number
  readonly thread?: number
  readonly offset?: bigint
  readonly nextOffset?: bigint
  readonly text?: string
  readonly code?: string
  readonly ids?: readonly string[]
  /** Of messages or letters. */
  readonly count?: number
}

export type Line = BatchLine | EventLine

export function appendLine(file: string, line: Line): void {
  appendFileSync(file, `${printLine(line)}\n`)
}

export function printLine(line: Line): string {
  const fields: Record<string, Json> = {}
  for (const [key, value] of Object.entries(line)) if (value !== undefined) fields[key] = value
  return printJson(fields)
}

/** Whole lines. What a kill has cut is none: what it was about to say has not happened. */
export function parseLines(text: string): Line[] {
  return text.split('\n').flatMap((line, index, all) => (index === all.length - 1 ? [] : [parseLine(line)]))
}

function parseLine(text: string): Line {
  const fields = parseJson(text)
  if (!isRecord(fields)) throw new Error(`not a ledger line: ${text}`)
  const kind = fields.kind
  const atMs = Number(fields.atMs)
  const process = String(fields.process)
  if (kind === 'begin' || kind === 'alive' || kind === 'end') {
    return {
      kind,
      process,
      atMs,
      topicId: String(fields.topicId),
      partition: Number(fields.partition),
      thread: Number(fields.thread),
      attempt: Number(fields.attempt),
      startOffset: int64(fields.startOffset) ?? -1n,
      nextOffset: int64(fields.nextOffset),
      ids: texts(fields.ids),
      words: texts(fields.words)
    }
  }
  const { topicId, partition, epoch, thread, text: words, code, ids, count } = fields
  const offset = int64(fields.offset)
  const nextOffset = int64(fields.nextOffset)
  return {
    kind: 'event',
    process,
    atMs,
    name: String(fields.name),
    ...(topicId === undefined ? {} : { topicId: String(topicId) }),
    ...(partition === undefined ? {} : { partition: Number(partition) }),
    ...(epoch === undefined ? {} : { epoch: Number(epoch) }),
    ...(thread === undefined ? {} : { thread: Number(thread) }),
    ...(offset === undefined ? {} : { offset }),
    ...(nextOffset === undefined ? {} : { nextOffset }),
    ...(words === undefined ? {} : { text: String(words) }),
    ...(code === undefined ? {} : { code: String(code) }),
    ...(ids === undefined ? {} : { ids: texts(ids) }),
    ...(count === undefined ? {} : { count: Number(count) })
  }
}

function texts(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.map(String) : []
}

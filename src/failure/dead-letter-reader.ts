/**
 * Reads a directory of dead letters.
 *
 * In: the directory, in which writers may be at work. Out: every whole letter, file by file in the order of their names, and
 * every damage, with its place. Must never happen: a damage, or a file that cannot be read, that hides others or goes
 * untold. One record is held at a time.
 */
import { join } from 'node:path'
import { ClsConsumerError } from '../errors.ts'
import type { Files } from '../world.ts'
import { FILE_SUFFIX } from './dead-letter-file.ts'
import { decodeRecord, RECORD_BYTES_MAX, type StoredLetter } from './dead-letter-record.ts'
import { type Extent, type Piece, RecordScanner } from './dead-letter-scan.ts'

export type FoundLetter = Extent & { readonly kind: 'letter'; readonly letter: StoredLetter }
/** What cannot be read of a file. */
export type Damage = Extent & { readonly kind: 'damage'; readonly what: string }
/** With the name of its file in the directory. */
export type Found = (FoundLetter | Damage) & { readonly file: string }

/**
 * Ends early once `stop` aborts.
 * @throws ClsConsumerError FILE_UNREADABLE where the directory cannot be listed.
 */
export async function* readDeadLetters(
  files: Pick<Files, 'list' | 'read'>,
  directory: string,
  stop: AbortSignal,
  recordBytesMax = RECORD_BYTES_MAX
): AsyncGenerator<Found, void, undefined> {
  for (const file of await letterFiles(files, directory)) {
    const pieces = piecesOf(files.read(join(directory, file)), recordBytesMax, stop)
    for await (const found of judge(pieces)) {
      if (stop.aborted) return
      yield { ...found, file }
    }
  }
}

/** By name, which is by time. */
async function letterFiles(files: Pick<Files, 'list'>, directory: string): Promise<string[]> {
  try {
    const names = await files.list(directory)
    return names.filter(name => name.endsWith(FILE_SUFFIX)).sort()
  } catch (cause) {
    const message = `the directory of dead letters cannot be read: ${wordsOf(cause)}: name the one that a consumer writes to`
    throw new ClsConsumerError('FILE_UNREADABLE', message, { file: directory, cause })
  }
}

/** As the scanner finds them, or what keeps the rest of the file from being read. */
type ReadPiece = Piece | (Extent & { readonly kind: 'unreadable'; readonly why: string })

async function* piecesOf(
  chunks: AsyncIterable<Uint8Array>,
  recordBytesMax: number,
  stop: AbortSignal
): AsyncGenerator<ReadPiece, void, undefined> {
  const scanner = new RecordScanner(recordBytesMax)
  let why: string | undefined
  try {
    for await (const chunk of chunks) {
      // Not the scanner's end: what was not read yet is not missing.
      if (stop.aborted) return
      yield* scanner.push(chunk)
    }
  } catch (error) {
    why = `the file cannot be read: ${wordsOf(error)}`
  }
  yield* scanner.end()
  if (why !== undefined) yield { kind: 'unreadable', why, ...scanner.position, byteCount: 0 }
}

/** What follows a damaged record and begins with no marker is most likely its rest: one damage, not two. */
async function* judge(pieces: AsyncIterable<ReadPiece>): AsyncGenerator<FoundLetter | Damage, void, undefined> {
  let damage: Damage | undefined
  for await (const piece of pieces) {
    if (piece.kind === 'stray') {
      damage = damage === undefined ? damaged(piece, 'these bytes belong to no record') : prolonged(damage, piece)
      continue
    }
    if (damage !== undefined) yield damage
    damage = undefined
    const found = judgeOne(piece)
    if (found.kind === 'letter') yield found
    else damage = found
  }
  if (damage !== undefined) yield damage
}

function judgeOne(piece: Exclude<ReadPiece, { readonly kind: 'stray' }>): FoundLetter | Damage {
  switch (piece.kind) {
    case 'unreadable':
      return damaged(piece, piece.why)
    case 'too-long':
      return damaged(piece, 'it goes on for longer than any record')
    case 'record': {
      const reading = decodeRecord(piece.bytes)
      if (reading.kind === 'damage') return damaged(piece, reading.what)
      return { ...reading, ...extentOf(piece) }
    }
  }
}

function damaged(piece: Extent, what: string): Damage {
  return { kind: 'damage', what, ...extentOf(piece) }
}

function prolonged(damage: Damage, { bytePosition, byteCount }: Extent): Damage {
  return { ...damage, byteCount: bytePosition + byteCount - damage.bytePosition }
}

function extentOf({ line, bytePosition, byteCount }: Extent): Extent {
  return { line, bytePosition, byteCount }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/**
 * The dead letters that a run has written.
 *
 * In: their directory. Out: each letter with its id, in the order of writing; the ids of the logs in its bytes. Must never
 * happen: a directory with damage in it read as a sound one.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { decodeLogGroup, MESSAGE_HEADER_BYTES } from '../../../src/cls/log-group.ts'
import { letterId } from '../../../src/failure/dead-letter.ts'
import { readDeadLetters } from '../../../src/failure/dead-letter-reader.ts'
import type { StoredLetter } from '../../../src/failure/dead-letter-record.ts'
import { realFiles } from '../../../src/real-world.ts'

export type Letter = StoredLetter & { readonly id: string }

/** None where there is no directory yet. */
export async function readLetters(directory: string): Promise<Letter[]> {
  if (!existsSync(directory)) return []
  const letters: Letter[] = []
  for await (const found of readDeadLetters(realFiles, directory, new AbortController().signal)) {
    assert.ok(found.kind === 'letter', `${found.file}:${found.line} is damaged`)
    letters.push({ ...found.letter, id: letterId(found.letter) })
  }
  return letters
}

/** Of a message that decodes, of a group, or of a log. */
export function logIdsOf({ kind, readRaw }: Letter): string[] {
  const bytes = kind === 'message' ? payloadOf(readRaw()) : readRaw()
  return decodeLogGroup(bytes).logs.map(({ contents }) => contents.find(({ key }) => key === 'id')?.value ?? '')
}

/** A message in a letter is its JSON. */
function payloadOf(raw: Buffer): Buffer {
  const text: unknown = JSON.parse(raw.toString())
  assert.ok(typeof text === 'string')
  return payloadIn(text)
}

/** Of a message as it stands in a response. */
export function payloadIn(text: string): Buffer {
  return Buffer.from(text, 'base64').subarray(MESSAGE_HEADER_BYTES)
}

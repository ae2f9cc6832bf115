/** Letters for tests, and the reading of them back. */
import fc from 'fast-check'
import type { DeadLetter, LetterContent } from '../../src/failure/dead-letter.ts'
import { type Found, readDeadLetters } from '../../src/failure/dead-letter-reader.ts'
import type { StoredLetter } from '../../src/failure/dead-letter-record.ts'
import type { Files } from '../../src/world.ts'

const never = new AbortController()

export function letter(
  messageIndex: number,
  raw = `"message ${messageIndex}"`
): DeadLetter & { readonly kind: 'message' } {
  return {
    kind: 'message',
    topicId: 'topic-a',
    partition: 3,
    startOffset: 2n ** 60n,
    nextOffset: 2n ** 60n + 100n,
    messageIndex,
    attempt: 5,
    reason: 'it is no good',
    error: undefined,
    raw: Buffer.from(raw)
  }
}

const index = fc.nat({ max: 10_000 })
const content: fc.Arbitrary<LetterContent> = fc.oneof(
  fc.record({ kind: fc.constant('body' as const), compression: fc.constantFrom('snappy', 'lz4', 'none') }),
  fc.record({ kind: fc.constantFrom('message' as const, 'group' as const), messageIndex: index }),
  fc.record({ kind: fc.constant('log' as const), messageIndex: index, logIndex: index })
)
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
/** Also halves of surrogate pairs, line feeds and what looks like the beginning of a record. */
const words = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('{"deadLetter":1,', '\ud800', '"\\\n', '","crc32":"00000000"}', ',"raw":"')
)

/** Whatever a letter may be. */
export const LETTERS: fc.Arbitrary<DeadLetter> = fc
  .record({
    content,
    topicId: words,
    partition: index,
    startOffset: int64,
    nextOffset: fc.option(int64, { nil: undefined }),
    attempt: fc.integer({ min: 1, max: 100 }),
    reason: words,
    error: fc.option(
      fc.record(
        { code: fc.constantFrom('PROCESSOR_FAILED', 'MESSAGE_CORRUPT'), message: words, stack: words },
        { noNullPrototype: true }
      ),
      { nil: undefined }
    ),
    raw: fc.uint8Array({ maxLength: 60 })
  })
  .map(({ content, ...rest }) => ({ ...content, ...rest }))

/** Without what the writer added, so that it can be compared with what was given to it. */
export function given({
  timeMs: _,
  group: __,
  consumer: ___,
  rawBytes: ____,
  readRaw,
  ...head
}: StoredLetter): unknown {
  return { ...head, raw: readRaw() }
}

export async function readAll(
  files: Pick<Files, 'list' | 'read'>,
  directory: string,
  recordBytesMax?: number
): Promise<Found[]> {
  const all: Found[] = []
  for await (const found of readDeadLetters(files, directory, never.signal, recordBytesMax)) all.push(found)
  return all
}

export function lettersOf(found: readonly Found[]): StoredLetter[] {
  return found.flatMap(one => (one.kind === 'letter' ? [one.letter] : []))
}

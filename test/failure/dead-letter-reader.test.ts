/** Whatever happened to the files, what is whole is read and what is not is told. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { DeadLetter } from '../../src/failure/dead-letter.ts'
import { type Found, readDeadLetters } from '../../src/failure/dead-letter-reader.ts'
import { encodeRecord, MARKER } from '../../src/failure/dead-letter-record.ts'
import { systemError } from '../support/fake-files.ts'
import { given, LETTERS, letter, lettersOf, readAll } from './letters.ts'

const DIRECTORY = '/dead'
const STAMP = { timeMs: 1_790_000_000_123, group: 'g', consumer: 'c' }

/** Files by their names; read in small chunks, of one memory. */
function holding(files: Readonly<Record<string, Buffer>>, chunkBytes = 50) {
  const chunk = Buffer.alloc(chunkBytes)
  return {
    list: async () => Object.keys(files),
    async *read(path: string): AsyncGenerator<Uint8Array, void, undefined> {
      const [, bytes] = Object.entries(files).find(([name]) => join(DIRECTORY, name) === path) ?? assert.fail(path)
      for (let from = 0; from < bytes.length; from += chunk.length) {
        yield chunk.subarray(0, bytes.copy(chunk, 0, from, Math.min(bytes.length, from + chunk.length)))
      }
    }
  }
}

const line = (of: DeadLetter): Buffer => encodeRecord(of, STAMP)

/** What stands in a file, and whether it is as it was written. */
interface Part {
  readonly bytes: Buffer
  readonly letter: DeadLetter | undefined
}

const ratio = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const part: fc.Arbitrary<Part> = fc.oneof(
  { weight: 4, arbitrary: LETTERS.map(letter => ({ bytes: line(letter), letter })) },
  // A write that was cut off, before the record's last character: the next writer begins right behind it.
  {
    weight: 1,
    arbitrary: fc.tuple(LETTERS, ratio).map(([letter, at]) => {
      const whole = line(letter)
      return { bytes: whole.subarray(0, 1 + Math.floor(at * (whole.length - 3))), letter: undefined }
    })
  },
  // A bit that fell over, the line feed's too.
  {
    weight: 2,
    arbitrary: fc.tuple(LETTERS, ratio, fc.nat({ max: 7 })).map(([letter, at, bit]) => {
      const bytes = line(letter)
      const position = Math.floor(at * bytes.length)
      bytes[position] = (bytes[position] ?? 0) ^ (1 << bit)
      return { bytes, letter: undefined }
    })
  },
  // Bytes that went missing within a record.
  {
    weight: 1,
    arbitrary: fc.tuple(LETTERS, ratio, ratio).map(([letter, at, share]) => {
      const whole = line(letter)
      // Not its first: with a cut-off first byte before it, that would be the whole record.
      const from = 1 + Math.floor(at * (whole.length - 2))
      const to = from + 1 + Math.floor(share * (whole.length - 1 - from))
      return { bytes: Buffer.concat([whole.subarray(0, from), whole.subarray(to)]), letter: undefined }
    })
  },
  // What a file system puts where it had nothing yet.
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 300 }).map(count => ({ bytes: Buffer.alloc(count), letter: undefined }))
  }
)

test('every whole record is read, and every damage told where it is, whatever stands between', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 8 }), async parts => {
      const found = await readAll(
        holding({ 'a.dead.ndjson': Buffer.concat(parts.map(({ bytes }) => bytes)) }),
        DIRECTORY
      )
      assert.deepEqual(lettersOf(found).map(given), wholeOf(parts))
      assertDamageIsTold(found, parts)
    }),
    { numRuns: 500 }
  )
})

function wholeOf(parts: readonly Part[]): unknown[] {
  return parts.flatMap(({ letter }) => (letter === undefined ? [] : [{ ...letter, raw: Buffer.from(letter.raw) }]))
}

function assertDamageIsTold(found: readonly Found[], parts: readonly Part[]): void {
  const damages = found.filter(({ kind }) => kind === 'damage')
  let at = 0
  const damaged = parts.flatMap(({ bytes, letter }) => {
    const extent = { from: at, to: at + bytes.length }
    at = extent.to
    return letter === undefined ? [extent] : []
  })
  for (const { from, to } of damaged) {
    const isTold = damages.some(({ bytePosition, byteCount }) => bytePosition < to && bytePosition + byteCount > from)
    assert.ok(isTold, `nothing is told of bytes ${from} to ${to}`)
  }
  for (const { bytePosition, byteCount } of damages) {
    const isTrue = damaged.some(({ from, to }) => bytePosition < to && bytePosition + byteCount > from)
    assert.ok(isTrue, `nothing is wrong at ${bytePosition}`)
  }
}

test('a file cut off anywhere gives what stood before the cut', async () => {
  const letters = [letter(0), letter(1, ''), letter(2)]
  const lines = letters.map(line)
  const whole = Buffer.concat(lines)
  const ends = lines.map((_, index) => lines.slice(0, index + 1).reduce((sum, { length }) => sum + length, 0))
  for (let end = 0; end <= whole.length; end++) {
    const found = await readAll(holding({ 'a.dead.ndjson': whole.subarray(0, end) }), DIRECTORY)
    // The line feed is not missed.
    const count = ends.filter(own => end >= own - 1).length
    assert.equal(lettersOf(found).length, count, `cut at ${end}`)
    const isBetween = end === 0 || ends.some(own => end === own || end === own - 1)
    assert.equal(found.length - count, isBetween ? 0 : 1, `cut at ${end}`)
  }
})

test('a damage is told with its file, its line, its bytes and what it is', async () => {
  const changed = line(letter(1))
  changed[30] = 0x0a // splits it: still one damage
  const bytes = Buffer.concat([line(letter(0)), changed, line(letter(2)), line(letter(3)).subarray(0, 40)])
  const found = await readAll(
    holding({ 'b.dead.ndjson': bytes, 'a.dead.ndjson': Buffer.from('#!'), 'notes.txt': bytes }),
    DIRECTORY
  )
  const at = line(letter(0)).length
  assert.deepEqual(
    found.map(one => [
      one.file,
      one.line,
      one.bytePosition,
      one.byteCount,
      one.kind === 'letter' ? '' : one.what.split(':')[0]
    ]),
    [
      ['a.dead.ndjson', 1, 0, 2, 'these bytes belong to no record'],
      ['b.dead.ndjson', 1, 0, at - 1, ''],
      ['b.dead.ndjson', 2, at, changed.length - 1, 'it breaks off'],
      ['b.dead.ndjson', 4, at + changed.length, line(letter(2)).length - 1, ''],
      ['b.dead.ndjson', 5, bytes.length - 40, 40, 'it breaks off']
    ]
  )
})

test('I8: a record past the limit is told, and the next one read', async () => {
  const bytes = Buffer.concat([line(letter(0, 'x'.repeat(2000))), line(letter(1))])
  const found = await readAll(holding({ 'a.dead.ndjson': bytes }), DIRECTORY, 1000)
  assert.deepEqual(
    found.map(one => (one.kind === 'letter' ? one.letter.kind : one.what)),
    ['it goes on for longer than any record', 'message']
  )
})

test('a file that cannot be read, or not to its end, does not keep the others from being read', async () => {
  const files = holding({
    'a.dead.ndjson': Buffer.alloc(0),
    'b.dead.ndjson': line(letter(1)),
    'c.dead.ndjson': line(letter(2))
  })
  const failing = {
    ...files,
    async *read(path: string): AsyncGenerator<Uint8Array, void, undefined> {
      if (path.endsWith('a.dead.ndjson')) throw systemError('EACCES')
      yield* files.read(path)
      if (path.endsWith('b.dead.ndjson')) {
        yield MARKER
        throw systemError('EIO')
      }
    }
  }
  const found = await readAll(failing, DIRECTORY)
  assert.deepEqual(
    found.map(one => `${one.file[0]} ${one.line} ${one.kind === 'letter' ? 'letter' : one.what}`.split(':')[0]),
    ['a 1 the file cannot be read', 'b 1 letter', 'b 2 it breaks off', 'b 2 the file cannot be read', 'c 1 letter']
  )
  assert.match(
    JSON.stringify(found[0], (_, value) => (typeof value === 'bigint' ? '' : value)),
    /EACCES/
  )
})

test('a directory that is not there is an error that names it', async () => {
  const files = { ...holding({}), list: () => Promise.reject(systemError('ENOENT')) }
  await assert.rejects(readAll(files, '/nowhere'), { code: 'FILE_UNREADABLE', message: /ENOENT.*\/nowhere/ })
})

test('a stop ends the reading at once, without a damage that is none', async () => {
  const bytes = Buffer.concat([line(letter(1)), line(letter(2)), line(letter(3))])
  for (const chunkBytes of [50, bytes.length]) {
    const stop = new AbortController()
    const found: Found[] = []
    const files = holding({ 'a.dead.ndjson': bytes, 'b.dead.ndjson': bytes }, chunkBytes)
    for await (const one of readDeadLetters(files, DIRECTORY, stop.signal)) {
      found.push(one)
      stop.abort()
    }
    assert.deepEqual(
      found.map(({ kind }) => kind),
      ['letter']
    )
  }
})

test('a stop ends the reading also where there is nothing to find', async () => {
  const stop = new AbortController()
  let chunkCount = 0
  const files = {
    list: async () => ['a.dead.ndjson'],
    async *read(): AsyncGenerator<Uint8Array, void, undefined> {
      for (; chunkCount < 100; chunkCount++) {
        yield Buffer.alloc(10)
        stop.abort()
      }
    }
  }
  for await (const one of readDeadLetters(files, DIRECTORY, stop.signal)) assert.fail(one.kind)
  assert.equal(chunkCount, 1)
})

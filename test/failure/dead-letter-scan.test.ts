/** The records of a file are found whatever happened to it, in whatever chunks it comes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MARKER } from '../../src/failure/dead-letter-record.ts'
import { type Piece, RecordScanner } from '../../src/failure/dead-letter-scan.ts'

const RECORD_BYTES_MAX = 60

function scan(chunks: readonly Uint8Array[], recordBytesMax = RECORD_BYTES_MAX): Piece[] {
  const scanner = new RecordScanner(recordBytesMax)
  const pieces: Piece[] = []
  for (const chunk of chunks) {
    pieces.push(...scanner.push(chunk))
    chunk.fill(0x58) // its memory is used again
    assert.ok(scanner.heldBytes <= recordBytesMax + MARKER.length, `${scanner.heldBytes} bytes are held`)
  }
  return [...pieces, ...scanner.end()]
}

function cut(bytes: Buffer, at: readonly number[]): Uint8Array[] {
  const ends = [...at.map(position => position % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return ends.map((end, index) => Uint8Array.from(bytes.subarray(ends[index - 1] ?? 0, end)))
}

/** Each kind of piece as its text. */
function shown(pieces: readonly Piece[]): string[] {
  return pieces.map(
    piece =>
      `${piece.line}@${piece.bytePosition} ${piece.kind === 'record' ? piece.bytes : `${piece.kind} ${piece.byteCount}`}`
  )
}

const R = MARKER.toString()

test('pieces begin at markers and behind line feeds, and empty lines are none', () => {
  const text = `${R}1\n\n\n${R}2${R}3\nstray\n\0\0\0${R}4`
  assert.deepEqual(shown(scan([Buffer.from(text)])), [
    `1@0 ${R}1`,
    `4@18 ${R}2`,
    `4@33 ${R}3`,
    '5@49 stray 5',
    '6@55 stray 3',
    `6@58 ${R}4`
  ])
})

/** Whole records, beginnings of markers, zeros, line feeds: in any order. */
const text = fc
  .array(fc.oneof(fc.constantFrom(R, '\n', '\0', '{"dead', `${R}1}\n`, 'x'.repeat(61)), fc.string({ maxLength: 5 })), {
    maxLength: 12
  })
  .map(parts => Buffer.from(parts.join('')))

test('where chunks are cut makes no difference, and never is more held than a record may have', () => {
  fc.assert(
    fc.property(text, fc.array(fc.nat({ max: 1000 }), { maxLength: 8 }), (bytes, at) => {
      assert.deepEqual(scan(cut(bytes, at)), scan([Uint8Array.from(bytes)]))
    }),
    { numRuns: 500 }
  )
})

test('pieces and the line feeds between them are all of the file', () => {
  fc.assert(
    fc.property(text, bytes => {
      let [at, line] = [0, 1]
      for (const piece of scan([Uint8Array.from(bytes)])) {
        for (; at < piece.bytePosition; at++, line++) assert.equal(bytes[at], 0x0a)
        assert.deepEqual([piece.bytePosition, piece.line], [at, line])
        const own = bytes.subarray(at, at + piece.byteCount)
        assert.equal(own.indexOf(0x0a), -1)
        assert.equal(own.indexOf(MARKER), piece.kind === 'stray' ? -1 : 0)
        assert.equal(own.indexOf(MARKER, 1), -1)
        if (piece.kind === 'record') assert.deepEqual(piece.bytes, own)
        assert.equal(
          piece.kind === 'record' || piece.kind === 'stray',
          piece.kind === 'stray' || own.length <= RECORD_BYTES_MAX
        )
        at += piece.byteCount
      }
      for (; at < bytes.length; at++) assert.equal(bytes[at], 0x0a)
    }),
    { numRuns: 500 }
  )
})

test('I8: what goes on past the limit of a record is counted, not held, and hides nothing behind it', () => {
  const chunks = Array.from({ length: 1000 }, () => Buffer.alloc(1000, 'a'))
  const pieces = scan([Buffer.from(R), ...chunks, Buffer.from(`\n${R}1\n`)])
  assert.deepEqual(shown(pieces), [`1@0 too-long ${R.length + 1_000_000}`, `2@${R.length + 1_000_001} ${R}1`])
})

test('megabytes of line feeds, or of markers, take no more than linear time', { timeout: 20_000 }, () => {
  // Looking for the other boundary anew at each of them would be 10^13 steps.
  assert.equal(scan([Buffer.alloc(4_000_000, '\n')]).length, 0)
  assert.equal(scan([Buffer.from(R.repeat(70_000))]).length, 70_000)
})

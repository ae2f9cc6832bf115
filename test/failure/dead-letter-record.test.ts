/** A dead letter as a line of a file, and back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { type DeadLetter, letterId } from '../../src/failure/dead-letter.ts'
import { decodeRecord, encodeRecord, MARKER, RECORD_BYTES_MAX } from '../../src/failure/dead-letter-record.ts'
import { given, LETTERS, letter } from './letters.ts'

const STAMP = { timeMs: 1_790_000_000_123, group: 'g', consumer: 'c-1' }

function encoded(of: DeadLetter): Buffer {
  return encodeRecord(of, STAMP).subarray(0, -1)
}

test('I10: whatever a letter holds comes back exactly: bytes, int64 offsets, texts of any kind', () => {
  fc.assert(
    fc.property(LETTERS, fc.nat({ max: 4e12 }), (sent, timeMs) => {
      const reading = decodeRecord(encodeRecord(sent, { ...STAMP, timeMs }).subarray(0, -1))
      if (reading.kind === 'damage') assert.fail(reading.what)
      const { letter } = reading
      assert.deepEqual(given(letter), { ...sent, raw: Buffer.from(sent.raw) })
      assert.deepEqual([letter.timeMs, letter.group, letter.consumer], [timeMs, 'g', 'c-1'])
      assert.equal(letter.rawBytes, sent.raw.length)
    })
  )
})

test('a record is one line of JSON, with the marker at its beginning and nowhere else', () => {
  fc.assert(
    fc.property(LETTERS, sent => {
      const line = encodeRecord(sent, STAMP)
      assert.equal(line.indexOf(0x0a), line.length - 1)
      assert.deepEqual([line.indexOf(MARKER), line.lastIndexOf(MARKER)], [0, 0])
      assert.equal(JSON.parse(line.toString()).startOffset, String(sent.startOffset))
    })
  )
})

test('no bit of a record can change without being noticed', () => {
  const whole = encoded(letter(1, 'abc'))
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const changed = Buffer.from(whole)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(decodeRecord(changed).kind, 'damage', `bit ${bit}`)
  }
  for (let end = 0; end < whole.length; end++) assert.equal(decodeRecord(whole.subarray(0, end)).kind, 'damage')
})

test('a damage says whether a record breaks off or was changed', () => {
  const whole = encoded(letter(1))
  const reading = (bytes: Buffer) => decodeRecord(bytes)
  assert.match(JSON.stringify(reading(whole.subarray(0, 100))), /breaks off/)
  const changed = Buffer.from(whole)
  changed[20] = 0x21
  const sum = whole.toString('latin1', whole.length - 10, whole.length - 2)
  assert.match(JSON.stringify(reading(changed)), new RegExp(`checksum does not match: .*${sum}.* is written`))
})

test('bytes in memory that threads share are written as they are', () => {
  const raw = new Uint8Array(new SharedArrayBuffer(8), 2, 3)
  raw.set([1, 2, 255])
  const reading = decodeRecord(encoded({ ...letter(1), raw }))
  assert.deepEqual(reading.kind === 'letter' && [...reading.letter.readRaw()], [1, 2, 255])
})

test('I8: reason, message and stack are cut, so that a record with the largest bytes is within its limit', () => {
  const long = '\0'.repeat(1_000_000)
  const line = encodeRecord(
    {
      ...letter(1),
      reason: long,
      error: { code: 'PROCESSOR_FAILED', message: long, stack: long },
      raw: Buffer.alloc(0)
    },
    STAMP
  )
  assert.ok(line.length < 2 * 1024 * 1024, `${line.length}`)
  assert.ok(RECORD_BYTES_MAX < 2 ** 29 - 24, 'a string can hold it')
  assert.equal(decodeRecord(line.subarray(0, -1)).kind, 'letter')
})

/** A record as nobody wrote it, with the checksum that belongs to it. */
function sealed(head: string, last = 'raw'): Buffer {
  const text = `${head},"${last}":"QUJD`
  return Buffer.from(`${text}","crc32":"${crc32(text).toString(16).padStart(8, '0')}"}`)
}

test('a later version is told from damage, and another form with a right checksum is no letter', () => {
  const form = encoded(letter(1)).toString().split(',"raw"')[0] ?? ''
  assert.equal(decodeRecord(sealed(form)).kind, 'letter')
  assert.match(JSON.stringify(decodeRecord(sealed(form.replace('"deadLetter":1', '"deadLetter":2')))), /version 2/)
  assert.match(JSON.stringify(decodeRecord(sealed(form, 'row'))), /not the form/)
  for (const [from, to] of [
    ['"kind":"message"', '"kind":"other"'],
    ['"messageIndex":1', '"messageIndex":-1'],
    ['"partition":3', '"partition":"3"'],
    ['"startOffset":"1152921504606846976"', '"startOffset":"9223372036854775808"'],
    ['"time":"2026', '"time":"year 2026'],
    ['"attempt":5', '"attempt":0.5'],
    ['"group":"g"', '"group":7']
  ] as const) {
    assert.ok(form.includes(from), from)
    assert.match(JSON.stringify(decodeRecord(sealed(form.replace(from, to)))), /not the form/, to)
  }
})

test('what has a right checksum and no sense is told, never thrown', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), head => {
      assert.equal(decodeRecord(sealed(head)).kind, 'damage')
      const bare = Buffer.from(head)
      const tail = Buffer.from(`","crc32":"${crc32(bare).toString(16).padStart(8, '0')}"}`)
      assert.equal(decodeRecord(Buffer.concat([bare, tail])).kind, 'damage')
    })
  )
})

test('an id has as many parts as the letter is about, and repeats have the same', () => {
  const place = { topicId: 't', partition: 1, startOffset: 2n ** 62n }
  assert.equal(letterId({ ...place, kind: 'body', compression: 'lz4' }), `t/1/${2n ** 62n}`)
  assert.equal(letterId({ ...place, kind: 'message', messageIndex: 4 }), `t/1/${2n ** 62n}/4`)
  assert.equal(letterId({ ...place, kind: 'group', messageIndex: 4 }), `t/1/${2n ** 62n}/4`)
  assert.equal(letterId({ ...place, kind: 'log', messageIndex: 4, logIndex: 0 }), `t/1/${2n ** 62n}/4/0`)
  assert.equal(letterId(letter(7, 'one')), letterId(letter(7, 'two')))
})

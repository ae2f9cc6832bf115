import assert from 'node:assert/strict'
import { test } from 'node:test'
import { END_FLAG } from '../../workers/kernel/memory.ts'
import { equalsText, startsWithText } from '../../workers/text-match.ts'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const IN_FRONT = 3

/** Bytes of values: ASCII, other characters, and what is not valid in every way it can be. */
const VALUES = [
  ...['', '5', '50', '500', '5000', 'Status', 'status', 'a\0b', '茶', '茶叶', '茶a', 'a茶', 'é', 'e\u0301'],
  ...[
    '😀',
    '😀😀',
    '\ufeff',
    '\ufeffa',
    '\ufffd',
    'a\ufffd',
    '\ufffda',
    '\ufffd\ufffd',
    '\u007f',
    '\u0080',
    'a'.repeat(2000)
  ]
].map(text => Buffer.from(text))
const BROKEN = [
  'ff',
  '61ff',
  'ff61',
  'ffff',
  'e8',
  'e88c',
  '61e88c',
  'f09f98',
  'f09f9880f09f98',
  'c080',
  'eda0bd',
  'efbbbf61'
].map(hex => Buffer.from(hex, 'hex'))
/** What programs may ask for, half characters among it. */
const ASKED = [
  // With what stands behind each value.
  ...[...VALUES, ...BROKEN].map(bytes => `${decoder.decode(bytes)}0`),
  // Of the same low bytes.
  ...['\u0135', '5\u0130', '5\u0130\u0130'],
  ...[...VALUES, ...BROKEN].map(bytes => decoder.decode(bytes)),
  ...[
    '\ud83d',
    '\ude00',
    '\ud83d\ufffd',
    '😀\ud83d',
    'a\ud83d',
    '\u8336\ud800',
    'ÿ',
    'aÿ',
    'a'.repeat(2001),
    '茶'.repeat(500)
  ]
]

function place(value: Buffer): { readonly bytes: Buffer; readonly start: number; readonly end: number } {
  // Between bytes that would go on with it.
  const bytes = Buffer.concat([Buffer.alloc(IN_FRONT, '5'), value, Buffer.from('0\ufffd茶')])
  const end = IN_FRONT + value.length
  const flag = value.some(byte => byte > 127) ? END_FLAG : 0
  return { bytes, start: IN_FRONT, end: end | flag }
}

test('bytes equal and begin with exactly the texts that their string equals and begins with', () => {
  for (const value of [...VALUES, ...BROKEN]) {
    const { bytes, start, end } = place(value)
    const string = decoder.decode(value)
    for (const text of ASKED) {
      const what = `${JSON.stringify(string.slice(0, 20))}, ${JSON.stringify(text.slice(0, 20))}`
      assert.equal(equalsText(bytes, start, end, text), string === text, what)
      assert.equal(startsWithText(bytes, start, end, text), string.startsWith(text), what)
    }
  }
})

test('however many texts are asked for, the answers stay right', () => {
  const { bytes, start, end } = place(Buffer.from('茶500'))
  for (let count = 0; count < 1000; count++) {
    assert.equal(equalsText(bytes, start, end, `茶${count}`), count === 500)
    assert.equal(startsWithText(bytes, start, end, `茶${count}`), [5, 50, 500].includes(count))
  }
})

test('no string is made but for a text with U+FFFD or half a character, which bytes cannot stand for', () => {
  const isUsual = (text: string): boolean => !Buffer.from(text).includes('\ufffd')
  for (const value of [...VALUES, ...BROKEN]) {
    const { bytes, start, end } = place(value)
    bytes.toString = () => assert.fail('a string was made')
    for (const text of ASKED.filter(isUsual)) {
      equalsText(bytes, start, end, text)
      startsWithText(bytes, start, end, text)
    }
    if (end < 0) assert.throws(() => equalsText(bytes, start, end, '\ufffd'), /a string was made/)
    else assert.equal(equalsText(bytes, start, end, '\ufffd'), false)
  }
})

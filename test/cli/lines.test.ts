/** Lines of a file, however its bytes are cut. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readLines, splitLines } from '../../src/cli/lines.ts'
import { ClsConsumerError } from '../../src/errors.ts'

const TIMEOUT = { timeout: 10_000 }

async function split(chunks: readonly Uint8Array[], lineBytesMax = 100): Promise<string[]> {
  async function* source() {
    yield* chunks
  }
  const lines: string[] = []
  for await (const line of splitLines(source(), 'f', lineBytesMax)) lines.push(line.text)
  return lines
}

test('lines are the same wherever chunks are cut, also inside a character', TIMEOUT, async () => {
  const text = 'first\r\n\n第二行\nthird, no end'
  const bytes = Buffer.from(text)
  for (let size = 1; size <= bytes.length; size++) {
    const chunks = []
    for (let from = 0; from < bytes.length; from += size) chunks.push(bytes.subarray(from, from + size))
    assert.deepEqual(await split(chunks), ['first', '第二行', 'third, no end'], `chunks of ${size}`)
  }
})

test('lines have the numbers that an editor shows: empty ones count, and are left out', TIMEOUT, async () => {
  async function* source() {
    yield Buffer.from('\none\n\r\n\ntwo\r\nthree')
  }
  const numbers: [number, string][] = []
  for await (const { number, text } of splitLines(source(), 'f', 100)) numbers.push([number, text])
  assert.deepEqual(numbers, [
    [2, 'one'],
    [5, 'two'],
    [6, 'three']
  ])
})

test('a byte order mark is taken from the start of the file, and from nowhere else', TIMEOUT, async () => {
  assert.deepEqual(await split([Buffer.from('\ufeffone\n\ufefftwo\n')]), ['one', '\ufefftwo'])
})

test('bytes that are not UTF-8 become U+FFFD, and the line is kept', TIMEOUT, async () => {
  assert.deepEqual(await split([Buffer.from([0x61, 0xff, 0x62, 0x0a])]), ['a\ufffdb'])
})

test('no input has no lines', TIMEOUT, async () => {
  assert.deepEqual(await split([]), [])
  assert.deepEqual(await split([Buffer.from('\n\n')]), [])
})

test('a line over the limit is an error that names file and line, before it is held whole', TIMEOUT, async () => {
  let pulled = 0
  async function* endless() {
    yield Buffer.from('ok\n')
    for (;;) {
      pulled++
      yield Buffer.alloc(40, 0x61)
    }
  }
  const read = async () => {
    for await (const line of splitLines(endless(), 'big.log', 100)) assert.deepEqual(line, { number: 1, text: 'ok' })
  }
  await assert.rejects(read(), error => {
    assert.ok(error instanceof ClsConsumerError)
    assert.equal(error.code, 'FILE_UNREADABLE')
    assert.match(error.message, /line 2 is longer than 100 bytes.*big\.log/)
    return true
  })
  assert.equal(pulled, 3)
  const long = 'a'.repeat(100)
  assert.deepEqual(await split([Buffer.from(`${long}\n${long}\n${long}`)]), [long, long, long])
})

test('a file that is not there is FILE_UNREADABLE with its path', TIMEOUT, async () => {
  const read = async () => {
    for await (const _ of readLines('/no/such/file.log', new AbortController().signal, 100)) assert.fail('a line')
  }
  await assert.rejects(read(), { code: 'FILE_UNREADABLE', place: { file: '/no/such/file.log' } })
})

test('reading ends quietly once stopped', TIMEOUT, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cls-lines-'))
  try {
    const path = join(folder, 'many.log')
    await writeFile(path, 'a line of some length\n'.repeat(50_000))
    const controller = new AbortController()
    let count = 0
    for await (const _ of readLines(path, controller.signal, 100)) if (++count === 10) controller.abort()
    assert.ok(count >= 10 && count < 50_000, `${count} lines`)
  } finally {
    await rm(folder, { recursive: true })
  }
})

/** Dead letters on the disk of this host. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { letterId } from '../../src/failure/dead-letter.ts'
import { DeadLetterWriter } from '../../src/failure/dead-letter-writer.ts'
import { realClock, realFiles, realRandom } from '../../src/real-world.ts'
import { letter, lettersOf, readAll } from './letters.ts'

const BOUNDED = { timeout: 30_000 }
const WORLD = { files: realFiles, clock: realClock, random: realRandom }

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cls-consumer-letters-'))
})

afterEach(() => {
  chmodSync(folder, 0o700)
  rmSync(folder, { recursive: true })
})

function writerIn(directory: string): DeadLetterWriter {
  return new DeadLetterWriter({ directory, group: 'g', consumer: 'c', deadLetterFileBytesMax: 5000 }, WORLD)
}

test('writers that share a directory share no file, and every letter of all is there', BOUNDED, async () => {
  const directory = join(folder, 'new/dead')
  const writers = Array.from({ length: 4 }, () => writerIn(directory))
  await Promise.all(writers.map(writer => writer.prepare()))
  assert.deepEqual(readdirSync(directory), [])
  await Promise.all(
    writers.map(async (writer, own) => {
      for (let turn = 0; turn < 20; turn++) {
        await Promise.all([0, 1].map(half => writer.append([letter(own * 1000 + turn * 2 + half)])))
      }
      await writer.close()
    })
  )
  const found = await readAll(realFiles, directory)
  const writersOf = new Map<string, Set<number>>()
  for (const one of found) {
    if (one.kind === 'damage' || one.letter.kind !== 'message') assert.fail(`${one.kind} in ${one.file}`)
    const owners = writersOf.get(one.file) ?? new Set()
    writersOf.set(one.file, owners.add(Math.floor(one.letter.messageIndex / 1000)))
  }
  assert.equal(found.length, 160)
  assert.equal(new Set(lettersOf(found).map(letterId)).size, 160)
  assert.ok(writersOf.size > 4, 'files were full')
  for (const owners of writersOf.values()) assert.equal(owners.size, 1)
})

test('what stands in the way of the directory is told', BOUNDED, async () => {
  writeFileSync(join(folder, 'file'), '')
  for (const directory of [join(folder, 'file'), join(folder, 'file/dead')]) {
    const expected = { code: 'DEAD_LETTER_DIRECTORY', message: /no directory: name another/ }
    await assert.rejects(writerIn(directory).prepare(), expected)
    await assert.rejects(writerIn(directory).append([letter(1)]), expected)
  }
})

test('a directory that this user may not write to is told', {
  ...BOUNDED,
  skip: process.getuid?.() === 0 ? 'root may write anywhere' : false
}, async () => {
  chmodSync(folder, 0o500)
  const expected = { code: 'DEAD_LETTER_DIRECTORY', message: /may not write there/ }
  await assert.rejects(writerIn(folder).append([letter(1)]), expected)
})

/** What was acknowledged is on disk, whatever fails, and whoever else writes there. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { DeadLetter } from '../../src/failure/dead-letter.ts'
import { RAW_BYTES_MAX } from '../../src/failure/dead-letter-record.ts'
import { DeadLetterWriter } from '../../src/failure/dead-letter-writer.ts'
import { FakeFiles, type Fault, type FileCall, systemError } from '../support/fake-files.ts'
import { letter, lettersOf, readAll } from './letters.ts'

const BOUNDED = { timeout: 20_000 }
const DIRECTORY = '/dead'

interface Setup {
  readonly files?: FakeFiles
  readonly fault?: Fault
  readonly hexes?: readonly string[]
  readonly consumer?: string
  readonly deadLetterFileBytesMax?: number
}

let nameCount = 0

function setUp({ files = new FakeFiles(), fault, hexes = [], ...settings }: Setup = {}) {
  if (fault !== undefined) files.fault = fault
  const left = [...hexes]
  const writer = new DeadLetterWriter(
    { directory: DIRECTORY, group: 'g', consumer: 'c', deadLetterFileBytesMax: 1e6, ...settings },
    {
      files,
      clock: { now: () => Date.UTC(2026, 10, 23, 18, 40, 24, 999) },
      random: { hex: () => left.shift() ?? String(nameCount++).padStart(8, '0') }
    }
  )
  return { files, writer }
}

/** Which messages are whole in the files. */
async function indexes(files: FakeFiles): Promise<number[]> {
  return lettersOf(await readAll(files, DIRECTORY)).map(one => ('messageIndex' in one ? one.messageIndex : -1))
}

/** A fault at one call, the first of its kind unless another is named. */
function failing(call: FileCall, code: string, nth = 1): Fault {
  let count = 0
  return made => {
    if (made === call && ++count === nth) throw systemError(code)
    return undefined
  }
}

test('I1: a letter is acknowledged only once its file, and then its directory, are synced', BOUNDED, async () => {
  const seen: { call: FileCall; isAcknowledged: boolean }[] = []
  let isAcknowledged = false
  const { files, writer } = setUp({
    fault: async call => {
      // Whatever could resolve too early has the time to.
      for (let turn = 0; turn < 20; turn++) await undefined
      seen.push({ call, isAcknowledged })
      return undefined
    }
  })
  await writer.append([letter(1), letter(2)]).then(() => {
    isAcknowledged = true
  })
  assert.deepEqual(
    seen.map(({ call }) => call),
    ['makeDirectory', 'create', 'write', 'sync', 'syncDirectory', 'isInPlace']
  )
  assert.ok(seen.every(step => !step.isAcknowledged))
  assert.deepEqual(await indexes(files.crashed(() => 0)), [1, 2])

  seen.length = 0
  isAcknowledged = false
  await writer.append([letter(3)]).then(() => {
    isAcknowledged = true
  })
  assert.deepEqual(
    seen.map(({ call }) => call),
    ['write', 'sync', 'isInPlace'],
    'the file is no new one'
  )
  assert.ok(seen.every(step => !step.isAcknowledged))
  assert.deepEqual(await indexes(files.crashed(() => 0)), [1, 2, 3])
})

test('letters of an attempt are one write, and all that comes meanwhile is the next one', BOUNDED, async () => {
  const { files, writer } = setUp()
  await Promise.all([
    writer.append([letter(1), letter(2)]),
    writer.append([letter(3)]),
    writer.append([]),
    writer.append([letter(4), letter(5)])
  ])
  const writes = files.calls.filter(call => /^(write|sync) /.test(call)).map(call => call.split(' ')[0])
  assert.deepEqual(writes, ['write', 'sync', 'write', 'sync'])
  assert.deepEqual(await indexes(files), [1, 2, 3, 4, 5])
})

test('a write that takes a few bytes at a time is gone on with', BOUNDED, async () => {
  const { files, writer } = setUp({ fault: call => (call === 'write' ? 7 : undefined) })
  await writer.append([letter(1), letter(2)])
  assert.deepEqual(await indexes(files), [1, 2])
})

test('a write that takes nothing is an error, not a loop', BOUNDED, async () => {
  const { writer } = setUp({ fault: call => (call === 'write' ? 0 : undefined) })
  await assert.rejects(writer.append([letter(1)]), { code: 'DEAD_LETTER_WRITE', message: /wrote nothing/ })
})

test('large letters are written one by one, many small ones together', BOUNDED, async () => {
  const { files, writer } = setUp({ deadLetterFileBytesMax: 1e9 })
  const large = (index: number): DeadLetter => ({ ...letter(index), raw: Buffer.alloc(1_000_000) })
  await writer.append([large(1), large(2), ...Array.from({ length: 1000 }, (_, index) => letter(index + 3))])
  assert.equal(files.calls.filter(call => call.startsWith('write')).length, 3)
  assert.deepEqual(
    await indexes(files),
    Array.from({ length: 1002 }, (_, index) => index + 1)
  )
})

test('a full disk rejects with the cure, leaves no half record, and a new file is next', BOUNDED, async () => {
  let writeCount = 0
  const { files, writer } = setUp({
    fault: call => {
      if (call !== 'write') return undefined
      writeCount++
      if (writeCount === 3) throw systemError('ENOSPC')
      return writeCount === 2 ? 500 : undefined
    }
  })
  await writer.append([letter(1)])
  await assert.rejects(writer.append([letter(2), letter(3)]), error => {
    assert.ok(error instanceof Error && 'code' in error && 'remedy' in error)
    assert.deepEqual([error.code, error.remedy], ['DEAD_LETTER_WRITE', 'stop'])
    assert.match(error.message, /no space is left there: free some \(ENOSPC.*file \/dead\/.*\.dead\.ndjson/)
    return true
  })
  assert.deepEqual(
    [...(await readAll(files, DIRECTORY))].map(({ kind }) => kind),
    ['letter']
  )
  await writer.append([letter(2), letter(3)])
  assert.equal(files.paths(DIRECTORY).length, 2)
  assert.deepEqual((await indexes(files)).sort(), [1, 2, 3])
})

test('half a write that cannot be taken back is told by readers, and hides nothing', BOUNDED, async () => {
  const { files, writer } = setUp()
  await writer.append([letter(1)])
  files.fault = (call, path) => {
    if (call === 'truncate') throw systemError('EIO')
    if (call === 'write' && files.text(path).length > 500) throw systemError('ENOSPC')
    return call === 'write' ? 450 : undefined
  }
  await assert.rejects(writer.append([letter(2), letter(3)]), { code: 'DEAD_LETTER_WRITE' })
  files.fault = () => undefined
  await writer.append([letter(2), letter(3)])
  const found = await readAll(files, DIRECTORY)
  assert.deepEqual(found.filter(({ kind }) => kind === 'damage').length, 1)
  // The second one was on disk by chance. It has the id of its repeat.
  assert.deepEqual(new Set(await indexes(files)), new Set([1, 2, 3]))
})

test('I1: a file whose sync failed is not used again: the next sync would lie', BOUNDED, async () => {
  const { files, writer } = setUp({ fault: failing('sync', 'EIO', 2) })
  await writer.append([letter(1)])
  await assert.rejects(writer.append([letter(2)]), { code: 'DEAD_LETTER_WRITE', message: /the disk failed/ })
  await writer.append([letter(2)])
  assert.deepEqual((await indexes(files.crashed(() => 0))).sort(), [1, 2])
})

test('a new file that failed is removed: retries leave no heap of empty files', BOUNDED, async () => {
  for (const call of ['write', 'sync', 'syncDirectory', 'isInPlace'] as const) {
    const { files, writer } = setUp({ fault: failing(call, 'ENOSPC') })
    await assert.rejects(writer.append([letter(1)]), { code: 'DEAD_LETTER_WRITE' }, call)
    if (call !== 'isInPlace') assert.deepEqual(files.paths(DIRECTORY), [], call)
    await writer.append([letter(1)])
    assert.ok((await indexes(files)).includes(1), call)
  }
})

test('a directory that cannot be used is told with its name and the cure', BOUNDED, async () => {
  for (const [code, cure] of [
    ['EACCES', /may not write there: allow it, or name another directory/],
    ['EROFS', /read-only: name another directory/],
    ['ENOTDIR', /no directory: name another/]
  ] as const) {
    for (const call of ['makeDirectory', 'create'] as const) {
      const expected = { code: 'DEAD_LETTER_DIRECTORY', remedy: 'fix-input', message: cure }
      await assert.rejects(setUp({ fault: failing(call, code) }).writer.prepare(), expected)
      await assert.rejects(setUp({ fault: failing(call, code) }).writer.append([letter(1)]), expected)
      await assert.rejects(setUp({ fault: failing(call, code) }).writer.prepare(), /file \/dead\)$/)
    }
  }
})

test('to look whether letters can be written leaves nothing there', BOUNDED, async () => {
  const { files, writer } = setUp()
  await writer.prepare()
  assert.ok(files.calls.some(call => call.startsWith('create')))
  assert.deepEqual(files.paths(DIRECTORY), [])
  await writer.append([letter(1)])
  assert.deepEqual(await indexes(files), [1])
})

test('one that is too large fails by itself, with its place, and not what is written with it', BOUNDED, async () => {
  const { files, writer } = setUp()
  const tooLarge = { ...letter(2), raw: new Uint8Array(RAW_BYTES_MAX + 1) }
  const [first, second, third] = await Promise.allSettled([
    writer.append([letter(1)]),
    writer.append([tooLarge]),
    writer.append([letter(3)])
  ])
  assert.deepEqual([first.status, third.status], ['fulfilled', 'fulfilled'])
  assert.ok(second.status === 'rejected')
  assert.match(String(second.reason), /268435457 bytes is more than .*topic topic-a, partition 3/)
  assert.deepEqual(await indexes(files), [1, 3])
})

test('a file that has reached its size takes no more', BOUNDED, async () => {
  const { files, writer } = setUp({ deadLetterFileBytesMax: 400 })
  for (let index = 1; index <= 6; index++) await writer.append([letter(index)])
  const sizes = files.paths(DIRECTORY).map(path => files.text(path).split('\n').length - 1)
  assert.deepEqual(sizes, [2, 2, 2])
  assert.deepEqual(files.calls.filter(call => call.startsWith('close')).length, 2, 'full ones are closed')
  assert.deepEqual(await indexes(files), [1, 2, 3, 4, 5, 6])
})

test('names tell time and consumer, sort by time, and one that is taken is not used', BOUNDED, async () => {
  const files = new FakeFiles()
  const hexes = ['aaaaaaaa', 'aaaaaaaa', 'bbbbbbbb']
  await setUp({ files, hexes: hexes.slice(0, 1), consumer: 'a/b' }).writer.append([letter(1)])
  await setUp({ files, hexes: hexes.slice(1), consumer: 'a/b' }).writer.append([letter(2)])
  assert.deepEqual(files.paths(DIRECTORY), [
    '/dead/20261123T184024Z-a-b-aaaaaaaa.dead.ndjson',
    '/dead/20261123T184024Z-a-b-bbbbbbbb.dead.ndjson'
  ])
  assert.deepEqual(await indexes(files), [1, 2])
  const long = setUp({ consumer: 'x'.repeat(300) })
  await long.writer.append([letter(1)])
  assert.ok(long.files.paths(DIRECTORY).every(path => path.length <= 200))
})

test('I8: names that are all taken end in an error', BOUNDED, async () => {
  const files = new FakeFiles()
  const same = Array.from({ length: 100 }, () => 'aaaaaaaa')
  await setUp({ files, hexes: same }).writer.append([letter(1)])
  await assert.rejects(setUp({ files, hexes: same }).writer.append([letter(2)]), {
    code: 'DEAD_LETTER_WRITE',
    message: /names in a row are taken/
  })
  assert.ok(files.calls.filter(call => call.startsWith('create')).length < 20)
})

test('I1: letters appended to a file that somebody removed are written again', BOUNDED, async () => {
  const { files, writer } = setUp()
  await writer.append([letter(1)])
  const [path = ''] = files.paths(DIRECTORY)
  files.take(path)
  await writer.append([letter(2)])
  assert.deepEqual(await indexes(files), [2])
  files.fault = (call, at) => {
    if (call === 'sync') files.take(at)
    return undefined
  }
  await assert.rejects(writer.append([letter(3)]), { code: 'DEAD_LETTER_WRITE', message: /removed 3 times/ })
  files.fault = () => undefined
  await writer.append([letter(3)])
  assert.deepEqual(await indexes(files), [3])
})

test('the end waits for what was given, and takes nothing more', BOUNDED, async () => {
  const { files, writer } = setUp()
  const given = writer.append([letter(1)])
  await Promise.all([writer.close(), writer.close()])
  assert.deepEqual(await indexes(files.crashed(() => 0)), [1])
  await given
  assert.equal(files.calls.at(-1)?.split(' ')[0], 'close')
  await assert.rejects(writer.append([letter(2)]), { code: 'INVARIANT_BROKEN' })
})

const FAULTS = ['ENOSPC', 'EIO', 'EACCES', 'EMFILE'] as const

test('I1: whatever fails, and wherever the power goes, a letter that was acknowledged is there', BOUNDED, async () => {
  const fault = fc.oneof(
    { weight: 8, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom(...FAULTS) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 900 }) }
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fault, { maxLength: 60 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 12 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 }),
      async (faults, sizes, keeps) => {
        let step = 0
        const files = new FakeFiles()
        const plan: Fault = () => {
          const next = faults[step++]
          if (typeof next === 'string') throw systemError(next)
          return next
        }
        // Two writers take turns, and share the directory.
        const writers = [0, 1].map(() => setUp({ files, fault: plan, deadLetterFileBytesMax: 1500 }).writer)
        const acknowledged: number[] = []
        let index = 0
        for (const [turn, size] of sizes.entries()) {
          const letters = Array.from({ length: size }, () => letter(index++))
          const written = writers[turn % 2]?.append(letters)
          await written?.then(
            () => acknowledged.push(...letters.map(one => one.messageIndex)),
            () => undefined
          )
        }
        let keepAt = 0
        const after = files.crashed(() => keeps[keepAt++ % keeps.length] ?? 0)
        const left = new Set(await indexes(after))
        assert.deepEqual(
          acknowledged.filter(one => !left.has(one)),
          []
        )
      }
    ),
    { numRuns: 400 }
  )
})

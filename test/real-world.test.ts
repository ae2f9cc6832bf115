import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { realClock, realFiles, realRandom, realTimers } from '../src/real-world.ts'

const BOUNDED = { timeout: 20_000 }

test('the monotonic clock never goes back, and measures milliseconds', BOUNDED, async () => {
  const wallMs = realClock.now()
  const before = realClock.monotonic()
  await realTimers.sleep(20)
  const tookMs = realClock.monotonic() - before
  assert.ok(tookMs >= 18, `${tookMs}`)
  assert.ok(Math.abs(realClock.now() - wallMs - tookMs) < 1000)
})

test('I12: another thread reads the same monotonic clock', BOUNDED, async () => {
  const before = realClock.monotonic()
  const worker = new Worker(
    `require('node:worker_threads').parentPort.postMessage(Number(process.hrtime.bigint()) / 1e6)`,
    { eval: true }
  )
  const there = await new Promise<unknown>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  assert.ok(typeof there === 'number' && there >= before && there <= realClock.monotonic())
})

test('a timer fires once, and not at all once cancelled', BOUNDED, async () => {
  const fired: string[] = []
  const cancelled = realTimers.after(1, () => fired.push('cancelled'))
  cancelled.cancel()
  await new Promise<void>(resolve => {
    realTimers.after(5, () => {
      fired.push('fired')
      resolve()
    })
  })
  cancelled.cancel()
  assert.deepEqual(fired, ['fired'])
})

test('a sleep ends with the reason of its signal, at once', BOUNDED, async () => {
  const reason = new Error('enough')
  const stop = new AbortController()
  const slept = realTimers.sleep(60_000, stop.signal)
  stop.abort(reason)
  await assert.rejects(slept, reason)
  await assert.rejects(realTimers.sleep(60_000, stop.signal), reason)
})

test('chance is in [0, 1), and hexadecimal digits are two a byte', () => {
  for (let count = 0; count < 100; count++) {
    const value = realRandom.next()
    assert.ok(value >= 0 && value < 1)
  }
  assert.match(realRandom.hex(8), /^[0-9a-f]{16}$/)
  assert.notEqual(realRandom.hex(16), realRandom.hex(16))
})

/** A folder of its own for `use`, gone afterwards. */
async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cls-consumer-files-'))
  try {
    await use(folder)
  } finally {
    chmodSync(folder, 0o700)
    rmSync(folder, { recursive: true })
  }
}

test('directories are made with those above them, files once, all for their owner alone', BOUNDED, () =>
  inFolder(async folder => {
    const directory = join(folder, 'a/b')
    // Whatever form the path has.
    await realFiles.makeDirectory(`${relative('.', folder)}/a/x/../b/`)
    await realFiles.makeDirectory(directory)
    const path = join(directory, 'f')
    const file = await realFiles.create(path)
    await assert.rejects(realFiles.create(path), { code: 'EEXIST' })
    for (const [made, mode] of [
      [join(folder, 'a'), 0o700],
      [directory, 0o700],
      [path, 0o600]
    ] as const) {
      assert.equal(statSync(made).mode & 0o777, mode, made)
    }
    await file.close()
    await realFiles.syncDirectory(directory)
    assert.deepEqual(await realFiles.list(directory), ['f'])
    await realFiles.remove(path)
    assert.deepEqual(await realFiles.list(directory), [])
  })
)

test('a file is appended to, cut back and appended to again, and knows whether its path leads to it', BOUNDED, () =>
  inFolder(async folder => {
    const path = join(folder, 'f')
    const file = await realFiles.create(path)
    assert.equal(await file.write(Buffer.from('first, second')), 13)
    await file.truncate(5)
    await file.write(Buffer.from(', third'))
    await file.sync()
    assert.equal(readFileSync(path, 'utf8'), 'first, third')
    assert.equal(await file.isInPlace(), true)
    renameSync(path, join(folder, 'moved'))
    assert.equal(await file.isInPlace(), false)
    writeFileSync(path, 'another')
    assert.equal(await file.isInPlace(), false)
    await file.close()
  })
)

test('a file is read whole, in chunks, and may be left early', BOUNDED, () =>
  inFolder(async folder => {
    const path = join(folder, 'f')
    const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => index % 251))
    writeFileSync(path, bytes)
    const chunks: Buffer[] = []
    for await (const chunk of realFiles.read(path)) chunks.push(Buffer.from(chunk))
    assert.ok(chunks.length > 2)
    assert.ok(Buffer.concat(chunks).equals(bytes))
    for await (const chunk of realFiles.read(path)) {
      assert.ok(chunk.length < bytes.length)
      break
    }
    await assert.rejects(realFiles.read(join(folder, 'none'))[Symbol.asyncIterator]().next(), { code: 'ENOENT' })
  })
)

test('what the system refuses has its code', BOUNDED, () =>
  inFolder(async folder => {
    writeFileSync(join(folder, 'f'), '')
    await assert.rejects(realFiles.makeDirectory(join(folder, 'f')), { code: 'EEXIST' })
    await assert.rejects(realFiles.makeDirectory(join(folder, 'f/g')), { code: 'ENOTDIR' })
    await assert.rejects(realFiles.create(join(folder, 'none/f')), { code: 'ENOENT' })
  })
)

const AS_ROOT = process.getuid?.() === 0 ? 'root may write anywhere' : false

test('a directory that may not be written to refuses with EACCES', { ...BOUNDED, skip: AS_ROOT }, () =>
  inFolder(async folder => {
    chmodSync(folder, 0o500)
    await assert.rejects(realFiles.create(join(folder, 'f')), { code: 'EACCES' })
    await assert.rejects(realFiles.makeDirectory(join(folder, 'd')), { code: 'EACCES' })
  })
)

/**
 * Clock, timers, random numbers and files of the real world: with `cls/`, `dispatch/pool.ts` and `observe/logger.ts` the
 * only place where a stage's world touches the machine.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, stat, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AppendFile, Clock, Files, Random, Timers } from './world.ts'

export const realClock: Clock = {
  now: () => Date.now(),
  // Not `performance.now()`: that starts anew in every thread, and threads compare with the lease's end.
  monotonic: () => Number(process.hrtime.bigint()) / 1e6
}

export const realTimers: Timers = {
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  async sleep(delayMs, signal) {
    try {
      await sleep(delayMs, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : error
    }
  }
}

export const realRandom: Random = {
  next: () => Math.random(),
  hex: byteCount => randomBytes(byteCount).toString('hex')
}

const OWNER_ALONE = { file: 0o600, directory: 0o700 } as const
const READ_BYTES = 256 * 1024

export const realFiles: Files = {
  async makeDirectory(path) {
    const firstMade = await mkdir(path, { recursive: true, mode: OWNER_ALONE.directory })
    if (firstMade === undefined) return syncParent(path)
    // Up to the first one made, or to the root, which is its own parent.
    for (let made = resolve(path), parent = ''; made !== parent; made = parent) {
      parent = dirname(made)
      await syncDirectory(parent)
      if (made === resolve(firstMade)) return
    }
  },
  syncDirectory,
  create: async path => appendFile(path, await open(path, 'ax', OWNER_ALONE.file)),
  remove: path => unlink(path),
  list: path => readdir(path),
  async *read(path) {
    const file = await open(path)
    try {
      const chunk = Buffer.allocUnsafe(READ_BYTES)
      for (;;) {
        const { bytesRead } = await file.read(chunk)
        if (bytesRead === 0) return
        yield chunk.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  }
}

function appendFile(path: string, file: Awaited<ReturnType<typeof open>>): AppendFile {
  return {
    write: async bytes => (await file.write(bytes)).bytesWritten,
    sync: () => file.sync(),
    async isInPlace() {
      const [own, there] = await Promise.all([
        file.stat({ bigint: true }),
        stat(path, { bigint: true }).catch(ifAbsent)
      ])
      return there !== undefined && own.ino === there.ino && own.dev === there.dev
    },
    truncate: byteCount => file.truncate(byteCount),
    close: () => file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  // There a directory cannot be opened, and its entries are journalled.
  if (process.platform === 'win32') return
  const directory = await open(path)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Another process may have made it a moment ago. What we did not make, we may not be allowed to open. */
async function syncParent(path: string): Promise<void> {
  await syncDirectory(dirname(path)).catch(error => {
    if (codeOf(error) !== 'EACCES' && codeOf(error) !== 'EPERM') throw error
  })
}

function ifAbsent(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

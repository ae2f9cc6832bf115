/**
 * A disk in memory, for dead letters: what it has for sure, and how it fails.
 *
 * In: the calls of `Files`, each an event of the course at the process that calls. Out: to the ledger, bytes that are there
 * whatever happens: written, then synced, in a file whose directory was synced after it was made. As Linux does it, a sync
 * that fails drops what it should have written, and the next one succeeds all the same.
 */
import type { AppendFile, Files } from '../../src/world.ts'
import type { Dice } from '../fuzz/dice.ts'
import type { Course, Place } from './course.ts'

export interface DiskParts {
  readonly course: Course
  /** These bytes of a file are there for sure from now on. */
  readonly kept: (bytes: Buffer) => void
}

export interface DiskUse {
  readonly place: Place
  readonly dice: Dice
  /** One call in so many fails. */
  failsOneIn(): number
}

interface SimulatedFile {
  bytes: Buffer
  syncedBytes: number
  /** So many of the first ones the ledger knows of. */
  toldBytes: number
  hasEntry: boolean
}

const SLOW_ONE_IN = 20
const SLOW_MS_MAX = 1500

export class Disk {
  readonly #parts: DiskParts
  readonly #files = new Map<string, SimulatedFile>()
  #phase: 'usable' | 'full' = 'usable'

  constructor(parts: DiskParts) {
    this.#parts = parts
  }

  fill(): void {
    this.#phase = 'full'
  }

  free(): void {
    this.#phase = 'usable'
  }

  /** As one process sees it. */
  filesFor(use: DiskUse): Files {
    const call = <T>(what: string, act: () => T): Promise<T> => this.#call(use, what, act)
    return {
      makeDirectory: () => call('mkdir', () => undefined),
      syncDirectory: () => call('sync of the directory', () => this.#syncEntries()),
      create: path => call('create', () => this.#create(path, call, use)),
      remove: path => call('remove', () => void this.#files.delete(path)),
      list: () => call('list', () => [...this.#files.keys()]),
      read: () => {
        throw new Error('nobody reads here')
      }
    }
  }

  #create(path: string, call: <T>(what: string, act: () => T) => Promise<T>, { dice }: DiskUse): AppendFile {
    if (this.#phase === 'full') throw systemError('ENOSPC')
    if (this.#files.has(path)) throw systemError('EEXIST')
    const file: SimulatedFile = { bytes: Buffer.alloc(0), syncedBytes: 0, toldBytes: 0, hasEntry: false }
    this.#files.set(path, file)
    return {
      write: bytes => call('write', () => this.#write(file, bytes, dice)),
      sync: () => call('sync', () => this.#sync(file)),
      isInPlace: () => call('look', () => this.#files.get(path) === file),
      truncate: byteCount => call('truncate', () => this.#truncate(file, byteCount)),
      close: () => call('close', () => undefined)
    }
  }

  #write(file: SimulatedFile, bytes: Uint8Array, dice: Dice): number {
    if (this.#phase === 'full') throw systemError('ENOSPC')
    const byteCount = dice.oneIn(4) ? 1 + dice.below(bytes.length) : bytes.length
    file.bytes = Buffer.concat([file.bytes, bytes.subarray(0, byteCount)])
    return byteCount
  }

  #sync(file: SimulatedFile): void {
    file.syncedBytes = file.bytes.length
    this.#tell(file)
  }

  #syncEntries(): void {
    for (const file of this.#files.values()) {
      file.hasEntry = true
      this.#tell(file)
    }
  }

  #truncate(file: SimulatedFile, byteCount: number): void {
    file.bytes = file.bytes.subarray(0, byteCount)
    file.syncedBytes = Math.min(file.syncedBytes, byteCount)
  }

  #tell(file: SimulatedFile): void {
    if (!file.hasEntry || file.toldBytes >= file.syncedBytes) return
    const bytes = file.bytes.subarray(file.toldBytes, file.syncedBytes)
    file.toldBytes = file.syncedBytes
    this.#parts.kept(bytes)
  }

  #call<T>({ place, dice, failsOneIn }: DiskUse, what: string, act: () => T): Promise<T> {
    const delayMs = dice.oneIn(SLOW_ONE_IN) ? dice.below(SLOW_MS_MAX) : dice.below(3)
    const isFailing = what !== 'close' && dice.oneIn(failsOneIn())
    return new Promise((resolve, reject) => {
      const happen = (): void => {
        try {
          if (isFailing) throw systemError('EIO')
          resolve(act())
        } catch (error) {
          reject(error)
        }
      }
      this.#parts.course.set({ where: place, what: `disk: ${what}${isFailing ? ' fails' : ''}`, delayMs, happen })
    })
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the system says it`), { code })
}

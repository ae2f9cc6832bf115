/**
 * Files in memory that can fail and crash.
 *
 * What is not synced may be gone after a crash, and a file whose directory was not synced after it was made may be gone as
 * a whole. A sync that fails drops what it should have written, and the next one succeeds all the same: as Linux does it.
 */
import assert from 'node:assert/strict'
import { basename, dirname, join } from 'node:path'
import type { AppendFile, Files } from '../../src/world.ts'

export type FileCall =
  | 'makeDirectory'
  | 'create'
  | 'write'
  | 'sync'
  | 'syncDirectory'
  | 'isInPlace'
  | 'truncate'
  | 'remove'
  | 'close'

/** Told of every call before it happens: throws, waits, or for a write says how many bytes are taken at most. */
export type Fault = (call: FileCall, path: string) => Promise<number | undefined> | number | undefined

interface FakeFile {
  content: Buffer
  /** What a crash leaves for sure. */
  durable: Buffer
  /** Never written, though later syncs succeed. */
  readonly dropped: [from: number, to: number][]
  isEntryDurable: boolean
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the system says it`), { code })
}

export class FakeFiles implements Files {
  readonly calls: string[] = []
  readonly files = new Map<string, FakeFile>()
  fault: Fault = () => undefined

  async makeDirectory(path: string): Promise<void> {
    await this.#call('makeDirectory', path)
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#call('syncDirectory', path)
    for (const [name, file] of this.files) if (dirname(name) === path) file.isEntryDurable = true
  }

  async create(path: string): Promise<AppendFile> {
    await this.#call('create', path)
    if (this.files.has(path)) throw systemError('EEXIST')
    const file: FakeFile = { content: Buffer.alloc(0), durable: Buffer.alloc(0), dropped: [], isEntryDurable: false }
    this.files.set(path, file)
    return {
      write: bytes => this.#write(path, file, bytes),
      sync: () => this.#sync(path, file),
      isInPlace: async () => {
        await this.#call('isInPlace', path)
        return this.files.get(path) === file
      },
      truncate: async byteCount => {
        await this.#call('truncate', path)
        file.content = file.content.subarray(0, byteCount)
      },
      close: async () => {
        await this.#call('close', path)
      }
    }
  }

  async remove(path: string): Promise<void> {
    await this.#call('remove', path)
    this.files.delete(path)
  }

  async list(path: string): Promise<string[]> {
    return [...this.files.keys()].filter(name => dirname(name) === path).map(name => basename(name))
  }

  async *read(path: string): AsyncGenerator<Uint8Array, void, undefined> {
    const { content } = this.files.get(path) ?? assert.fail(`no file ${path}`)
    for (let from = 0; from < content.length; from += 100) yield content.subarray(from, from + 100)
  }

  /** The same files after a power cut. `keep` says how much of what was not synced is there, from 0 to 1. */
  crashed(keep: () => number): FakeFiles {
    const after = new FakeFiles()
    for (const [path, { content, durable, isEntryDurable }] of this.files) {
      if (!isEntryDurable && keep() < 0.5) continue
      const more = content.subarray(durable.length)
      const left = Buffer.concat([durable, more.subarray(0, Math.floor(more.length * keep()))])
      after.files.set(path, { content: left, durable: left, dropped: [], isEntryDurable: true })
    }
    return after
  }

  /** As a person who cleans up does. */
  take(path: string): void {
    assert.ok(this.files.delete(path), path)
  }

  text(path: string): string {
    return (this.files.get(path) ?? assert.fail(`no file ${path}`)).content.toString()
  }

  paths(directory: string): string[] {
    return [...this.files.keys()].filter(path => path.startsWith(join(directory, '/'))).sort()
  }

  async #write(path: string, file: FakeFile, bytes: Uint8Array): Promise<number> {
    const taken = await this.#call('write', path)
    const byteCount = Math.min(bytes.length, taken ?? bytes.length)
    file.content = Buffer.concat([file.content, bytes.subarray(0, byteCount)])
    return byteCount
  }

  async #sync(path: string, file: FakeFile): Promise<void> {
    try {
      await this.#call('sync', path)
    } catch (error) {
      file.dropped.push([file.durable.length, file.content.length])
      throw error
    }
    const durable = Buffer.from(file.content)
    for (const [from, to] of file.dropped) durable.fill(0, from, Math.min(to, durable.length))
    file.durable = durable
  }

  async #call(call: FileCall, path: string): Promise<number | undefined> {
    this.calls.push(`${call} ${basename(path)}`)
    return await this.fault(call, path)
  }
}

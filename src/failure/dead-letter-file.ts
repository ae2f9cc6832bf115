/**
 * The file that a writer appends its dead letters to, and the next one when it is full.
 *
 * In: records. Out: a promise that resolves once they are on disk: written, then the file synced, then, for a new file,
 * the directory. Must never happen: that it resolves before; that a file has two writers; that what follows a failed write
 * stands behind its half.
 *
 * A file that failed is not used again, and what of it was not synced is cut off as far as the system lets us. A sync that
 * failed may have dropped the very pages that it failed to write, and the next one then succeeds: so it is never repeated,
 * the letters are written anew elsewhere. Where the cut fails too, half a record stays, and readers say so.
 */
import { join } from 'node:path'
import { ClsConsumerError, type ErrorCode } from '../errors.ts'
import type { AppendFile, Clock, Files, Random } from '../world.ts'

/** What readers look for. */
export const FILE_SUFFIX = '.dead.ndjson'

/** Records are gathered up to here for one write. */
const WRITE_BYTES = 1024 * 1024
/** Others may remove or move a file at any time; not again and again. */
const PLACE_TRIES_MAX = 3
const NAME_TRIES_MAX = 8
const NAME_CHARACTERS_MAX = 100

export interface LetterFileSettings {
  readonly directory: string
  /** Part of the files' names. */
  readonly consumer: string
  /** A file that has reached this takes no more. */
  readonly deadLetterFileBytesMax: number
}

export interface LetterFileWorld {
  readonly files: Files
  readonly clock: Pick<Clock, 'now'>
  readonly random: Pick<Random, 'hex'>
}

interface OpenFile {
  readonly path: string
  readonly file: AppendFile
  /** On disk for sure. */
  syncedBytes: number
}

/** One append at a time. */
export class LetterFile {
  readonly #settings: LetterFileSettings
  readonly #world: LetterFileWorld
  #open: OpenFile | undefined

  constructor(settings: LetterFileSettings, world: LetterFileWorld) {
    this.#settings = settings
    this.#world = world
  }

  /** Whether letters could be written: makes a file, and removes it. @throws ClsConsumerError DEAD_LETTER_… */
  async prepare(): Promise<void> {
    if (this.#open === undefined) await this.#discard(await this.#create())
  }

  /** `records` is asked anew where they have to be written twice. @throws ClsConsumerError DEAD_LETTER_… */
  async append(records: () => Iterable<Buffer>): Promise<void> {
    for (let tries = 1; tries <= PLACE_TRIES_MAX; tries++) {
      const open = await this.#withRoom()
      await this.#write(open, records())
      // Somebody cleans up: file removed; letters appended to it, and synced; offset committed → letters nowhere. Hence
      // the look behind the sync. Found in place, they were there for whoever removes the file after it.
      if (await this.#isInPlace(open)) return
      await this.close()
    }
    const { directory } = this.#settings
    const message = `dead letters could not be written: their file was removed ${PLACE_TRIES_MAX} times meanwhile`
    throw new ClsConsumerError('DEAD_LETTER_WRITE', message, { file: directory })
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    // All that counts was synced.
    await open?.file.close().catch(() => undefined)
  }

  async #withRoom(): Promise<OpenFile> {
    if (this.#open !== undefined && this.#open.syncedBytes >= this.#settings.deadLetterFileBytesMax) await this.close()
    this.#open ??= await this.#create()
    return this.#open
  }

  async #write(open: OpenFile, records: Iterable<Buffer>): Promise<void> {
    try {
      let byteCount = 0
      for (const bytes of gathered(records)) {
        await writeAll(open.file, bytes)
        byteCount += bytes.length
      }
      await open.file.sync()
      if (open.syncedBytes === 0) await this.#world.files.syncDirectory(this.#settings.directory)
      open.syncedBytes += byteCount
    } catch (error) {
      this.#open = undefined
      await this.#discard(open)
      throw writeError(error, open.path)
    }
  }

  async #isInPlace({ file, path }: OpenFile): Promise<boolean> {
    try {
      return await file.isInPlace()
    } catch (error) {
      await this.close()
      throw writeError(error, path)
    }
  }

  /** Of a name that nobody has: two consumers, of one process or of several, never share a file. */
  async #create(): Promise<OpenFile> {
    const { directory } = this.#settings
    try {
      await this.#world.files.makeDirectory(directory)
      for (let tries = 1; ; tries++) {
        const path = join(directory, this.#nextName())
        try {
          return { path, file: await this.#world.files.create(path), syncedBytes: 0 }
        } catch (error) {
          if (systemCode(error) !== 'EEXIST') throw error
          if (tries === NAME_TRIES_MAX) throw new Error(`${tries} names in a row are taken`)
        }
      }
    } catch (error) {
      throw writeError(error, directory)
    }
  }

  /** The time first, so that names sort by it. */
  #nextName(): string {
    const { clock, random } = this.#world
    const time = new Date(clock.now()).toISOString().replace(/[-:]|\.\d+/g, '')
    const consumer = this.#settings.consumer.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, NAME_CHARACTERS_MAX)
    return `${time}-${consumer}-${random.hex(4)}${FILE_SUFFIX}`
  }

  /** As far as it can be done: half a record at the end of a file misleads nobody. */
  async #discard({ path, file, syncedBytes }: OpenFile): Promise<void> {
    const undone = syncedBytes === 0 ? this.#world.files.remove(path) : file.truncate(syncedBytes)
    await undone.catch(() => undefined)
    await file.close().catch(() => undefined)
  }
}

async function writeAll(file: AppendFile, bytes: Buffer): Promise<void> {
  for (let from = 0; from < bytes.length; ) {
    const byteCount = await file.write(bytes.subarray(from))
    // A regular file takes something or fails; what does neither would be asked for ever.
    if (byteCount <= 0) throw new Error('the system wrote nothing, and named no reason')
    from += byteCount
  }
}

/** Many small records cost a system call each, a large one is written as it is. */
function* gathered(records: Iterable<Buffer>): Generator<Buffer, void, undefined> {
  let parts: Buffer[] = []
  let byteCount = 0
  for (const record of records) {
    parts.push(record)
    byteCount += record.length
    if (byteCount < WRITE_BYTES) continue
    yield joined(parts)
    parts = []
    byteCount = 0
  }
  if (parts.length > 0) yield joined(parts)
}

function joined(parts: readonly Buffer[]): Buffer {
  const [first] = parts
  return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts)
}

/** What a person can do about it, where the system's word says what it is. */
const CURES: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOSPC: ['DEAD_LETTER_WRITE', 'no space is left there: free some'],
  EDQUOT: ['DEAD_LETTER_WRITE', "this user's quota is used up: free some space, or raise it"],
  EFBIG: ['DEAD_LETTER_WRITE', 'the file would be larger than this user or file system may have it'],
  EIO: ['DEAD_LETTER_WRITE', 'the disk failed: look at it first'],
  EMFILE: ['DEAD_LETTER_WRITE', 'this process has too many files open: raise `ulimit -n`'],
  ENFILE: ['DEAD_LETTER_WRITE', 'this host has too many files open'],
  EACCES: ['DEAD_LETTER_DIRECTORY', 'this user may not write there: allow it, or name another directory'],
  EPERM: ['DEAD_LETTER_DIRECTORY', 'this user may not write there: allow it, or name another directory'],
  EROFS: ['DEAD_LETTER_DIRECTORY', 'the file system is read-only: name another directory'],
  ENOTDIR: ['DEAD_LETTER_DIRECTORY', 'a part of the path is no directory: name another one'],
  EEXIST: ['DEAD_LETTER_DIRECTORY', 'what stands there is no directory: name another one'],
  ENOENT: ['DEAD_LETTER_DIRECTORY', 'it was removed meanwhile, or cannot be made there'],
  ENAMETOOLONG: ['DEAD_LETTER_DIRECTORY', 'the path is too long: name a shorter one'],
  ELOOP: ['DEAD_LETTER_DIRECTORY', 'its symbolic links lead nowhere: name another one']
}

function writeError(cause: unknown, file: string): ClsConsumerError {
  const [code, cure] = CURES[systemCode(cause) ?? ''] ?? ['DEAD_LETTER_WRITE', 'the system refused it']
  const words = cause instanceof Error ? cause.message : String(cause)
  return new ClsConsumerError(code, `dead letters could not be written: ${cure} (${words})`, { file, cause })
}

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

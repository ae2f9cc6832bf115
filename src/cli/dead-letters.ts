/**
 * `cls-consumer dead-letters list` and `… show`: what was set aside.
 *
 * In: flags, ids, a directory. Out: on standard output one line a letter, or each in full, or the exact bytes of one; on
 * standard error every damage, and how many letters there were. Reads alone: nothing is removed, and no writer that is at
 * work is held up.
 */
import type { Options } from 'yargs'
import type { Args } from '../config/option-sources.ts'
import { ClsConsumerError } from '../errors.ts'
import { flag } from '../option-kinds.ts'
import type { Files } from '../world.ts'
import type { CommandWorld, Sink } from './command-world.ts'
import {
  eachSelected,
  IDS,
  isExactly,
  isWithin,
  readSelection,
  SELECTION,
  type Selection
} from './dead-letters-selection.ts'
import { letterLines, listHeading, listJson, listLine } from './dead-letters-text.ts'
import { count } from './format.ts'
import { flagsOf } from './option-flags.ts'
import { writeOut } from './result-lines.ts'
import { columnCount } from './screen.ts'

const LIST = { json: flag({ flag: 'json', help: 'One line of JSON for each' }) }
const SHOW = { raw: flag({ flag: 'raw', help: 'The exact bytes of one, and nothing else' }) }

export const listFlags: Record<string, Options> = flagsOf({ ...SELECTION, ...LIST })
export const showFlags: Record<string, Options> = flagsOf({ ...SELECTION, ...SHOW })

/** For the end of the commands' help. */
export const deadLettersEpilogue = [
  'An id is topic/partition/offset, then the message in that response and the log in that message, both from 0. Its first parts alone stand for all of a topic, a partition or a response. On a terminal the list shortens long topics (5cd3a17e…c0ffee), and such an id is taken as well. What was written twice has one id.',
  'Exit codes: 0 done; 1 damage was found, and all else was read; 2 a flag, an id or the directory must be mended first.'
].join('\n\n')

/** @throws ClsConsumerError OPTIONS_INVALID, FILE_UNREADABLE, DEAD_LETTERS_DAMAGED */
export async function listDeadLetters(args: Args, world: CommandWorld, files: Files): Promise<void> {
  const selection = readSelection(args, world, LIST)
  const isJson = args.json === true
  const output = new GatheredOutput(world.stdout)
  const columns = world.stdout.isTTY === true ? columnCount(world.stdout) : undefined
  let heading = isJson ? '' : `${listHeading(columns)}\n`
  const damage = await eachSelected(selection, world, files, async selected => {
    await output.write(`${heading}${isJson ? listJson(selected) : listLine(selected, columns)}\n`)
    heading = ''
  })
  await output.flush()
  if (damage !== undefined) throw damage
}

/** @throws ClsConsumerError OPTIONS_INVALID, FILE_UNREADABLE, DEAD_LETTERS_DAMAGED; USAGE where an id names none. */
export async function showDeadLetters(args: Args, world: CommandWorld, files: Files): Promise<void> {
  const selection = readSelection(args, world, { ...SHOW, ...IDS })
  if (args.raw === true) return showRaw(selection, world, files)
  const missing = new Set(selection.ids)
  const output = new GatheredOutput(world.stdout)
  const damage = await eachSelected(selection, world, files, async selected => {
    for (const id of missing) if (isWithin(selected.id, id)) missing.delete(id)
    await output.write(`${letterLines(selected).join('\n')}\n\n`)
  })
  await output.flush()
  // What is missing may be what is damaged.
  if (damage !== undefined) throw damage
  const [id] = missing
  if (id !== undefined && !world.stop.aborted) throw unknownId(id, selection)
}

async function showRaw(selection: Selection, world: CommandWorld, files: Files): Promise<void> {
  const [wanted, ...others] = selection.ids
  if (others.length > 0) throw new ClsConsumerError('USAGE', '--raw takes one letter: name one id')
  const within = new OneLetter()
  // A response may have letters of its own messages, whose ids begin with its own.
  const exact = new OneLetter()
  const damage = await eachSelected(selection, world, files, async ({ letter, id }) => {
    const bytes = letter.readRaw()
    within.add(id, bytes)
    if (wanted !== undefined && isExactly(id, wanted)) exact.add(id, bytes)
  })
  const bytes = exact.take() ?? within.take()
  if (bytes !== undefined) await writeOut(world.stdout, bytes).catch(throwUnlessUnread)
  if (damage !== undefined) throw damage
  if (bytes === undefined && !world.stop.aborted) throw unknownId(wanted ?? '', selection)
}

/** How many of the letters that might be meant are named. */
const NAMED_MAX = 5

/** The letter that is meant, as long as only one may be. */
class OneLetter {
  readonly #ids = new Set<string>()
  #bytes: Buffer | undefined
  #count = 0

  /** Written twice, it is one letter all the same. */
  add(id: string, bytes: Buffer): void {
    if (this.#bytes !== undefined && this.#ids.has(id) && this.#bytes.equals(bytes)) return
    this.#bytes ??= bytes
    this.#count += 1
    if (this.#ids.size < NAMED_MAX) this.#ids.add(id)
  }

  /** @throws ClsConsumerError USAGE where there are several. */
  take(): Buffer | undefined {
    if (this.#count <= 1) return this.#bytes
    const named = `${[...this.#ids].join(', ')}${this.#count > this.#ids.size ? ', …' : ''}`
    throw new ClsConsumerError('USAGE', `--raw takes one letter, and ${count(this.#count)} are meant: ${named}`)
  }
}

function unknownId(id: string, { directory }: Selection): ClsConsumerError {
  return new ClsConsumerError('USAGE', id === '' ? 'there is no such dead letter' : `no dead letter has the id ${id}`, {
    file: directory
  })
}

const GATHERED_CHARACTERS = 64 * 1024

/** Many lines in one write, each write awaited: a slow reader slows the reading down, instead of filling memory. */
class GatheredOutput {
  readonly #output: Sink
  /** On a terminal nothing is kept back: what standard error says comes there too, in its place. */
  readonly #gatheredMax: number
  #text = ''
  #isUnread = false

  constructor(output: Sink) {
    this.#output = output
    this.#gatheredMax = output.isTTY === true ? 0 : GATHERED_CHARACTERS
  }

  async write(text: string): Promise<void> {
    this.#text += text
    if (this.#text.length >= this.#gatheredMax) await this.flush()
  }

  async flush(): Promise<void> {
    const text = this.#text
    this.#text = ''
    if (text === '' || this.#isUnread) return
    await writeOut(this.#output, text).catch(error => {
      throwUnlessUnread(error)
      this.#isUnread = true
    })
  }
}

/** A reader that closes its end, such as `head`, is no error; damage is still looked for. */
function throwUnlessUnread(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error
}

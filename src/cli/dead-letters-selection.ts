/**
 * Which dead letters a command is about, and the reading of them.
 *
 * In: flags, a directory. Out: the letters that were asked for, one by one; every damage as a line on standard error, also
 * where other letters were asked for. Must never happen: a command that ends well over a damage.
 */
import { resolve } from 'node:path'
import { Recent } from '../cls/recent.ts'
import { OptionCheck } from '../config/option-check.ts'
import type { Args, Rows } from '../config/option-sources.ts'
import { ClsConsumerError } from '../errors.ts'
import { letterId } from '../failure/dead-letter.ts'
import { type Damage, type FoundLetter, readDeadLetters } from '../failure/dead-letter-reader.ts'
import type { StoredLetter } from '../failure/dead-letter-record.ts'
import { printable } from '../observe/logger.ts'
import { integer, list, position, row, text, withDefault } from '../option-kinds.ts'
import type { Files } from '../world.ts'
import type { CommandWorld } from './command-world.ts'
import { count, counted, shortId } from './format.ts'

export const SELECTION = {
  directory: withDefault(
    'dead-letters',
    text({ flag: 'dir', env: 'CLS_DEAD_LETTER_DIRECTORY', help: 'Directory of the dead letters' })
  ),
  topicIds: list({ flag: 'topic', item: 'topic id', help: 'Only those of these topics', defaultText: 'all' }),
  partition: integer({
    flag: 'partition',
    help: 'Only those of this partition',
    defaultText: 'all',
    min: 0,
    max: 2 ** 31 - 1
  }),
  since: position<never>([], { flag: 'since', help: 'Only those written at this time or later', defaultText: 'all' })
}

/** Not a flag, but where the parser keeps the ids it is given. */
export const IDS = {
  ids: row<unknown>('value', 'ids', { flag: 'id', help: 'Ids, or their beginnings' }, input => input)
}

export interface Selection {
  readonly directory: string
  readonly topicIds: readonly string[] | undefined
  readonly partition: number | undefined
  readonly sinceMs: number
  /** Whole ids, or their first parts; none: all. */
  readonly ids: readonly string[]
}

/** Settles the flags of a command that has `rows` too. @throws ClsConsumerError OPTIONS_INVALID */
export function readSelection(args: Args, { cwd }: Pick<CommandWorld, 'cwd'>, rows: Rows): Selection {
  // No variable: those of the consumer name what it reads, not what went wrong with it.
  const check = new OptionCheck(args, {}, { ...SELECTION, ...rows })
  for (const other of Object.values(rows)) check.take(other)
  const selection = {
    directory: resolve(cwd, check.take(SELECTION.directory)),
    topicIds: check.take(SELECTION.topicIds),
    partition: check.take(SELECTION.partition),
    sinceMs: (check.take(SELECTION.since) ?? 0) * 1000,
    ids: Array.isArray(args.id) ? args.id.map(String) : []
  }
  check.finish()
  return selection
}

export function selects({ topicIds, partition, sinceMs, ids }: Selection, letter: StoredLetter): boolean {
  if (topicIds !== undefined && !topicIds.includes(letter.topicId)) return false
  if (partition !== undefined && letter.partition !== partition) return false
  if (letter.timeMs < sinceMs) return false
  const own = letterId(letter)
  return ids.length === 0 || ids.some(id => isWithin(own, id))
}

/** `topic/3/1000` is also about all messages of that response. The topic may be as short as the list shows it. */
export function isWithin(id: string, wanted: string): boolean {
  return [id, shortLetterId(id)].some(name => name === wanted || name.startsWith(`${wanted}/`))
}

/** The letter that is named, and not what lies within it. */
export function isExactly(id: string, wanted: string): boolean {
  return id === wanted || shortLetterId(id) === wanted
}

export function shortLetterId(id: string): string {
  const [topicId = '', ...rest] = id.split('/')
  return [shortId(topicId), ...rest].join('/')
}

export type Selected = FoundLetter & {
  readonly file: string
  readonly id: string
  /** The same letter came before. */
  readonly isRepeat: boolean
}

/** Ids that are remembered. A repeat stands near to what it repeats: it was written by the next attempt. */
const KNOWN_IDS_MAX = 100_000

/**
 * Gives each selected letter to `take`, and ends with one line that sums up. Resolves to what the command has to end with,
 * once it is done with what could be read: DEAD_LETTERS_DAMAGED, or nothing.
 * @throws ClsConsumerError FILE_UNREADABLE
 */
export async function eachSelected(
  selection: Selection,
  { stop, stderr }: Pick<CommandWorld, 'stop' | 'stderr'>,
  files: Files,
  take: (selected: Selected) => Promise<void>
): Promise<ClsConsumerError | undefined> {
  const { directory } = selection
  const known = new Recent<true>(KNOWN_IDS_MAX)
  const damagedFiles = new Set<string>()
  let [letterCount, repeatCount, damageCount] = [0, 0, 0]
  for await (const found of readDeadLetters(files, directory, stop)) {
    if (found.kind === 'damage') {
      stderr.write(`${damageLine(found)}\n`)
      damagedFiles.add(found.file)
      damageCount++
    } else if (selects(selection, found.letter)) {
      const id = letterId(found.letter)
      // Two groups fail by themselves.
      const key = `${found.letter.group} ${id}`
      const isRepeat = known.get(key) === true
      known.set(key, true)
      await take({ ...found, id, isRepeat })
      letterCount++
      if (isRepeat) repeatCount++
    }
  }
  const letters =
    letterCount === 0 ? `no ${isNarrowed(selection) ? 'such ' : ''}dead letters` : counted(letterCount, 'dead letter')
  const repeats = repeatCount === 0 ? '' : `, ${count(repeatCount)} of them repeated`
  stderr.write(`${letters}${repeats} in ${printable(directory)}${stop.aborted ? ', up to the stop' : ''}\n`)
  return damageCount === 0 ? undefined : damageError(damageCount, damagedFiles.size, directory)
}

function damageLine({ file, line, bytePosition, byteCount, what }: Damage & { readonly file: string }): string {
  return printable(`damaged: ${file}:${line}: ${counted(byteCount, 'byte')} from byte ${bytePosition} on: ${what}`)
}

function damageError(damageCount: number, fileCount: number, directory: string): ClsConsumerError {
  const places = `${counted(damageCount, 'damaged place')} in ${counted(fileCount, 'file')}`
  return new ClsConsumerError('DEAD_LETTERS_DAMAGED', `${places}, named above; all else was read`, { file: directory })
}

function isNarrowed({ topicIds, partition, sinceMs, ids }: Selection): boolean {
  return topicIds !== undefined || partition !== undefined || sinceMs > 0 || ids.length > 0
}

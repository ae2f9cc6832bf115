/**
 * Where the protocol is not certain about the live service, or leaves a choice to it: the reading that an emulator
 * follows. Each is a closed list whose first value is the default.
 *
 * In: choices as a user gives them, untrusted. Out: a choice for every quirk, or what is wrong with them. One table:
 * types, checks, flags and help derive from it.
 */
export const QUIRKS = {
  boundedEnd: {
    values: ['after-messages', 'with-messages'],
    help: 'Last messages of a pull with `EndTime`: with the position after them, and -1 at the next pull; or with -1 at once'
  },
  foreignCommit: {
    values: ['refuse', 'accept', 'ignore'],
    help: 'A commit by a consumer that does not own a partition it names'
  },
  refusedCommit: {
    values: ['whole', 'rest-kept'],
    help: 'Whether a commit that is refused for one partition still keeps the offsets of those that its consumer owns'
  },
  handOver: {
    values: ['when-omitted', 'at-once'],
    help: "When a partition goes to its next owner: once the old one's heartbeat leaves it out, or at once"
  },
  lastBeat: {
    values: ['joins', 'leaves'],
    help: "A member's heartbeat without partitions, after it held some: one like any other, or its leave"
  },
  offsetType: {
    values: ['list', 'ignored', 'refused'],
    help: "`OffsetType` 1: the log's own position, taken for 0, or refused as a parameter"
  },
  noOffset: {
    values: ['position', 'absent', 'null', 'minus-one'],
    help: 'How a partition without a committed offset is told; `position` is the place that `From` names'
  },
  size: { values: ['bytes', 'log-groups'], help: 'What `Size` of a pull counts' },
  nothingNew: {
    values: ['same', 'minus-one', 'zero', 'absent'],
    help: '`NextOffset` of a pull without `EndTime` that brings nothing; `same` is where it began'
  },
  headerTime: {
    values: ['milliseconds', 'seconds', 'microseconds'],
    help: 'Unit of the time in the headers of messages that are stored from then on'
  },
  headerIds: {
    values: ['padded', 'cut'],
    help: 'Ids that are not 36 bytes long, in the headers of messages that are stored from then on: filled up with zeros (a longer one without its end), or all zeros'
  },
  nextOffset: {
    values: ['first', 'last', 'lying'],
    help: 'Where `NextOffset` stands; `lying`: a wrong, larger one first, the right one last (of equal keys the last counts)'
  },
  whiteSpace: { values: ['none', 'spaces'], help: "Between the parts of an answer's JSON" },
  base64: { values: ['plain', 'escaped'], help: 'Messages as they are, or with JSON escapes: `\\/` and `\\u002b`' },
  extraKeys: {
    values: ['none', 'nested'],
    help: 'Keys that nobody asked for around and inside `Response`, with look-alikes of known ones inside'
  },
  compression: {
    values: ['asked', 'snappy', 'lz4', 'none'],
    help: "How a pull's answer is compressed; `asked`: as the request says"
  },
  compressionHeader: { values: ['named', 'absent'], help: 'Whether `x-cls-compress-type` names the compression' },
  emptyMessages: { values: ['list', 'null', 'absent'], help: '`Message` of a pull that brings none' },
  emptyLists: { values: ['list', 'null'], help: 'Empty lists in the answers of the management API' }
} as const satisfies Record<string, Quirk>

export interface Quirk {
  /** The first is the default. */
  readonly values: readonly [string, ...string[]]
  /** For help texts and the README; names of the protocol stand in backticks. */
  readonly help: string
}

type QuirkName = keyof typeof QUIRKS
/** A type alias, so that it prints as JSON. */
export type Quirks = { readonly [K in QuirkName]: (typeof QUIRKS)[K]['values'][number] }

export const DEFAULT_QUIRKS: Quirks = defaults()

/** What is wrong with choices that a user gives; absent and undefined ones are not given. */
export function quirkProblems(given: unknown): string[] {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return ['quirks is not an object']
  return Object.entries(given).flatMap(([name, value]) => {
    const values = choicesOf(name)
    if (values === undefined) return [`there is no quirk ${name}: there are ${Object.keys(QUIRKS).join(', ')}`]
    if (value === undefined || values.includes(value)) return []
    return [`quirk ${name} is ${JSON.stringify(value)}: expected ${values.join(' or ')}`]
  })
}

export function isQuirkChange(given: unknown): given is Partial<Quirks> {
  return quirkProblems(given).length === 0
}

/** Those that are given take the place of those that hold now. */
export function changedQuirks(quirks: Quirks, change: Partial<Quirks>): Quirks {
  const named = Object.entries(change).filter(([, value]) => value !== undefined)
  return { ...quirks, ...Object.fromEntries(named) }
}

/** Choices that are right each by itself, and not together. */
export function quirkContradictions({ compression, compressionHeader }: Quirks): string[] {
  if (compression !== 'lz4' || compressionHeader !== 'absent') return []
  return ['quirk compression is "lz4" and quirk compressionHeader is "absent": nothing would tell a client of lz4']
}

function choicesOf(name: string): readonly string[] | undefined {
  return Object.entries(QUIRKS).find(([known]) => known === name)?.[1].values
}

function defaults(): Quirks {
  const firsts = Object.fromEntries(Object.entries(QUIRKS).map(([name, { values }]) => [name, values[0]]))
  if (isComplete(firsts)) return firsts
  throw new TypeError('a quirk has no default')
}

function isComplete(given: object): given is Quirks {
  return isQuirkChange(given) && Object.keys(given).length === Object.keys(QUIRKS).length
}
